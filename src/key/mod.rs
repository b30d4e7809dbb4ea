//! Cache keys (RFC 9111 §2). A [`CacheKey`] comes from a [`KeyRule`] and from nowhere else.

pub mod cookies;
pub mod language;
pub mod query;
mod reference;
pub mod select;
pub mod target;
pub mod variation;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use http::HeaderMap;
use http::header::HeaderName;
use xxhash_rust::xxh3::xxh3_64;

pub use self::cookies::CookieRule;
pub use self::language::{LanguageRule, Negotiated};
pub use self::query::QueryRule;
pub use self::select::{EntryKey, Folding, VaryRule};
pub use self::target::TargetUri;
pub use self::variation::Variation;

/// How one route turns a request into a primary cache key.
#[derive(Clone, Debug, Default)]
pub struct KeyRule {
    /// The rules that stored responses were keyed, tagged and fetched by. Others are other keys.
    pub rules: Fingerprint,
    pub query: QueryRule,
    pub language: Option<LanguageRule>,
    pub cookies: CookieRule,
    /// Request fields whose whole value is part of the key.
    pub fields: Vec<HeaderName>,
}

/// A request's key, and what had to be found out on the way.
#[derive(Debug)]
pub struct Keyed {
    pub key: CacheKey,
    /// The negotiated language, where the route has a language rule.
    pub language: Option<Negotiated>,
}

/// Primary cache key: the target URI as the client addressed it, its query by the route's rule,
/// the negotiated language and the route's own parts. There is no constructor but
/// [`KeyRule::key`].
///
/// ```compile_fail,E0451
/// use cms_edge::key::CacheKey;
/// let forged = CacheKey { canonical: "https://a/".into(), ..todo!() };
/// ```
///
/// ```compile_fail,E0599
/// use cms_edge::key::CacheKey;
/// let forged = CacheKey::new("https://a/");
/// ```
#[derive(Clone, Debug)]
pub struct CacheKey {
    hash: u64,
    /// `scheme://authority/path?query`, then a zero byte and what else is in the key.
    canonical: Arc<str>,
    /// Ends of the host, of the authority, of the path and of the query in `canonical`.
    ends: [u32; 4],
}

/// Names a set of rules in every key that is made by them, so that what was stored by other rules
/// is not found. The default names none, and is in no key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fingerprint(Box<str>);

impl Fingerprint {
    /// Of a text that is another one for every other set of rules: 64 bits of it.
    pub fn of(rules: &str) -> Self {
        Self(format!("{PART}{:016x}", xxh3_64(rules.as_bytes())).into())
    }
}

/// Starts each part of the key behind the URI. No URI contains it.
const PART: char = '\u{0}';

impl KeyRule {
    pub fn key(&self, target: &TargetUri, presented: &HeaderMap) -> Keyed {
        self.key_by(target, presented, None)
    }

    /// The key of a response that says which parameters count, or of one to a request that such a
    /// response might answer.
    pub fn key_by(
        &self,
        target: &TargetUri,
        presented: &HeaderMap,
        variation: Option<&Variation>,
    ) -> Keyed {
        let language = self
            .language
            .as_ref()
            .map(|rule| rule.negotiate(target, presented));
        let mut text = String::with_capacity(256);
        text.push_str(target.scheme());
        text.push_str("://");
        text.push_str(target.authority());
        let authority_end = text.len();
        let host_end = authority_end - (target.authority().len() - target.host().len());
        text.push_str(target.path());
        let path_end = text.len();
        self.query.write(target.query(), &mut text);
        let query_end = match variation {
            Some(variation) => vary_query(&mut text, path_end, variation),
            None => text.len(),
        };
        text.push_str(&self.rules.0);
        if let (Some(rule), Some(negotiated)) = (&self.language, language) {
            text.push(PART);
            text.push_str("language=");
            text.push_str(rule.tag(negotiated));
        }
        self.cookies.write(presented, &mut text);
        for name in &self.fields {
            select::write_field(&mut text, name, presented);
        }
        let ends = [host_end, authority_end, path_end, query_end]
            .map(|end| u32::try_from(end).unwrap_or(u32::MAX));
        Keyed {
            key: CacheKey {
                hash: xxh3_64(text.as_bytes()),
                canonical: text.into(),
                ends,
            },
            language,
        }
    }
}

