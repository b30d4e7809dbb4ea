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
            cookie::keep_only(request, |name| {
                self.keep.iter().any(|pattern| pattern.matches(name))
            });
        }
    }

    /// Appends the kept cookies to a key that is being built.
    pub fn write(&self, presented: &HeaderMap, text: &mut String) {
        if self.keep.is_empty() {
            return;
        }
        for (name, value) in cookie::pairs(presented) {
            if self.keep.iter().any(|pattern| pattern.matches(name)) {
                text.push(super::PART);
                text.push_str("cookie ");
                text.push_str(name);
                text.push('=');
                text.push_str(value);
            }
        }
    }
}
