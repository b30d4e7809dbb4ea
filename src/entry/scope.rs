//! What a purge can name, and which of these names cover a stored response.
//!
//! Scopes are compared by hash: the slot table of [`super::purges`] has no room for names, and two
//! scopes that collide purge too much, never too little.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::key::{CacheKey, TargetUri};

/// What a purge names. Hosts are lower-case and without a port, so that one purge covers both
/// schemes; paths are normalised as [`crate::key::TargetUri`] does. An empty host means any host.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// All stored responses of the namespace.
    Everything,
    Host(Box<str>),
    /// A path and all below it, aligned to segments: `/news` covers `/news` and `/news/a`, never
    /// `/newsletter`.
    Prefix {
        host: Box<str>,
        path: Box<str>,
    },
    /// One path with every query.
    Path {
        host: Box<str>,
        path: Box<str>,
    },
    /// One path with exactly this query, normalised by the route; empty for none.
    Url {
        host: Box<str>,
        path: Box<str>,
        query: Box<str>,
    },
    Tag(Box<str>),
}

/// A scope's place in the hash space.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ScopeHash(u64);

/// Segments of a path that a prefix can tell apart. A longer prefix is cut to this many, which
/// purges more than was asked for.
pub const PREFIX_SEGMENTS_MAX: usize = 32;

const SEED_HOST: u64 = 1;
const SEED_PREFIX: u64 = 2;
const SEED_PATH: u64 = 3;
const SEED_URL: u64 = 4;
const SEED_TAG: u64 = 5;
const SEED_VARIED: u64 = 6;
/// Between the parts of a scope; it occurs in no host, path or query.
const SEPARATOR: char = '\u{0}';

impl Scope {
    pub fn tag(tag: impl Into<Box<str>>) -> Self {
        Self::Tag(tag.into())
    }

    /// A group of responses of one origin (RFC 9875): what [`group_tag`] makes of it.
    pub fn group(target: &TargetUri, group: &str) -> Self {
        Self::Tag(group_tag(target, group).into())
    }

    /// The hash, or nothing for [`Scope::Everything`], which has a slot of its own.
    pub fn hash(&self) -> Option<ScopeHash> {
        Some(match self {
            Self::Everything => return None,
            Self::Host(host) => hash(SEED_HOST, &[host]),
            Self::Prefix { host, path } => match prefixes(path).last() {
                Some(prefix) if !prefix.is_empty() => hash(SEED_PREFIX, &[host, prefix]),
                _ if host.is_empty() => return None,
                _ => hash(SEED_HOST, &[host]),
            },
            Self::Path { host, path } => hash(SEED_PATH, &[host, path]),
            Self::Url { host, path, query } => hash(SEED_URL, &[host, path, query]),
            Self::Tag(tag) => ScopeHash::of_tag(tag),
        })
    }
}

impl Scope {
    /// What a URL covers besides: all that is stored for several URLs of its path by what a response
    /// said in `No-Vary-Search`. Whether this URL is one of them only those responses know.
    pub fn varied(&self) -> Option<ScopeHash> {
        match self {
            Self::Url { host, path, .. } => Some(hash(SEED_VARIED, &[host, path])),
            _ => None,
        }
    }
}

impl ScopeHash {
    /// Tags are compared without the case of ASCII letters: CMSs spell a locale `pt-BR` in one
    /// place and `pt-br` in another, and purging too much is the smaller mistake.
    pub fn of_tag(tag: &str) -> Self {
        if tag.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return hash(SEED_TAG, &[&tag.to_ascii_lowercase()]);
        }
        hash(SEED_TAG, &[tag])
    }

    pub(super) const fn value(self) -> u64 {
        self.0
    }

    /// As [`ScopeHash::value`] gave it, to another process perhaps.
    pub(super) const fn from_value(value: u64) -> Self {
        Self(value)
    }
}

/// The tag that stands for a group of `target`'s origin. RFC 9875 §2.1: responses share a group when
/// both name it, "compared character by character (case sensitive)", and share the origin. Spaces set
/// these tags apart from all that origins and purges can name; tags are compared without case, so
/// capitals are marked.
pub fn group_tag(target: &TargetUri, group: &str) -> String {
    let mut tag = format!("cache-group {}://{} ", target.scheme(), target.authority());
    for character in group.chars() {
        if character.is_ascii_uppercase() || character == '^' {
            tag.push('^');
        }
        tag.push(character);
    }
    tag
}

/// Calls `visit` with every scope, tags and "everything" aside, that covers what is stored under
/// `key`. Stops early when `visit` says so, and tells whether it did.
pub fn any_covering(key: &CacheKey, mut visit: impl FnMut(ScopeHash) -> bool) -> bool {
    let (host, path, query) = (key.host(), key.path(), key.query());
    let is_varied = key.is_varied();
    if visit(hash(SEED_HOST, &[host])) {
        return true;
    }
    for host in [host, ""] {
        if visit(hash(SEED_PATH, &[host, path])) || visit(hash(SEED_URL, &[host, path, query])) {
            return true;
        }
        if is_varied && visit(hash(SEED_VARIED, &[host, path])) {
            return true;
        }
        for prefix in prefixes(path).filter(|prefix| !prefix.is_empty()) {
            if visit(hash(SEED_PREFIX, &[host, prefix])) {
                return true;
            }
        }
    }
    false
}