/// Replaces the query, which begins at `start`, by what counts of it, and adds what was said. Returns
/// where the query ends.
fn vary_query(text: &mut String, start: usize, variation: &Variation) -> usize {
    let query = text.split_off(start);
    if variation.write(query.strip_prefix('?').unwrap_or_default(), text) {
        let end = text.len();
        text.push_str(variation.part());
        return end;
    }
    text.push_str(&query);
    text.len()
}

impl CacheKey {
    /// The whole key as text; parts behind the URI are set off by zero bytes.
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// A 64-bit hash of the whole key.
    pub const fn hash_value(&self) -> u64 {
        self.hash
    }

    /// The host without port, as purges name it.
    pub fn host(&self) -> &str {
        let start = self.canonical.find("://").map_or(0, |at| at + 3);
        self.part(start, self.ends[0] as usize)
    }

    pub fn path(&self) -> &str {
        self.part(self.ends[1] as usize, self.ends[2] as usize)
    }

    /// Whether it is the key of all URLs that a response's `No-Vary-Search` makes equivalent.
    pub fn is_varied(&self) -> bool {
        let parts = self.canonical.get(self.ends[3] as usize..);
        parts.is_some_and(variation::begins)
    }

    /// The query by the route's rule, without the question mark; empty for none.
    pub fn query(&self) -> &str {
        let query = self.part(self.ends[2] as usize, self.ends[3] as usize);
        query.strip_prefix('?').unwrap_or(query)
    }

    fn part(&self, start: usize, end: usize) -> &str {
        self.canonical.get(start..end).unwrap_or_default()
    }
}

impl PartialEq for CacheKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.canonical == other.canonical
    }
}

impl Eq for CacheKey {}

impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uri: &str) -> TargetUri {
        let uri: http::Uri = uri.parse().unwrap();
        TargetUri::parse(
            "https",
            uri.authority().unwrap().as_str(),
            uri.path(),
            uri.query(),
        )
        .unwrap()
    }

    #[test]
    fn the_key_has_scheme_authority_path_and_query() {
        let rule = KeyRule::default();
        let key = rule
            .key(
                &target("https://Example.org:8443/a/b?x=1"),
                &HeaderMap::new(),
            )
            .key;
        assert_eq!(key.as_str(), "https://example.org:8443/a/b?x=1");
        assert_eq!(
            (key.host(), key.path(), key.query()),
            ("example.org", "/a/b", "x=1")
        );
    }

    #[test]
    fn other_rules_are_other_keys_for_the_same_target() {
        let key = |rules| {
            let rule = KeyRule {
                rules,
                ..KeyRule::default()
            };
            let key = rule.key(&target("https://a.example/b?c=d"), &HeaderMap::new());
            assert_eq!(
                (key.key.host(), key.key.path(), key.key.query()),
                ("a.example", "/b", "c=d")
            );
            key.key
        };
        let (one, two) = (Fingerprint::of("one"), Fingerprint::of("two"));
        assert_eq!(key(one.clone()), key(one.clone()));
        assert_ne!(key(one.clone()), key(two));
        assert_ne!(key(one), key(Fingerprint::default()));
    }

    #[test]
    fn hosts_schemes_and_ports_have_keys_of_their_own() {
        let rule = KeyRule::default();
        let keys: std::collections::HashSet<CacheKey> = [
            "https://a.example/",
            "https://b.example/",
            "https://a.example:8443/",
            "https://a.example/x",
            "https://a.example/?x",
        ]
        .map(|uri| rule.key(&target(uri), &HeaderMap::new()).key)
        .into_iter()
        .collect();
        assert_eq!(keys.len(), 5);
    }
}
