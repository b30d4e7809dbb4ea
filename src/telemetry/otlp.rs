//! Spans on their way to an OTLP receiver: `POST /v1/traces` in JSON, as the OpenTelemetry protocol
//! has it beside protobuf. What the receiver does not take is dropped and counted.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::trace::{Endpoint, Settings, Span, TraceMetrics};

/// Spans in one request.
const BATCH_MAX: usize = 256;
/// How long a span waits for others to go with.
const BATCH_WITHIN: Duration = Duration::from_secs(1);
/// For one request to the receiver, its answer included.
const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of the receiver's answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends until the last sender is gone.
pub async fn export(settings: Settings, mut spans: mpsc::Receiver<Span>, metrics: TraceMetrics) {
    let Some(endpoint) = &settings.endpoint else {
        return;
    };
    let mut is_failing = false;
    while let Some(batch) = batch(&mut spans).await {
        let count = batch.len() as u64;
        let body = request(&batch, &settings.namespace).to_string();
        let sent = timeout(DEADLINE, post(endpoint, body)).await;
        match sent.unwrap_or(Err(Failed::Deadline)) {
            Ok(rejected) => {
                let rejected = rejected.min(count);
                metrics.exported(count - rejected);
                if rejected > 0 {
                    metrics.dropped("rejected", rejected);
                }
                is_failing = false;
            }
            Err(error) => {
                metrics.dropped(error.as_str(), count);
                if !is_failing {
                    tracing::warn!(endpoint = %endpoint.authority, %error, "spans are not taken");
                }
                is_failing = true;
            }
        }
    }
}

#[derive(Debug, Error)]
enum Failed {
    #[error("it did not answer in time")]
    Deadline,
    #[error("it cannot be reached: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the exchange failed: {0}")]
    Exchange(#[from] hyper::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("the endpoint is not an address")]
    Endpoint(#[from] http::Error),
}

impl Failed {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Connect(_) => "connect",
            Self::Exchange(_) => "exchange",
            Self::Status(_) => "status",
            Self::Endpoint(_) => "endpoint",
        }
    }
}

/// What has come, when there is enough or after a while; nothing when nothing can come any more.
async fn batch(spans: &mut mpsc::Receiver<Span>) -> Option<Vec<Span>> {
    let mut batch = Vec::new();
    if spans.recv_many(&mut batch, BATCH_MAX).await == 0 {
        return None;
    }
    let more = async {
        while batch.len() < BATCH_MAX {
            let room = BATCH_MAX - batch.len();
            if spans.recv_many(&mut batch, room).await == 0 {
                break;
            }
        }
    };
    let _whole = timeout(BATCH_WITHIN, more).await;
    Some(batch)
}

/// Sends one batch. How many spans the receiver refused.
async fn post(endpoint: &Endpoint, body: String) -> Result<u64, Failed> {
    let stream = TcpStream::connect(&endpoint.authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::post(&endpoint.path)
        .header(HOST, &endpoint.authority)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let answer = Limited::new(response, ANSWER_BYTES_MAX).collect().await;
        let answer = answer.map(|all| all.to_bytes()).unwrap_or_default();
        if status.is_success() {
            Ok(rejected(&answer))
        } else {
            Err(Failed::Status(status))
        }
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        outcome = &mut exchange => outcome,
        // Whatever is left to say is in the exchange's hands already.
        _ended = connection => exchange.await,
    }
}

/// "Partial success" of the protocol; an answer that is none refuses nothing.
fn rejected(answer: &[u8]) -> u64 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let rejected = answer.pointer("/partialSuccess/rejectedSpans");
    // 64-bit numbers are texts in the JSON of protobuf.
    rejected
        .and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()))
        .unwrap_or_default()
}

/// `ExportTraceServiceRequest`.
fn request(batch: &[Span], namespace: &str) -> Value {
    let spans: Vec<Value> = batch.iter().map(span).collect();
    let resource = attributes([
        ("service.name", "cms-edge".into()),
        ("service.namespace", namespace.into()),
        ("service.version", env!("CARGO_PKG_VERSION").into()),
    ]);
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": "cms-edge", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans,
        }],
    }]})
}

/// `SPAN_KIND_CLIENT`.
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

fn span(span: &Span) -> Value {
    let began = u128::from(span.began.as_millis()) * 1_000_000;
    let ended = began + span.took.as_nanos();
    let mut of_span = vec![
        ("http.request.method", Value::from(&*span.method)),
        ("http.route", (&*span.route).into()),
        ("url.path", (&*span.path).into()),
        ("server.address", (&*span.host).into()),
        ("cms_edge.upstream", (&*span.upstream).into()),
    ];
    if let Some(language) = &span.language {
        of_span.push(("cms_edge.language", (&**language).into()));
    }
    // A client's span is in error from 400 on (semantic conventions for HTTP).
    let status = match span.result {
        Ok(status) => {
            of_span.push(("http.response.status_code", status.into()));
            json!({"code": if status >= 400 { ERROR } else { 0 }})
        }
        Err(failure) => {
            of_span.push(("error.type", failure.into()));
            json!({"code": ERROR, "message": failure})
        }
    };
    let parent = span.trace.parent.map(|id| format!("{id:016x}"));
    json!({
        "traceId": format!("{:032x}", span.trace.id),
        "spanId": format!("{:016x}", span.trace.span),
        "parentSpanId": parent.unwrap_or_default(),
        "name": format!("{} {}", span.method, span.route),
        "kind": CLIENT,
        "startTimeUnixNano": began.to_string(),
        "endTimeUnixNano": ended.to_string(),
        "attributes": attributes(of_span),
        "status": status,
    })
}

fn attributes<'a>(pairs: impl IntoIterator<Item = (&'a str, Value)>) -> Vec<Value> {
    let of = |value: Value| match value {
        // As in every 64-bit number of the protocol.
        Value::Number(number) => json!({"intValue": number.to_string()}),
        value => json!({"stringValue": value}),
    };
    let pairs = pairs.into_iter();
    pairs
        .map(|(key, value)| json!({"key": key, "value": of(value)}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_receiver_refuses_is_read_as_text_or_number() {
        assert_eq!(
            rejected(b"{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}"),
            3
        );
        assert_eq!(rejected(b"{\"partialSuccess\":{\"rejectedSpans\":4}}"), 4);
        assert_eq!(rejected(b"{}"), 0);
        assert_eq!(rejected(b""), 0);
    }
}
