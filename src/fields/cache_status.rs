//! `Cache-Status` (RFC 9211).

use std::fmt::Write;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Why a request went forward (§2.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Fwd {
    Bypass,
    Method,
    UriMiss,
    VaryMiss,
    Miss,
    Request,
    Stale,
    Partial,
}

impl Fwd {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// One cache's member of the list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CacheStatus {
    pub hit: bool,
    pub fwd: Option<Fwd>,
    pub fwd_status: Option<u16>,
    pub ttl: Option<i64>,
    pub stored: bool,
    pub collapsed: bool,
    /// A token.
    pub detail: Option<&'static str>,
    pub key: Option<String>,
}

impl CacheStatus {
    pub fn to_value(&self, name: &str) -> HeaderValue {
        let mut text = String::with_capacity(64);
        text.push_str(name);
        if self.hit {
            text.push_str("; hit");
        }
        if let Some(fwd) = self.fwd {
            text.push_str("; fwd=");
            text.push_str(fwd.as_str());
        }
        // Writing to a String cannot fail.
        if let Some(status) = self.fwd_status {
            let _infallible = write!(text, "; fwd-status={status}");
        }
        if let Some(ttl) = self.ttl {
            let _infallible = write!(text, "; ttl={ttl}");
        }
        if self.stored {
            text.push_str("; stored");
        }
        if self.collapsed {
            text.push_str("; collapsed");
        }
        if let Some(key) = &self.key {
            let quoted = key.replace('\\', "\\\\").replace('"', "\\\"");
            let _infallible = write!(text, "; key=\"{quoted}\"");
        }
        if let Some(detail) = self.detail {
            text.push_str("; detail=");
            text.push_str(detail);
        }
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
            .unwrap_or_else(|_| HeaderValue::from_static("cms-edge"))
    }
}

/// The common case: a fresh hit.
pub fn hit(name: &str, ttl: i64) -> HeaderValue {
    CacheStatus {
        hit: true,
        ttl: Some(ttl),
        ..CacheStatus::default()
    }
    .to_value(name)
}

/// Adds a member behind those of caches nearer to the origin (§2).
pub fn append(headers: &mut HeaderMap, value: HeaderValue) {
    headers.append(CACHE_STATUS, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_as_the_rfc_has_them() {
        assert_eq!(hit("edge", 376), "edge; hit; ttl=376");
        let status = CacheStatus {
            fwd: Some(Fwd::Stale),
            fwd_status: Some(304),
            collapsed: true,
            stored: true,
            detail: Some("x"),
            key: Some("a\"b".to_owned()),
            ..CacheStatus::default()
        };
        assert_eq!(
            status.to_value("edge"),
            "edge; fwd=stale; fwd-status=304; stored; collapsed; key=\"a\\\"b\"; detail=x"
        );
    }
}
