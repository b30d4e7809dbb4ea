//! The access log: one JSON object a line, written by a thread of its own.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use serde_json::json;

use super::log_target::{Out, Target};

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
    /// With what looks secret taken out, if the operator wants queries at all.
    pub query: Option<&'a str>,
    pub protocol: &'a str,
    pub status: u16,
    pub route: &'a str,
    pub outcome: &'a str,
    pub detail: Option<&'a str>,
    pub language: Option<&'a str>,
    pub coding: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    pub trace_id: Option<&'a str>,
    /// Bytes of content, where they are known beforehand.
    pub bytes: Option<u64>,
    /// Until the head of the response.
    pub elapsed: Duration,
}

/// What the operator says about the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// Whether lines have the query, with what looks secret taken out of it.
    pub query: bool,
}

/// Where lines go; cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLog(Option<Arc<Lines>>);

#[derive(Debug)]
struct Lines {
    settings: Settings,
    sender: SyncSender<Order>,
    /// Set where the file is to be opened anew, which no full queue prevents.
    reopen: Arc<AtomicBool>,
    metrics: Metrics,
}

#[derive(Clone, Debug, Default)]
struct Metrics {
    written: Counter,
    /// The queue was full.
    dropped: Counter,
    /// The output took none.
    failed: Counter,
}

/// What the writer is to do next.
enum Order {
    Write(String),
    /// Say so when all before it is written.
    Flush(SyncSender<()>),
    /// Look at `reopen`.
    Wake,
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
    pub fn to(out: impl Write + Send + 'static, settings: Settings) -> std::io::Result<Self> {
        Self::start(settings, |reopen| {
            Target::new(Out::Stream(Box::new(out)), reopen)
        })
    }

    /// Appends to the file at `path` until the last clone is dropped. A file that cannot be opened
    /// or written is tried again, and its lines are lost and counted meanwhile.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn to_file(path: &Path, settings: Settings) -> std::io::Result<Self> {
        let path = path.to_owned();
        Self::start(settings, |reopen| {
            Target::new(Out::File { path, file: None }, reopen)
        })
    }

    fn start(
        settings: Settings,
        target: impl FnOnce(Arc<AtomicBool>) -> Target,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(LINES_WAITING_MAX);
        let (reopen, metrics) = (Arc::new(AtomicBool::new(false)), Metrics::default());
        let (mut target, counted) = (target(Arc::clone(&reopen)), metrics.clone());
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_lines(&receiver, &mut target, &counted))?;
        Ok(Self(Some(Arc::new(Lines {
            settings,
            sender,
            reopen,
            metrics,
        }))))
    }

    /// Adds what is counted of the log to `registry`, which gives it its prefix.
    pub fn register(&self, registry: &mut Registry) {
        let metrics = self.0.as_ref().map(|lines| lines.metrics.clone());
        let metrics = metrics.unwrap_or_default();
        registry.register(
            "access_log_lines",
            "Lines of the access log that were written",
            metrics.written.clone(),
        );
        registry.register(
            "access_log_dropped",
            "Lines that were dropped because too many waited to be written",
            metrics.dropped.clone(),
        );
        registry.register(
            "access_log_failed",
            "Lines that were lost because the output took none",
            metrics.failed.clone(),
        );
    }

    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub fn shows_queries(&self) -> bool {
        self.0.as_ref().is_some_and(|lines| lines.settings.query)
    }

    /// Opens the file anew, which somebody has moved away. Without a file nothing happens.
    pub fn reopen(&self) {
        if let Some(lines) = &self.0 {
            lines.reopen.store(true, Ordering::Release);
            // A full queue wakes the writer, too.
            let _full = lines.sender.try_send(Order::Wake);
        }
    }

    /// Lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.0
            .as_ref()
            .map_or(0, |lines| lines.metrics.dropped.get())
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
            "query": line.query,
            "protocol": line.protocol,
            "status": line.status,
            "route": line.route,
            "outcome": line.outcome,
            "detail": line.detail,
            "language": line.language,
            "coding": line.coding,
            "user_agent": line.user_agent,
            "trace_id": line.trace_id,
            "bytes": line.bytes,
            "elapsed_us": u64::try_from(line.elapsed.as_micros()).unwrap_or(u64::MAX),
        });
        let order = Order::Write(format!("{text}\n"));
        if let Err(TrySendError::Full(_)) = lines.sender.try_send(order) {
            lines.metrics.dropped.inc();
        }
    }
}

/// Writes whenever nothing waits, or when there is enough.
fn write_lines(orders: &Receiver<Order>, target: &mut Target, metrics: &Metrics) {
    let mut batch = Batch::default();
    while let Ok(order) = orders.recv() {
        let mut next = Some(order);
        while let Some(order) = next {
            match order {
                Order::Write(line) => batch.push(&line),
                Order::Flush(done) => {
                    batch.write(target, metrics);
                    let _gone = done.send(());
                }
                Order::Wake => {}
            }
            if batch.text.len() >= BATCH_BYTES {
                batch.write(target, metrics);
            }
            next = orders.try_recv().ok();
        }
        batch.write(target, metrics);
    }
}

/// Bytes that are written at once.
const BATCH_BYTES: usize = 64 * 1024;

/// Lines that are written together.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    lines: u64,
}

impl Batch {
    fn push(&mut self, line: &str) {
        self.text.extend_from_slice(line.as_bytes());
        self.lines += 1;
    }

    /// An output that takes nothing is no reason to stop serving.
    fn write(&mut self, target: &mut Target, metrics: &Metrics) {
        match target.write(&self.text) {
            Ok(()) => metrics.written.inc_by(self.lines),
            Err(_) => metrics.failed.inc_by(self.lines),
        };
        self.text.clear();
        self.lines = 0;
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
            trace_id: None,
            query: None,
            bytes: Some(0),
            elapsed: Duration::ZERO,
        }
    }

    #[test]
    fn a_flush_returns_when_the_last_line_is_out() {
        let (barrier, written) = (Arc::new(Barrier::new(2)), Arc::default());
        let out = Slow(Arc::clone(&barrier), Arc::clone(&written));
        let log = AccessLog::to(out, Settings::default()).unwrap();
        log.write(line());
        assert!(written.lock().is_empty());
        let release = std::thread::spawn(move || barrier.wait());
        log.flush(Duration::from_secs(10));
        assert!(written.lock().ends_with(b"}\n"));
        release.join().unwrap();
    }
}
