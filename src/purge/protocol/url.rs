//! The dialect `url`: `PURGE` with the URL as the request's own target, as Wagtail, WordPress and
//! nginx's purge modules have it. One URL, all variants.

use http::header::{HOST, HeaderName};
use http::request::Parts;
use http::{HeaderMap, Uri};
use thiserror::Error;

use crate::entry::purges::Mode;
use crate::entry::scope::Scope;
use crate::purge::target::{TargetError, Targets};

/// Soft or hard, in our own words.
const MODE: HeaderName = HeaderName::from_static("cms-edge-purge-mode");
/// `1`: soft, as Fastly's plugins say it.
const FASTLY_SOFT: HeaderName = HeaderName::from_static("fastly-soft-purge");

/// Fields with which other dialects say that more, or something else, is meant than the URL. A
/// request with one of them is refused rather than taken for what it is not.
const OTHER_DIALECTS: [HeaderName; 11] = [
    HeaderName::from_static("cache-tags"),
    HeaderName::from_static("clear-cache"),
    HeaderName::from_static("purge-cache-tags"),
    HeaderName::from_static("surrogate-key"),
    HeaderName::from_static("x-ban-regex"),
    HeaderName::from_static("x-cache-tags"),
    HeaderName::from_static("x-cache-tags-pattern"),
    HeaderName::from_static("x-magento-tags-pattern"),
    HeaderName::from_static("xkey"),
    HeaderName::from_static("xkey-purge"),
    HeaderName::from_static("xkey-softpurge"),
];
const METHOD: HeaderName = HeaderName::from_static("x-purge-method");

/// What is not a purge of a URL.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(super) enum NotUnderstood {
    #[error("the request needs exactly one Host")]
    Host,
    #[error("the target names nothing: {0}")]
    Target(#[from] TargetError),
    #[error("`{MODE}` is `hard` or `soft`")]
    Mode,
    #[error(
        "the method `{0}` belongs to a purge dialect that is not spoken here; nothing was purged"
    )]
    Method(Box<str>),
    #[error("`{0}` belongs to a purge dialect that is not spoken here; nothing was purged")]
    Dialect(HeaderName),
}

pub(super) fn read(head: &Parts, targets: &Targets) -> Result<(Vec<Scope>, Mode), NotUnderstood> {
    if head.method.as_str() != "PURGE" {
        return Err(NotUnderstood::Method(head.method.as_str().into()));
    }
    for name in &OTHER_DIALECTS {
        if head.headers.contains_key(name) {
            return Err(NotUnderstood::Dialect(name.clone()));
        }
    }
    let method = head.headers.get(METHOD);
    if method.is_some_and(|method| !matches!(method.as_bytes(), b"default" | b"exact")) {
        return Err(NotUnderstood::Dialect(METHOD));
    }
    let authority = authority(&head.uri, &head.headers).ok_or(NotUnderstood::Host)?;
    let scopes = targets.request(authority, head.uri.path(), head.uri.query())?;
    Ok((scopes, mode(&head.headers)?))
}

/// The authority of the target, else the only Host (RFC 9112 §3.2.2).
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    if let Some(authority) = uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

fn mode(headers: &HeaderMap) -> Result<Mode, NotUnderstood> {
    let fastly = headers.get(FASTLY_SOFT).map(|value| value.as_bytes());
    match headers.get(MODE).map(|value| value.as_bytes()) {
        Some(b"hard") => Ok(Mode::Hard),
        Some(b"soft") => Ok(Mode::Soft),
        Some(_) => Err(NotUnderstood::Mode),
        None if fastly == Some(b"1") => Ok(Mode::Soft),
        None => Ok(Mode::Hard),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purge::target::{Settings, SortedQuery};
    use http::Request;
    use std::sync::Arc;

    fn check(uri: &str, fields: &[(&str, &str)]) -> Result<(Vec<String>, Mode), NotUnderstood> {
        let mut request = Request::builder().method("PURGE").uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let targets = Targets::new(Settings::default(), Arc::new(SortedQuery));
        let (scopes, mode) = read(&head, &targets)?;
        Ok((scopes.iter().map(ToString::to_string).collect(), mode))
    }

    #[test]
    fn the_target_of_the_request_is_what_is_purged() {
        let expected = vec![
            "path:x.example/de/a/".to_owned(),
            "path:x.example/de/a".to_owned(),
        ];
        for (uri, host) in [
            ("/de/a/?b", "X.example:8443"),
            ("http://x.example/de/a/", "other"),
        ] {
            let found = check(uri, &[("host", host)]);
            assert_eq!(found, Ok((expected.clone(), Mode::Hard)), "{uri}");
        }
        let prefix = check("/de/*", &[("host", "x.example")]).unwrap().0;
        assert_eq!(prefix, ["prefix:x.example/de"]);
    }

    #[test]
    fn the_mode_is_hard_unless_it_says_otherwise() {
        for (fields, mode) in [
            (&[][..], Ok(Mode::Hard)),
            (&[("cms-edge-purge-mode", "soft")], Ok(Mode::Soft)),
            (&[("fastly-soft-purge", "1")], Ok(Mode::Soft)),
            (&[("fastly-soft-purge", "0")], Ok(Mode::Hard)),
            (
                &[("cms-edge-purge-mode", "hard"), ("fastly-soft-purge", "1")],
                Ok(Mode::Hard),
            ),
            (
                &[("cms-edge-purge-mode", "gentle")],
                Err(NotUnderstood::Mode),
            ),
        ] {
            let fields = [fields, &[("host", "h")]].concat();
            assert_eq!(
                check("/", &fields).map(|(_, mode)| mode),
                mode,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn a_host_is_needed_and_only_one() {
        assert_eq!(check("/", &[]), Err(NotUnderstood::Host));
        let two = [("host", "a"), ("host", "b")];
        assert_eq!(check("/", &two), Err(NotUnderstood::Host));
        assert!(matches!(
            check("*", &[("host", "a")]),
            Err(NotUnderstood::Target(_))
        ));
    }

    #[test]
    fn other_dialects_are_not_taken_for_a_url() {
        for (name, value) in [
            ("x-purge-method", "regex"),
            ("x-cache-tags", "a,b"),
            ("clear-cache", "true"),
            ("xkey-purge", "a"),
        ] {
            let found = check("/", &[("host", "h"), (name, value)]);
            assert!(matches!(found, Err(NotUnderstood::Dialect(_))), "{name}");
        }
        assert!(check("/", &[("host", "h"), ("x-purge-method", "default")]).is_ok());
    }
}
