//! Which cookies of a request the origin sees, and which make it uncacheable.

use http::HeaderMap;

use crate::fields::cookie;

/// One route's rule for the `Cookie` field.
#[derive(Clone, Debug, Default)]
pub struct CookieRule {
    /// A request with one of these is neither answered from the cache nor stored.
    pub bypass: Vec<super::query::Pattern>,
    /// These reach the origin on a cached route, and are part of the key.
    pub keep: Vec<super::query::Pattern>,
    /// All cookies reach the origin on a cached route; then `Vary: Cookie` means what it says.
    pub forward: bool,
}

impl CookieRule {
    /// The cookie, if any, that makes the request uncacheable.
    pub fn bypassing<'h>(&self, presented: &'h HeaderMap) -> Option<&'h str> {
        if self.bypass.is_empty() {
            return None;
        }
        cookie::pairs(presented)
            .map(|(name, _)| name)
            .find(|name| self.bypass.iter().any(|pattern| pattern.matches(name)))
    }

    /// Leaves only the kept cookies in a request that is forwarded on a cached route.
    pub fn apply(&self, request: &mut HeaderMap) {
        if !self.forward {
            cookie::keep_only(request, |name| self.keeps(name));
        }
    }

    fn keeps(&self, name: &str) -> bool {
        self.keep.iter().any(|pattern| pattern.matches(name))
    }

    /// Appends the kept cookies to a key that is being built.
    pub fn write(&self, presented: &HeaderMap, text: &mut String) {
        if self.keep.is_empty() {
            return;
        }
        for (name, value) in cookie::kept(presented, |name| self.keeps(name)) {
            text.push(super::PART);
            text.push_str("cookie ");
            text.push_str(name);
            text.push('=');
            // One char a byte: what is not UTF-8 reaches the origin, and must be told apart.
            text.extend(value.iter().copied().map(char::from));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::COOKIE;

    use super::super::query::Pattern;
    use super::*;

    #[test]
    fn cookies_that_the_origin_can_tell_apart_are_apart_in_the_key() {
        let rule = CookieRule {
            keep: vec![Pattern::new("currency")],
            ..CookieRule::default()
        };
        let keyed = |line: &'static [u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::from_bytes(line).unwrap());
            let mut text = String::new();
            rule.write(&headers, &mut text);
            rule.apply(&mut headers);
            (text, headers.remove(COOKIE))
        };
        assert_ne!(keyed(b"currency=\xff"), keyed(b"currency="));
        assert_ne!(keyed(b"currency=\xff").0, keyed(b"currency=\xfe").0);
        assert_eq!(keyed(b" currency =EUR;a=1"), keyed(b"currency=EUR"));
    }
}
