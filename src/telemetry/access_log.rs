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
    sender: SyncSender<String>,
    dropped: AtomicU64,
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
        if let Err(TrySendError::Full(_)) = lines.sender.try_send(format!("{text}\n")) {
            lines.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Flushes whenever nothing waits.
fn write_lines(lines: &Receiver<String>, out: impl Write) {
    let mut out = std::io::BufWriter::new(out);
    while let Ok(line) = lines.recv() {
        let mut next = Some(line);
        while let Some(line) = next {
            // A log that cannot be written to is no reason to stop serving.
            let _unwritable = out.write_all(line.as_bytes());
            next = lines.try_recv().ok();
        }
        let _unwritable = out.flush();
    }
}
