//! `Cache-Status` (RFC 9211).

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::text;

/// `name; hit; ttl=…`: what most responses say. `ttl` is the remaining freshness lifetime in
/// seconds, negative when stale.
pub fn hit(name: &str, ttl: i64) -> HeaderValue {
    const HIT: &[u8] = b"; hit; ttl=";
    // To the byte for a name that is a token: a buffer that is full is not allocated again.
    let length = name.len() + HIT.len() + text::integer_length(ttl);
    let mut out = BytesMut::with_capacity(length);
    text::put_token_or_string(&mut out, name);
    out.put_slice(HIT);
    text::put_integer(&mut out, ttl);
    text::into_value(out)
}

/// How a cache handled a request (§2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CacheStatus {
    /// Answered without going forward. Then `fwd` and what belongs to it is not said.
    pub hit: bool,
    pub fwd: Option<Fwd>,
    /// The status of the next hop's answer, where it differs from ours.
    pub fwd_status: Option<u16>,
    /// The remaining freshness lifetime in seconds, negative when stale.
    pub ttl: Option<i64>,
    pub stored: bool,
    pub collapsed: bool,
    /// A token.
    pub detail: Option<&'static str>,
    pub key: Option<String>,
}

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
    pub const fn token(self) -> &'static str {
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

impl CacheStatus {
    /// One list member; `name` is the cache's.
    pub fn to_value(&self, name: &str) -> HeaderValue {
        let key_length = self.key.as_ref().map_or(0, String::len);
        let mut out = BytesMut::with_capacity(name.len() + LENGTH + key_length);
        text::put_token_or_string(&mut out, name);
        if self.hit {
            out.put_slice(b"; hit");
        } else if let Some(fwd) = self.fwd {
            out.put_slice(b"; fwd=");
            out.put_slice(fwd.token().as_bytes());
            self.put_forwarded(&mut out);
        }
        if let Some(ttl) = self.ttl {
            out.put_slice(b"; ttl=");
            text::put_integer(&mut out, ttl);
        }
        if let Some(key) = &self.key {
            out.put_slice(b"; key=");
            text::put_string(&mut out, key);
        }
        if let Some(detail) = self.detail {
            out.put_slice(b"; detail=");
            text::put_token_or_string(&mut out, detail);
        }
        text::into_value(out)
    }

    /// What "is only meaningful when fwd is present".
    fn put_forwarded(&self, out: &mut BytesMut) {
        if let Some(status) = self.fwd_status {
            out.put_slice(b"; fwd-status=");
            text::put_decimal(out, status.into());
        }
        if self.stored {
            out.put_slice(b"; stored");
        }
        if self.collapsed {
            out.put_slice(b"; collapsed");
        }
    }
}

/// Adds our member after those of the caches nearer to the origin: "The list is ordered, with the
/// first member of the list representing the cache closest to the origin server" (§2).
pub fn append(headers: &mut HeaderMap, value: HeaderValue) {
    headers.append(CACHE_STATUS, value);
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Room for all the parameters with a short detail, without the key.
const LENGTH: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use sfv::{List, Parser};

    #[test]
    fn the_examples_of_the_rfc_are_written() {
        // RFC 9211 §3.
        assert_eq!(hit("ExampleCache", 376), "ExampleCache; hit; ttl=376");
        assert_eq!(hit("ExampleCache", -412), "ExampleCache; hit; ttl=-412");
        assert_eq!(
            hit("CDN Company Here", 545),
            "\"CDN Company Here\"; hit; ttl=545"
        );
        let none = CacheStatus::default();
        let forwarded = |fwd| CacheStatus {
            fwd: Some(fwd),
            ..CacheStatus::default()
        };
        for (status, expected) in [
            (
                CacheStatus {
                    hit: true,
                    ..none.clone()
                },
                "ExampleCache; hit",
            ),
            (forwarded(Fwd::UriMiss), "ExampleCache; fwd=uri-miss"),
            (
                CacheStatus {
                    fwd_status: Some(304),
                    ..forwarded(Fwd::Stale)
                },
                "ExampleCache; fwd=stale; fwd-status=304",
            ),
            (
                CacheStatus {
                    collapsed: true,
                    ..forwarded(Fwd::UriMiss)
                },
                "ExampleCache; fwd=uri-miss; collapsed",
            ),
            (
                CacheStatus {
                    hit: true,
                    detail: Some("MEMORY"),
                    ..none
                },
                "ExampleCache; hit; detail=MEMORY",
            ),
        ] {
            assert_eq!(status.to_value("ExampleCache"), expected);
        }
    }

    #[test]
    fn hit_and_fwd_exclude_each_other() {
        // RFC 9211 §2.1: ""hit" and "fwd" are exclusive; only one of them should appear on each
        // list member."
        let status = CacheStatus {
            hit: true,
            fwd: Some(Fwd::Stale),
            fwd_status: Some(200),
            ttl: Some(5),
            stored: true,
            collapsed: true,
            ..CacheStatus::default()
        };
        assert_eq!(status.to_value("edge"), "edge; hit; ttl=5");
    }

    #[test]
    fn every_value_is_a_structured_field() {
        let everything = CacheStatus {
            hit: false,
            fwd: Some(Fwd::VaryMiss),
            fwd_status: Some(200),
            ttl: Some(i64::from(u32::MAX)),
            stored: true,
            collapsed: true,
            detail: Some("not a token"),
            key: Some("https://example.org/größe?\"x\"\\".to_owned()),
        };
        for value in [
            everything.to_value("edge"),
            everything.to_value("Zürich 1"),
            hit("e", 0),
        ] {
            let list: List = Parser::new(value.as_bytes()).parse().unwrap();
            assert_eq!(list.len(), 1, "{value:?}");
        }
        assert_eq!(
            everything.to_value("edge"),
            "edge; fwd=vary-miss; fwd-status=200; stored; collapsed; ttl=4294967295; \
             key=\"https://example.org/gr??e?\\\"x\\\"\\\\\"; detail=\"not a token\""
        );
    }

    #[test]
    fn our_member_comes_last() {
        let mut headers = HeaderMap::new();
        headers.append(
            "cache-status",
            "OriginCache; hit; ttl=1100".parse().unwrap(),
        );
        append(&mut headers, hit("edge", 545));
        let lines: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(lines, ["OriginCache; hit; ttl=1100", "edge; hit; ttl=545"]);
    }
}
