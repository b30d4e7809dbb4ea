//! Whether one route takes every request that a later one could: then the later one never
//! matches. Pure.

use http::Method;

use crate::route::pattern::{HostPattern, PathPattern, Segment};

/// What a route matches on. No methods are all methods.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach<'a> {
    pub(super) hosts: &'a [HostPattern],
    pub(super) path: &'a PathPattern,
    pub(super) methods: &'a [Method],
}

pub(super) fn covers(earlier: Reach<'_>, later: Reach<'_>) -> bool {
    covers_methods(earlier.methods, later.methods)
        && covers_hosts(earlier.hosts, later.hosts)
        && covers_path(earlier.path, later.path)
}

fn covers_methods(earlier: &[Method], later: &[Method]) -> bool {
    earlier.is_empty() || (!later.is_empty() && later.iter().all(|method| earlier.contains(method)))
}

fn covers_hosts(earlier: &[HostPattern], later: &[HostPattern]) -> bool {
    later
        .iter()
        .all(|host| earlier.iter().any(|wider| covers_host(wider, host)))
}

fn covers_host(earlier: &HostPattern, later: &HostPattern) -> bool {
    match (earlier, later) {
        (HostPattern::Below(wider), HostPattern::Below(narrower)) => narrower.ends_with(&**wider),
        (earlier, HostPattern::Exact(host)) => earlier.matches(host),
        (earlier, later) => *earlier == HostPattern::Any || earlier == later,
    }
}

/// An open pattern takes every path that begins like it, its own end included.
fn covers_path(earlier: &PathPattern, later: &PathPattern) -> bool {
    let (ours, theirs) = (earlier.segments(), later.segments());
    let fits = if earlier.is_open() {
        ours.len() <= theirs.len()
    } else {
        !later.is_open() && ours.len() == theirs.len()
    };
    let mut pairs = ours.iter().zip(theirs);
    fits && pairs.all(|(ours, theirs)| covers_segment(ours, theirs))
}

fn covers_segment(earlier: &Segment, later: &Segment) -> bool {
    match (earlier, later) {
        (Segment::Capture(_), Segment::Capture(_)) => true,
        (Segment::Capture(_), later) => !is_empty(later),
        (earlier, later) => earlier == later,
    }
}

/// The segment behind a trailing slash.
fn is_empty(segment: &Segment) -> bool {
    matches!(segment, Segment::Literal(text) if text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(earlier: &str, later: &str) -> bool {
        let pattern = |text| PathPattern::parse(text).unwrap();
        covers_path(&pattern(earlier), &pattern(later))
    }

    fn hosts(earlier: &[&str], later: &[&str]) -> bool {
        let patterns = |texts: &[&str]| -> Vec<HostPattern> {
            texts
                .iter()
                .map(|text| HostPattern::parse(text).unwrap())
                .collect()
        };
        covers_hosts(&patterns(earlier), &patterns(later))
    }

    #[test]
    fn a_wider_path_covers_a_narrower_one() {
        assert!(path("/a", "/a"));
        assert!(path("/a/{id}", "/a/{other}"));
        assert!(path("/a/{id}", "/a/b"));
        assert!(path("/*", "/a"));
        assert!(path("/*", "/a/{id}/c"));
        assert!(path("/*", "/*"));
        assert!(path("/a/{*rest}", "/a/b/c"));
        assert!(path("/a/{*rest}", "/a/b/{*rest}"));
        assert!(path("/a/*", "/a/b/{*rest}"));
        assert!(path("/{x}/*", "/a/b/*"));
        assert!(path("/a/", "/a/"));
        assert!(path("/*", "/"));
        assert!(path("/a/*", "/a"));
        assert!(path("/a/{*rest}", "/a/"));
        assert!(path("/{*rest}", "/*"));
    }

    #[test]
    fn a_path_that_one_request_escapes_is_not_covered() {
        assert!(!path("/a/b", "/a/{id}"));
        assert!(!path("/a", "/a/"));
        assert!(!path("/a/{id}", "/a/"));
        assert!(!path("/a/{id}", "/a/b/c"));
        assert!(!path("/a/{id}", "/a/*"));
        assert!(!path("/a/b/*", "/a/*"));
        assert!(!path("/a/*", "/b/c"));
        assert!(!path("/{x}/*", "/"));
    }

    #[test]
    fn every_host_of_the_later_route_must_be_covered() {
        assert!(hosts(&["*"], &["a.example.org", "*.b.org"]));
        assert!(hosts(&["*.example.org"], &["a.example.org"]));
        assert!(hosts(&["A.example.org", "b.org"], &["a.EXAMPLE.org"]));
        assert!(hosts(&["*.example.org"], &["*.example.org"]));
        assert!(hosts(&["*.example.org"], &["a.b.example.org"]));
        assert!(hosts(&["*.example.org"], &["*.b.example.org"]));
        assert!(!hosts(&["*.example.org"], &["example.org"]));
        assert!(!hosts(&["*.example.org"], &["*.badexample.org"]));
        assert!(!hosts(&["*.b.example.org"], &["*.example.org"]));
        assert!(!hosts(&["a.org"], &["a.org", "b.org"]));
        assert!(!hosts(&["a.org"], &["*"]));
    }

    #[test]
    fn no_methods_are_all_methods() {
        let (get, head) = (Method::GET, Method::HEAD);
        assert!(covers_methods(&[], &[]));
        assert!(covers_methods(&[], std::slice::from_ref(&get)));
        assert!(covers_methods(
            &[get.clone(), head],
            std::slice::from_ref(&get)
        ));
        assert!(!covers_methods(&[get], &[]));
        assert!(!covers_methods(&[Method::GET], &[Method::POST]));
    }
}
