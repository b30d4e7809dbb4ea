//! What can go wrong between us and an origin server, and what each case means to the client.

use std::fmt;

use http::StatusCode;

use crate::body::BodyError;

/// A failed exchange with an upstream.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    /// `host:port` of the last server that was tried; none before one was picked.
    pub server: Option<Box<str>>,
    /// What lies beneath, for the log.
    pub source: Option<BodyError>,
}

impl Error {
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            server: None,
            source: None,
        }
    }

    pub(super) fn from_source(kind: Kind, source: impl Into<BodyError>) -> Self {
        Self {
            kind,
            server: None,
            source: Some(source.into()),
        }
    }

    pub(super) fn at(mut self, server: &str) -> Self {
        self.server = Some(server.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "{} ({server})", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The cases. Each has one status, one RFC 9209 error type, and one retry rule (`retry.rs`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Kind {
    #[error("the name of the origin server could not be resolved")]
    Resolve,
    #[error("no connection to the origin server could be made")]
    Connect,
    #[error("connecting to the origin server took too long")]
    ConnectTimeout,
    #[error("the TLS handshake with the origin server failed")]
    Tls,
    #[error("the origin server did not begin to answer in time")]
    FirstByteTimeout,
    #[error("the origin servers have failed too often and are not asked for a while")]
    BreakerOpen,
    #[error("too many requests wait for the origin servers")]
    QueueFull,
    #[error("the request waited too long for its turn at the origin servers")]
    QueueTimeout,
    /// Before the head of a response was complete.
    #[error("the origin server closed the connection before it had answered")]
    Closed,
    /// RFC 9113 §8.7: by HTTP/2's own means, so that it can be sent again.
    #[error("the origin server refused the request without looking at it")]
    Refused,
    #[error("the origin server's answer is not valid HTTP")]
    InvalidResponse,
    #[error("the request cannot be forwarded")]
    InvalidRequest,
    /// The content of the *request* broke off; the source is its error.
    #[error("the content of the request broke off")]
    RequestBody,
    #[error("the content of the request did not come in time")]
    RequestTimeout,
    /// Only of an [`OriginBody`](super::OriginBody).
    #[error("the origin server stalled in the middle of a response")]
    ResponseStalled,
    /// Only of an [`OriginBody`](super::OriginBody).
    #[error("the origin server broke off in the middle of a response")]
    ResponseIncomplete,
}

impl Kind {
    /// What the client is told when nothing stored can stand in.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Resolve
            | Self::Connect
            | Self::Tls
            | Self::Closed
            | Self::Refused
            | Self::InvalidResponse
            | Self::ResponseIncomplete => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout | Self::FirstByteTimeout | Self::ResponseStalled => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::BreakerOpen | Self::QueueFull | Self::QueueTimeout => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::InvalidRequest | Self::RequestBody => StatusCode::BAD_REQUEST,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// The proxy error type for `Proxy-Status` (RFC 9209 §2.3).
    pub const fn proxy_status(self) -> &'static str {
        match self {
            Self::Resolve => "dns_error",
            Self::Connect => "connection_refused",
            Self::ConnectTimeout => "connection_timeout",
            Self::Tls => "tls_protocol_error",
            Self::FirstByteTimeout => "http_response_timeout",
            Self::BreakerOpen => "destination_unavailable",
            Self::QueueFull | Self::QueueTimeout => "connection_limit_reached",
            Self::Closed | Self::Refused => "connection_terminated",
            Self::InvalidResponse => "http_protocol_error",
            Self::InvalidRequest | Self::RequestBody | Self::RequestTimeout => "http_request_error",
            Self::ResponseStalled => "connection_read_timeout",
            Self::ResponseIncomplete => "http_response_incomplete",
        }
    }

    /// One word for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::BreakerOpen => "breaker_open",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::InvalidResponse => "invalid_response",
            Self::InvalidRequest => "invalid_request",
            Self::RequestBody => "request_body",
            Self::RequestTimeout => "request_timeout",
            Self::ResponseStalled => "response_stalled",
            Self::ResponseIncomplete => "response_incomplete",
        }
    }

    /// Whether no connection came about, so that no byte of the request can have left.
    pub const fn is_before_sending(self) -> bool {
        matches!(
            self,
            Self::Resolve | Self::Connect | Self::ConnectTimeout | Self::Tls
        )
    }

    /// Whether it speaks against the origin servers: not our own limits, not the client.
    pub const fn is_trouble(self) -> bool {
        match self {
            Self::Resolve
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::FirstByteTimeout
            | Self::Closed
            | Self::Refused
            | Self::InvalidResponse
            | Self::ResponseStalled
            | Self::ResponseIncomplete => true,
            Self::BreakerOpen
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::InvalidRequest
            | Self::RequestBody
            | Self::RequestTimeout => false,
        }
    }
}
