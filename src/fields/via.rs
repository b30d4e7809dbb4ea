//! `Via` (RFC 9110 §7.6.3).

use http::header::{HeaderValue, VIA};
use http::{HeaderMap, Version};

/// Adds this hop behind those before it. `received` is the version of the message that came in.
pub fn append(headers: &mut HeaderMap, received: Version, pseudonym: &str) {
    let version = match received {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    if let Ok(value) = HeaderValue::from_str(&format!("{version} {pseudonym}")) {
        headers.append(VIA, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_kept_in_order() {
        let mut headers = HeaderMap::new();
        append(&mut headers, Version::HTTP_2, "first");
        append(&mut headers, Version::HTTP_11, "second");
        let lines: Vec<_> = headers.get_all(VIA).iter().collect();
        assert_eq!(lines, ["2 first", "1.1 second"]);
    }
}
