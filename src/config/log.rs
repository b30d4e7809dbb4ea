//! `[log]` and `[trace]`: what is written down, and who is told of traces.

use std::path::PathBuf;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

use super::getters::near;
use super::section::{Section, Wrong, default};
use super::server::bounded;
use crate::telemetry::trace::Endpoint;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    pub access: AccessLog,
    pub query: Query,
    pub level: Level,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AccessLog {
    Stdout,
    Off,
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Query {
    None,
    Redacted,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trace {
    pub endpoint: Option<Endpoint>,
    pub sample_percent: u8,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Log {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("log", "What is written down.");
        let queries = [("none", Query::None), ("redacted", Query::Redacted)];
        let levels = [
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("info", Level::Info),
            ("debug", Level::Debug),
            ("trace", Level::Trace),
        ];
        let access = s.text(
            "access",
            default("stdout"),
            "\"stdout\", \"off\" or the path of a file, with a \"/\" in it",
            "One line of JSON per request: on the standard output, nowhere, or appended to a file, \
             which is opened anew on SIGUSR1. What a file does not take is lost, and counted.",
            |text| match text {
                "stdout" => Ok(AccessLog::Stdout),
                "off" => Ok(AccessLog::Off),
                text if text.contains('/') && !text.ends_with('/') => {
                    Ok(AccessLog::File(s.reader.folder.join(text)))
                }
                _ => Err(Wrong {
                    meant: near(text, ["stdout", "off"]),
                    ..Wrong::default()
                }),
            },
        );
        Self {
            access: access.unwrap_or(AccessLog::Stdout),
            query: s.choice(
                "query",
                Query::None,
                &queries,
                "Whether its lines have the query. \"redacted\": with *** for the values of \
                 parameters that look secret by their names; what they do not tell stands in the \
                 log.",
            ),
            level: s.choice(
                "level",
                Level::Info,
                &levels,
                "The least that is worth a line on the standard error. \"trace\" writes several \
                 per request.",
            ),
        }
    }
}

const TRACE: &str = "Traces (W3C Trace Context). The CMS always gets `traceparent`: the client's \
    trace, or a new one.";

impl Trace {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("trace", TRACE);
        let endpoint = s.text(
            "endpoint",
            default(""),
            "\"\", or a URL like \"http://127.0.0.1:4318\" (without TLS)",
            "Where a span for each request to a CMS is sent if its trace is sampled: an OTLP \
             receiver over HTTP, at /v1/traces if the URL has no path. For builds with the feature \
             otlp. Empty: nowhere.",
            |text| match text {
                "" => Ok(None),
                text => endpoint(text).map(Some).ok_or_else(Wrong::default),
            },
        );
        Self {
            endpoint: endpoint.flatten(),
            sample_percent: bounded(s.integer(
                "sample_percent",
                10,
                0..=100,
                "Of a hundred traces that begin here, so many are sampled, in the CMS too, if \
                 there is an endpoint. 0: only those that come sampled.",
            )),
        }
    }
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    if uri.scheme() != Some(&Scheme::HTTP) || authority.as_str().contains('@') {
        return None;
    }
    let port = authority.port_u16().unwrap_or(80);
    let path = uri.path_and_query().map(PathAndQuery::as_str);
    Some(Endpoint {
        authority: format!("{}:{port}", authority.host()),
        path: match path {
            None | Some("/" | "") => "/v1/traces".to_owned(),
            Some(path) => path.to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_a_port_and_a_path() {
        let read = |text| endpoint(text).map(|endpoint| (endpoint.authority, endpoint.path));
        let of = |authority: &str, path: &str| Some((authority.to_owned(), path.to_owned()));
        assert_eq!(read("http://otel:4318"), of("otel:4318", "/v1/traces"));
        assert_eq!(read("http://[::1]/x"), of("[::1]:80", "/x"));
        for text in ["otel:4318", "https://otel:4318", "http://", "http://a:b@c"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
