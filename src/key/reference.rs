//! What a response's field names, seen from the target URI (RFC 3986 §5.2, RFC 9110 §8.7, §10.2.2).

use super::target::TargetUri;

impl TargetUri {
    /// The URI that `reference` names from here, normalised like every target, so that it meets what
    /// is stored. Nothing for another scheme than http and https, and for what would be refused as a
    /// target.
    pub fn named(&self, reference: &str) -> Option<Self> {
        let reference = reference.split('#').next().unwrap_or_default();
        if let Some(scheme) = scheme(reference) {
            let (rest, scheme) = match scheme.to_ascii_lowercase().as_str() {
                "http" => (reference.get("http:".len()..)?, "http"),
                "https" => (reference.get("https:".len()..)?, "https"),
                _ => return None,
            };
            return Self::at(scheme, rest.strip_prefix("//")?);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::at(self.scheme(), rest);
        }
        let (path, query) = split_query(reference);
        let merged = match path {
            "" if query.is_none() => return Some(self.clone()),
            "" => self.path().to_owned(),
            absolute if absolute.starts_with('/') => without_dot_segments(absolute),
            relative => {
                // §5.2.3: "all but the last segment of the base URI's path".
                let folder = self.path().rfind('/').map_or(0, |at| at + 1);
                let folder = self.path().get(..folder).unwrap_or("/");
                without_dot_segments(&format!("{folder}{relative}"))
            }
        };
        Self::parse(self.scheme(), self.authority(), &merged, query).ok()
    }

    /// The same, if its origin is this one (RFC 9110 §4.3.1): scheme, host and port.
    pub fn named_here(&self, reference: &str) -> Option<Self> {
        let named = self.named(reference)?;
        let is_here = named.scheme() == self.scheme() && named.authority() == self.authority();
        is_here.then_some(named)
    }

    fn at(scheme: &'static str, rest: &str) -> Option<Self> {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (path, query) = split_query(rest);
        let path = if path.is_empty() { "/" } else { path };
        Self::parse(scheme, authority, &without_dot_segments(path), query).ok()
    }
}

/// What stands before the first colon, if that is in the first segment (§3.1, §4.2).
fn scheme(reference: &str) -> Option<&str> {
    let (scheme, _) = reference.split_once(':')?;
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    scheme.bytes().all(is_scheme).then_some(scheme)
}

fn split_query(reference: &str) -> (&str, Option<&str>) {
    match reference.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (reference, None),
    }
}

/// §5.2.4.
fn without_dot_segments(path: &str) -> String {
    if !path.contains("/.") {
        return path.to_owned();
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_folder = false;
    for segment in path.split('/').skip(1) {
        ends_in_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    if ends_in_folder {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(reference: &str) -> Option<String> {
        let base = TargetUri::parse("https", "a.example", "/b/c/d", Some("q")).unwrap();
        base.named(reference).map(|uri| {
            let query = uri.query().map(|query| format!("?{query}"));
            let query = query.unwrap_or_default();
            format!(
                "{}://{}{}{query}",
                uri.scheme(),
                uri.authority(),
                uri.path()
            )
        })
    }

    #[test]
    fn references_are_resolved_as_the_rfc_says() {
        // RFC 3986 §5.4, as far as its base is ours.
        for (reference, expected) in [
            ("g", "https://a.example/b/c/g"),
            ("./g", "https://a.example/b/c/g"),
            ("g/", "https://a.example/b/c/g/"),
            ("/g", "https://a.example/g"),
            ("//g", "https://g/"),
            ("?y", "https://a.example/b/c/d?y"),
            ("g?y", "https://a.example/b/c/g?y"),
            ("g?y#s", "https://a.example/b/c/g?y"),
            ("", "https://a.example/b/c/d?q"),
            ("#s", "https://a.example/b/c/d?q"),
            (".", "https://a.example/b/c/"),
            ("./", "https://a.example/b/c/"),
            ("..", "https://a.example/b/"),
            ("../g", "https://a.example/b/g"),
            ("../../g", "https://a.example/g"),
            ("../../../g", "https://a.example/g"),
            ("/./g", "https://a.example/g"),
            ("/../g", "https://a.example/g"),
            ("g/../h", "https://a.example/b/c/h"),
            ("http://B.example:80", "http://b.example/"),
            (
                "HTTPS://a.example:443/%7euser?a/../b",
                "https://a.example/~user?a/../b",
            ),
        ] {
            assert_eq!(named(reference).as_deref(), Some(expected), "{reference}");
        }
    }

    #[test]
    fn what_is_no_target_is_not_named() {
        for reference in [
            "mailto:a",
            "g:h",
            "https:g",
            "//",
            "/%zz",
            "/a%00",
            "http://a b/",
        ] {
            assert_eq!(named(reference), None, "{reference}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let here = TargetUri::parse("https", "a.example", "/articles/1", None).unwrap();
        for (reference, expected) in [
            ("2", Some("/articles/2")),
            ("https://A.example:443/x", Some("/x")),
            ("/%7euser/%e4", Some("/~user/%E4")),
            ("http://a.example/x", None),
            ("https://a.example:8443/x", None),
            ("https://b.example/x", None),
            ("//b.example/x", None),
            ("/%zz", None),
        ] {
            let named = here.named_here(reference);
            assert_eq!(named.as_ref().map(TargetUri::path), expected, "{reference}");
        }
    }
}
