//! `Proxy-Status` (RFC 9209): why an answer is ours and not the origin's.

use bytes::{BufMut, BytesMut};
use http::HeaderValue;

use super::text;

/// `name; error=error_type; details="…"`. The type is one of §2.3, such as `connection_timeout`; the
/// detail is a sentence for people and must not tell strangers about the inside.
pub fn error(name: &str, error_type: &str, detail: Option<&str>) -> HeaderValue {
    let detail_length = detail.map_or(0, str::len);
    let mut out = BytesMut::with_capacity(name.len() + error_type.len() + detail_length + 32);
    text::put_token_or_string(&mut out, name);
    out.put_slice(b"; error=");
    if text::is_sf_token(error_type) {
        out.put_slice(error_type.as_bytes());
    } else {
        // §2.1.1: the value is a Token, and this the type for what has no other.
        out.put_slice(b"proxy_internal_error");
    }
    if let Some(detail) = detail {
        out.put_slice(b"; details=");
        text::put_string(&mut out, detail);
    }
    text::into_value(out)
}

/// One member that says what the origin answered (§2.1.4).
pub fn received(name: &str, status: u16) -> HeaderValue {
    let text = format!("{name}; received-status={status}");
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("cms-edge"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sfv::{List, Parser};

    #[test]
    fn errors_are_structured_fields() {
        for (name, error_type, detail, expected) in [
            (
                "SomeCDN",
                "connection_timeout",
                None,
                "SomeCDN; error=connection_timeout",
            ),
            (
                "cms-edge",
                "http_protocol_error",
                Some("Malformed response header: space before colon"),
                "cms-edge; error=http_protocol_error; \
                 details=\"Malformed response header: space before colon\"",
            ),
            (
                "my edge",
                "no such type",
                Some("a \"b\"\r\n"),
                "\"my edge\"; error=proxy_internal_error; details=\"a \\\"b\\\"??\"",
            ),
        ] {
            let value = error(name, error_type, detail);
            assert_eq!(value, expected);
            let list: List = Parser::new(value.as_bytes()).parse().unwrap();
            assert_eq!(list.len(), 1);
        }
    }
}
