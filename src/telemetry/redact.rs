//! Queries for the log: what looks like a secret is taken out.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Bytes of a query that are shown.
const SHOWN_BYTES_MAX: usize = 1024;

/// Bytes of a field's value that are shown, e.g. of `User-Agent`.
pub const FIELD_BYTES_MAX: usize = 256;

/// What stands in the place of a value.
const MASK: &str = "***";

/// In the names of parameters whose values nobody should read. Too many are better than too few.
const SECRET_PARTS: [&str; 16] = [
    "token",
    "key",
    "secret",
    "pass",
    "pwd",
    "auth",
    "signature",
    "session",
    "credential",
    "jwt",
    "bearer",
    "csrf",
    "xsrf",
    "nonce",
    "hmac",
    "email",
];

/// Names that are secret as a whole; parts of other words.
const SECRET_NAMES: [&str; 10] = [
    "code", "sig", "sid", "otp", "pin", "hash", "state", "ticket", "user", "preview",
];

/// A part without a name that is longer than this many bytes may be a secret itself.
const NAMELESS_BYTES_MAX: usize = 32;

/// The query with the values of parameters masked that look secret, or that `also` names.
pub fn query(query: &str, also: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(query.len().min(SHOWN_BYTES_MAX) + MASK.len());
    for parameter in query.split_inclusive(['&', ';']) {
        if out.len() >= SHOWN_BYTES_MAX {
            out.push('…');
            break;
        }
        let end = parameter.trim_end_matches(['&', ';']).len();
        let (parameter, separator) = parameter.split_at_checked(end).unwrap_or((parameter, ""));
        match parameter.split_once('=') {
            Some((name, value)) if is_secret(name, value, &also) => {
                push(&mut out, name);
                out.push('=');
                out.push_str(MASK);
            }
            None if parameter.len() > NAMELESS_BYTES_MAX => out.push_str(MASK),
            _ => push(&mut out, parameter),
        }
        out.push_str(separator);
    }
    out
}

/// The beginning of a text that may be long.
pub fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(FIELD_BYTES_MAX))
        .unwrap_or_default()
}

fn push(out: &mut String, text: &str) {
    let room = SHOWN_BYTES_MAX.saturating_sub(out.len());
    let end = text.floor_char_boundary(room);
    out.push_str(text.get(..end).unwrap_or_default());
}

fn is_secret(name: &str, value: &str, also: &impl Fn(&str) -> bool) -> bool {
    let name: Cow<'_, str> = percent_decode_str(name).decode_utf8_lossy();
    let lower = name.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| lower.contains(part))
        || SECRET_NAMES.contains(&&*lower)
        || also(&name)
        // The beginning of every JSON Web Token (RFC 7519 §3.1).
        || value.starts_with("eyJ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_secret_is_masked_and_its_name_is_shown() {
        let shown = |text: &str| query(text, |name| name == "vorschau");
        for (text, wanted) in [
            ("page=2&q=a%20b", "page=2&q=a%20b"),
            ("access_token=abc&page=2", "access_token=***&page=2"),
            ("a=1;API-Key=abc;b=2", "a=1;API-Key=***;b=2"),
            ("%74oken=abc", "%74oken=***"),
            ("code=abc&postcode=80331", "code=***&postcode=80331"),
            ("vorschau=abc", "vorschau=***"),
            ("x=eyJhbGciOi", "x=***"),
            ("flag", "flag"),
            ("0123456789abcdef0123456789abcdef0", "***"),
            ("password=a=b&", "password=***&"),
            ("", ""),
        ] {
            assert_eq!(shown(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_long_query_is_cut() {
        let shown = query(&format!("a={}&b=2", "é".repeat(5_000)), |_| false);
        assert!(shown.len() < SHOWN_BYTES_MAX + 8, "{}", shown.len());
        assert!(shown.ends_with("&…"), "{shown}");
    }
}
