//! The access log: one JSON object a line, written by a thread of its own.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use serde_json::json;

use crate::clock::Timestamp;

/// Lines that may wait for the writer. Further ones are dropped and counted: the log must not
/// slow requests down.
const LINES_WAITING_MAX: usize = 8192;

/// What is known of one request when its response's head is sent.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub time: Timestamp,
    pub id: &'a str,
    pub client: std::net::IpAddr,
    pub method: &'a str,
    pub scheme: &'a str,
    pub host: &'a str,
    /// Without query: queries carry tokens.
    pub path: &'a str,
    pub protocol: &'a str,
    pub status: u16,
    pub route: &'a str,
    pub outcome: &'a str,
    pub detail: Option<&'a str>,
    pub language: Option<&'a str>,
    pub coding: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    /// Until the head of the response.
    pub elapsed: Duration,
}

/// Where lines go; cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLog(Option<Arc<Lines>>);

#[derive(Debug)]
struct Lines {
    sender: SyncSender<Order>,
    dropped: AtomicU64,
}

/// What the writer is to do next.
enum Order {
    Write(String),
    /// Say so when all before it is written.
    Flush(SyncSender<()>),
}

impl AccessLog {
    /// No log.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Writes to `out` until the last clone is dropped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn to(out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(LINES_WAITING_MAX);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_lines(&receiver, out))?;
        Ok(Self(Some(Arc::new(Lines {
            sender,
            dropped: AtomicU64::new(0),
        }))))
    }

    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.0
            .as_ref()
            .map_or(0, |lines| lines.dropped.load(Ordering::Relaxed))
    }

    /// Waits until all that was written so far is out, at most `within`: what is in the writer's
    /// hands when the process ends is lost. Blocks the thread.
    pub fn flush(&self, within: Duration) {
        let Some(lines) = &self.0 else { return };
        let (done, written) = sync_channel(1);
        if lines.sender.try_send(Order::Flush(done)).is_ok() {
            let _in_time = written.recv_timeout(within);
        }
    }

    pub fn write(&self, line: Line<'_>) {
        let Some(lines) = &self.0 else { return };
        let text = json!({
            "time_ms": line.time.as_millis(),
            "id": line.id,
            "client": line.client,
            "method": line.method,
            "scheme": line.scheme,
            "host": line.host,
            "path": line.path,
            "protocol": line.protocol,
            "status": line.status,
            "route": line.route,
            "outcome": line.outcome,
            "detail": line.detail,
            "language": line.language,
            "coding": line.coding,
            "user_agent": line.user_agent,
            "elapsed_us": u64::try_from(line.elapsed.as_micros()).unwrap_or(u64::MAX),
        });
        let order = Order::Write(format!("{text}\n"));
        if let Err(TrySendError::Full(_)) = lines.sender.try_send(order) {
            lines.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Flushes whenever nothing waits.
fn write_lines(orders: &Receiver<Order>, out: impl Write) {
    let mut out = std::io::BufWriter::new(out);
    // A log that cannot be written to is no reason to stop serving.
    while let Ok(order) = orders.recv() {
        let mut next = Some(order);
        while let Some(order) = next {
            match order {
                Order::Write(line) => {
                    let _unwritable = out.write_all(line.as_bytes());
                }
                Order::Flush(done) => {
                    let _unwritable = out.flush();
                    let _gone = done.send(());
                }
            }
            next = orders.try_recv().ok();
        }
        let _unwritable = out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::Barrier;

    use parking_lot::Mutex;

    /// An output that takes nothing until it is let.
    struct Slow(Arc<Barrier>, Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.wait();
            self.1.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn line() -> Line<'static> {
        Line {
            time: Timestamp::from_secs(1),
            id: "1",
            client: Ipv4Addr::LOCALHOST.into(),
            method: "GET",
            scheme: "https",
            host: "a.example",
            path: "/",
            protocol: "HTTP/2",
            status: 200,
            route: "all",
            outcome: "hit",
            detail: None,
            language: None,
            coding: None,
            user_agent: None,
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn a_flush_returns_when_the_last_line_is_out() {
        let (barrier, written) = (Arc::new(Barrier::new(2)), Arc::default());
        let out = Slow(Arc::clone(&barrier), Arc::clone(&written));
        let log = AccessLog::to(out).unwrap();
        log.write(line());
        assert!(written.lock().is_empty());
        let release = std::thread::spawn(move || barrier.wait());
        log.flush(Duration::from_secs(10));
        assert!(written.lock().ends_with(b"}\n"));
        release.join().unwrap();
    }
}
