//! `Proxy-Status` (RFC 9209).

use http::header::HeaderValue;

/// One member. `error` is a registered error type (§2.3), `detail` a token.
pub fn error(name: &str, error: &str, detail: Option<&str>) -> HeaderValue {
    let text = match detail {
        None => format!("{name}; error={error}"),
        Some(detail) => format!("{name}; error={error}; details={detail}"),
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("cms-edge"))
}

/// One member that says what the origin answered (§2.1.4).
pub fn received(name: &str, status: u16) -> HeaderValue {
    let text = format!("{name}; received-status={status}");
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("cms-edge"))
}