/// The segment-aligned prefixes of a path, shortest first, without trailing slash: for `/a/b/`
/// they are the empty one, `/a` and `/a/b`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_end_matches('/');
    let ends = path
        .char_indices()
        .filter(|(_, c)| *c == '/')
        .map(|(at, _)| at)
        .chain(std::iter::once(path.len()));
    ends.take(PREFIX_SEGMENTS_MAX + 1)
        .filter_map(|end| path.get(..end))
}

fn hash(seed: u64, parts: &[&str]) -> ScopeHash {
    let mut buffer = [0_u8; 512];
    let length = parts.iter().map(|part| part.len() + 1).sum();
    if let Some(buffer) = buffer.get_mut(..length) {
        let mut rest = &mut buffer[..];
        for part in parts {
            let (bytes, after) = rest.split_at_mut(part.len());
            bytes.copy_from_slice(part.as_bytes());
            rest = after.get_mut(1..).unwrap_or_default();
        }
        return ScopeHash(xxh3_64_with_seed(buffer, seed));
    }
    let mut text = String::with_capacity(length);
    for part in parts {
        text.push_str(part);
        text.push(SEPARATOR);
    }
    ScopeHash(xxh3_64_with_seed(text.as_bytes(), seed))
}

/// As receipts and logs name it: `tag:article:1`, `url:example.org/a?b=c`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = |host: &'_ str| if host.is_empty() { "*" } else { host }.to_owned();
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Host(host) => write!(f, "host:{host}"),
            Self::Prefix { host, path } => write!(f, "prefix:{}{path}", any(host)),
            Self::Path { host, path } => write!(f, "path:{}{path}", any(host)),
            Self::Url { host, path, query } if query.is_empty() => {
                write!(f, "url:{}{path}", any(host))
            }
            Self::Url { host, path, query } => write!(f, "url:{}{path}?{query}", any(host)),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_aligned_to_segments() {
        assert_eq!(prefixes("/a/b/").collect::<Vec<_>>(), ["", "/a", "/a/b"]);
        assert_eq!(prefixes("/").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn a_prefix_deeper_than_the_limit_widens() {
        let deep = "/x".repeat(PREFIX_SEGMENTS_MAX + 8);
        let cut = "/x".repeat(PREFIX_SEGMENTS_MAX);
        let scope = |path: &str| Scope::Prefix {
            host: "h".into(),
            path: path.into(),
        };
        assert_eq!(scope(&deep).hash(), scope(&cut).hash());
    }

    #[test]
    fn a_prefix_of_the_root_is_the_host_and_without_host_everything() {
        let of = |host: &str| Scope::Prefix {
            host: host.into(),
            path: "/".into(),
        };
        assert_eq!(of("h").hash(), Scope::Host("h".into()).hash());
        assert_eq!(of("").hash(), None);
    }

    #[test]
    fn the_case_of_a_tag_does_not_count() {
        assert_eq!(ScopeHash::of_tag("a:pt-BR"), ScopeHash::of_tag("a:pt-br"));
        assert_ne!(ScopeHash::of_tag("a:pt-BR"), ScopeHash::of_tag("a:pt"));
    }

    #[test]
    fn a_group_is_of_one_origin_and_of_one_case() {
        // RFC 9875 §2.1: "when compared character by character (case sensitive)" and "They both share
        // the same URI origin".
        let uri = |scheme, authority| TargetUri::parse(scheme, authority, "/a", None).unwrap();
        let here = uri("https", "a.example");
        let hash = |target: &TargetUri, group: &str| Scope::group(target, group).hash();
        assert_eq!(
            hash(&here, "Scripts"),
            hash(&uri("https", "A.example:443"), "Scripts")
        );
        for (target, group) in [
            (&here, "scripts"),
            (&here, "^scripts"),
            (&here, "Scripts "),
            (&uri("http", "a.example"), "Scripts"),
            (&uri("https", "a.example:8443"), "Scripts"),
            (&uri("https", "b.example"), "Scripts"),
        ] {
            assert_ne!(
                hash(&here, "Scripts"),
                hash(target, group),
                "{target:?} {group}"
            );
        }
        assert_ne!(hash(&here, "Scripts"), Scope::tag("Scripts").hash());
    }

    #[test]
    fn long_and_short_parts_hash_alike_in_both_ways_of_hashing() {
        let long = "p".repeat(600);
        assert_ne!(hash(1, &["a", &long]), hash(1, &["b", &long]));
        assert_ne!(hash(1, &["a", "bc"]), hash(1, &["ab", "c"]));
        assert_ne!(hash(1, &["a"]), hash(2, &["a"]));
    }
}
