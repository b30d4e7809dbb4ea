//! How hyper is set up: every bound of HTTP/1 and HTTP/2 in one place.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioTimer;

use super::Limits;
use super::stalled::{Pace, watched};
use crate::telemetry::server::ServerMetrics;

/// hyper's own default number of header fields, for which it needs no allocation.
const HYPER_HEADERS_MAX: usize = 100;
/// The least that hyper accepts as the size of its buffers, in bytes.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;
/// What hyper buffers of one HTTP/1 connection in each direction, in bytes.
const BUFFER_BYTES: usize = 128 * 1024;

/// How much of a request's content a client may send ahead, in bytes.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// How much of a response's content is buffered per stream, in bytes.
const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// Streams reset by the client before they were served (CVE-2023-44487), and streams that the
/// client made us reset (CVE-2025-8671), before the connection is closed.
const PENDING_RESETS_MAX: usize = 20;
const LOCAL_RESETS_MAX: usize = 20;
/// A peer that has vanished is noticed after the two of these.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// HTTP/1 as RFC 9112 has it, without the leniency it permits.
pub(super) fn http1_builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .half_close(false)
        .keep_alive(true)
        // With it, hyper closes without having sent the last answer where more bytes follow the
        // request that it answers last.
        .pipeline_flush(false)
        // The watch keeps this deadline: hyper's also runs between requests, where a connection
        // may be idle for longer, and costs an allocation for each.
        .header_read_timeout(None)
        .max_header_size(limits.header_bytes_max)
        .max_buf_size(limits.header_bytes_max.max(BUFFER_BYTES).max(HYPER_BUFFER_BYTES_MIN));
    if limits.headers_max != HYPER_HEADERS_MAX {
        builder.max_headers(limits.headers_max);
    }
    builder
}

/// HTTP/2 with every bound set, so that none depends on another's default.
pub(super) fn http2_builder(
    limits: &Limits,
    metrics: &Arc<ServerMetrics>,
) -> http2::Builder<Streams> {
    let header_bytes_max = u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX);
    let mut builder = http2::Builder::new(Streams {
        metrics: Arc::clone(metrics),
        pace: Pace::of(limits),
    });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(header_bytes_max)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Runs the streams of HTTP/2 connections, gives up those that their client does not read, and
/// counts those that panic.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    metrics: Arc<ServerMetrics>,
    pace: Pace,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (count, pace) = (CountPanic(Arc::clone(&self.metrics)), self.pace);
        tokio::spawn(async move {
            if let Err(limit) = watched(stream, pace).await {
                count.0.limit(limit);
            }
            drop(count);
        });
    }
}

struct CountPanic(Arc<ServerMetrics>);

impl Drop for CountPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.panic();
        }
    }
}
