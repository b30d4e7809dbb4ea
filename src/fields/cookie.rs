//! `Cookie` (RFC 6265 §5.4).

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};

/// Names and values, of all lines: HTTP/2 sends one line a cookie (RFC 9113 §8.2.3).
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(COOKIE)
        .into_iter()
        .filter_map(|line| std::str::from_utf8(line.as_bytes()).ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = name.trim();
            (!name.is_empty()).then_some((name, value.trim()))
        })
}

pub fn get<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    pairs(headers)
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// Leaves the cookies whose names `keep` accepts; without any the field goes.
pub fn keep_only(headers: &mut HeaderMap, keep: impl Fn(&str) -> bool) {
    if !headers.contains_key(COOKIE) {
        return;
    }
    let kept: Vec<String> = pairs(headers)
        .filter(|(name, _)| keep(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    headers.remove(COOKIE);
    if !kept.is_empty()
        && let Ok(value) = HeaderValue::from_str(&kept.join("; "))
    {
        headers.insert(COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_and_left_out() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; lang=de;b".parse().unwrap());
        headers.append(COOKIE, "c=x=y".parse().unwrap());
        assert_eq!(get(&headers, "lang"), Some("de"));
        assert_eq!(get(&headers, "c"), Some("x=y"));
        assert_eq!(get(&headers, "b"), Some(""));
        keep_only(&mut headers, |name| name == "c" || name == "a");
        assert_eq!(headers[COOKIE], "a=1; c=x=y");
        keep_only(&mut headers, |_| false);
        assert!(headers.is_empty());
    }
}
