//! Requests that are never answered from the cache, and whose answers are never stored.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};

use crate::key::TargetUri;
use crate::key::query;

/// One route's marks: previews, drafts, tokens.
#[derive(Clone, Debug, Default)]
pub struct BypassRule {
    /// Query parameters, each with the value that marks, or any.
    pub query: Vec<(Box<str>, Option<Box<str>>)>,
    pub headers: Vec<HeaderName>,
}

/// What marked a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Bypass {
    Query,
    Header,
    /// `Authorization`: RFC 9111 §3.5 keeps the answer out of shared caches, unless the origin says
    /// otherwise.
    Authorization,
    Cookie,
    /// The target means different things to different parties.
    Target,
    /// An operator has turned caching off.
    SwitchedOff,
    /// The route has no cache, or the request would change something.
    Route,
}

impl Bypass {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "bypass-query",
            Self::Header | Self::Authorization => "bypass-header",
            Self::Cookie => "bypass-cookie",
            Self::Target => "ambiguous-target",
            Self::SwitchedOff => "switched-off",
            Self::Route => "no-cache-route",
        }
    }

    /// Whether what comes back is one person's, which no other mark says: it is marked so for caches
    /// behind this one.
    pub const fn is_personal(self) -> bool {
        matches!(self, Self::Query | Self::Header | Self::Cookie)
    }
}

impl BypassRule {
    pub fn marks(&self, target: &TargetUri, presented: &HeaderMap) -> Option<Bypass> {
        let mut marking = self
            .headers
            .iter()
            .filter(|name| presented.contains_key(*name));
        let is_only_authorization = match (marking.next(), marking.next()) {
            (Some(name), None) => *name == AUTHORIZATION,
            (Some(_), Some(_)) => false,
            (None, _) => return self.is_query_marked(target).then_some(Bypass::Query),
        };
        if self.is_query_marked(target) {
            return Some(Bypass::Query);
        }
        Some(match is_only_authorization {
            true => Bypass::Authorization,
            false => Bypass::Header,
        })
    }

    fn is_query_marked(&self, target: &TargetUri) -> bool {
        if self.query.is_empty() || target.query().is_none() {
            return false;
        }
        self.query.iter().any(|(name, wanted)| {
            // Of a name that is there twice some servers take the first value, some the last.
            query::parameters(target.query(), name)
                .any(|value| wanted.as_deref().is_none_or(|wanted| wanted == value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_marks_by_name_or_by_value() {
        let rule = BypassRule {
            query: vec![
                ("preview".into(), None),
                ("status".into(), Some("draft".into())),
            ],
            headers: vec![AUTHORIZATION],
        };
        let marks = |query: &str, headers: &HeaderMap| {
            let target = TargetUri::parse("https", "a.example", "/", Some(query)).unwrap();
            rule.marks(&target, headers)
        };
        let none = HeaderMap::new();
        assert_eq!(marks("preview", &none), Some(Bypass::Query));
        assert_eq!(marks("a=1&status=draft", &none), Some(Bypass::Query));
        assert_eq!(marks("status=published", &none), None);
        let twice = marks("status=published&status=draft", &none);
        assert_eq!(twice, Some(Bypass::Query));
        let mut signed_in = HeaderMap::new();
        signed_in.insert(AUTHORIZATION, "Bearer x".parse().unwrap());
        assert_eq!(marks("", &signed_in), Some(Bypass::Authorization));
        assert_eq!(marks("preview", &signed_in), Some(Bypass::Query));
    }
}
