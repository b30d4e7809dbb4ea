//! Which requests reach the handler: the checks on target, Host and framing that come before any
//! routing, and the answers to those that do not.

use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, COOKIE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};

use super::Limits;
use super::head::Flaw;
use crate::body::Body;
use crate::telemetry::server::Limit;

/// Why a request was refused before its route was looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Flaw(#[from] Flaw),
    #[error("the request has no Host, more than one, or one that is no host name")]
    Host,
    #[error("the request has a transfer coding other than chunked")]
    TransferCoding,
    #[error("CONNECT is not supported")]
    Connect,
    #[error("the request has too many header fields")]
    Fields,
    #[error("the request's target is too long")]
    Target,
    #[error("the requests on this connection have too many bytes of header fields")]
    Heads,
    #[error("this connection is not for that host: open another one for it")]
    Misdirected,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Flaw(_) | Self::Host => StatusCode::BAD_REQUEST,
            // RFC 9112 §6.1: a transfer coding that is not understood.
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::Target => StatusCode::URI_TOO_LONG,
            Self::Fields | Self::Heads => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            // RFC 9110 §15.5.20.
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        }
    }

    pub(super) fn limit(self) -> Limit {
        match self {
            Self::Fields => Limit::Headers,
            Self::Target => Limit::Target,
            Self::Heads => Limit::ConnectionHeaders,
            Self::Misdirected => Limit::Misdirected,
            _ => Limit::Framing,
        }
    }

    pub(super) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::full(format!("{self}\n")));
        *response.status_mut() = self.status();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, text);
        if self == Self::Connect {
            // RFC 9110 §15.5.6 asks for it.
            let methods = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            response.headers_mut().insert(ALLOW, methods);
        }
        response
    }
}

/// Checks a request and brings its authority into one place: Host on HTTP/1 (RFC 9112 §3.2.2),
/// the target URI on HTTP/2 (RFC 9113 §8.3.1). The cookies of HTTP/2 come into one field.
pub(super) fn admit<B>(request: &mut Request<B>, limits: &Limits) -> Result<(), Refusal> {
    if *request.method() == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    if request.method().as_str().len() + target_bytes(request.uri()) > limits.target_bytes_max {
        return Err(Refusal::Target);
    }
    if field_count(request.headers()) > limits.headers_max {
        return Err(Refusal::Fields);
    }
    match request.version() {
        Version::HTTP_2 => {
            join_cookies(request.headers_mut());
            check_authority(request)
        }
        _ => check_host(request).and_then(|()| check_coding(request.headers())),
    }
}

/// What a request's head is taken to hold in memory, in bytes: counted as RFC 9113 §10.5.1 counts
/// a field section.
pub(super) fn head_bytes<B>(request: &Request<B>) -> u64 {
    const PER_FIELD: usize = 32;
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + PER_FIELD);
    let bytes = fields.sum::<usize>() + target_bytes(request.uri());
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn target_bytes(uri: &Uri) -> usize {
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    authority + path
}

/// The host of an admitted request, without its port; `None` where HTTP/1.0 names none.
pub(super) fn host_of<B>(request: &Request<B>) -> Option<&str> {
    let authority = request.uri().authority();
    let authority = authority.map(|authority| authority.as_str().as_bytes());
    let host = || request.headers().get(HOST).map(HeaderValue::as_bytes);
    host_name(authority.or_else(host)?)
}

/// The connection ends with this request: its answer says so. Chunked content is where parsers of
/// HTTP/1 differ most, so nothing that follows it on the connection is taken for a request.
pub(super) fn is_last<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(TRANSFER_ENCODING)
}

pub(super) fn close_after(response: &mut Response<Body>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
}

/// The header fields, those of a cookie that HTTP/2 has split up counted once
/// (RFC 9113 §8.2.3).
fn field_count(headers: &HeaderMap) -> usize {
    let cookies = headers.get_all(COOKIE).iter().count();
    headers.len() - cookies.saturating_sub(1)
}

/// RFC 9113 §8.2.3: the pieces of a cookie field "MUST be concatenated into a single octet string
/// using the two-octet delimiter of 0x3B, 0x20" before they go anywhere else. Browsers split it;
/// servers behind HTTP/1 join the pieces with a comma, and nobody is signed in any more.
fn join_cookies(headers: &mut HeaderMap) {
    let pieces: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if pieces.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..]))
    {
        headers.insert(COOKIE, joined);
    }
}

fn check_host<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host),
        // RFC 9112 §3.2 asks only HTTP/1.1 for a Host.
        (None, _) if request.version() < Version::HTTP_11 => None,
        _ => return Err(Refusal::Host),
    };
    if host.is_some_and(|host| host_name(host.as_bytes()).is_none()) {
        return Err(Refusal::Host);
    }
    let Some(authority) = request.uri().authority() else {
        return Ok(());
    };
    let authority = authority.as_str();
    let host = host_name(authority.as_bytes()).and_then(|_| HeaderValue::from_str(authority).ok());
    request
        .headers_mut()
        .insert(HOST, host.ok_or(Refusal::Host)?);
    Ok(())
}

fn check_authority<B>(request: &Request<B>) -> Result<(), Refusal> {
    let authority = request.uri().authority().ok_or(Refusal::Host)?.as_str();
    host_name(authority.as_bytes()).ok_or(Refusal::Host)?;
    let differs = |host: &HeaderValue| !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes());
    match request.headers().get_all(HOST).iter().any(differs) {
        true => Err(Refusal::Host),
        false => Ok(()),
    }
}

fn check_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Refusal::TransferCoding),
    }
}

/// The host of `host[:port]`, where it is a DNS name or an IP address. Narrower than RFC 3986
/// §3.2.2, which lets a name contain `%`, `!`, `$` and more.
pub(super) fn host_name(authority: &[u8]) -> Option<&str> {
    let authority = std::str::from_utf8(authority).ok()?;
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')?.checked_add(1)?;
        authority.split_at_checked(end)?
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    let port_is_valid = match port.strip_prefix(':') {
        None | Some("") => port.len() <= 1,
        Some(port) => port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok(),
    };
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host_is_valid = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_name_byte),
    };
    (host_is_valid && port_is_valid).then_some(host)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, uri: &str, fields: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().version(version).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn limits() -> Limits {
        Limits {
            headers_max: 3,
            target_bytes_max: 40,
            ..Limits::default()
        }
    }

    fn outcome(version: Version, uri: &str, fields: &[(&str, &str)]) -> Result<(), Refusal> {
        admit(&mut request(version, uri, fields), &limits())
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_else() {
        for (given, host) in [
            ("a.example", "a.example"),
            ("a.example:8080", "a.example"),
            ("a.example:", "a.example"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]:443", "[::1]"),
        ] {
            assert_eq!(host_name(given.as_bytes()), Some(host), "{given}");
        }
        for given in [
            "", ":80", "a b", "a@b", "a/b", "a:b", "a:70000", "a:+1", "[::1", "[x]", "a%00", "ä",
        ] {
            assert_eq!(host_name(given.as_bytes()), None, "{given}");
        }
    }

    #[test]
    fn the_target_has_a_length_with_its_method_and_authority() {
        let host = [("host", "a")];
        let path = format!("/{}", "x".repeat(36));
        assert_eq!(outcome(Version::HTTP_11, &path, &host), Ok(()));
        let longer = outcome(Version::HTTP_11, &format!("{path}x"), &host);
        assert_eq!(longer, Err(Refusal::Target));
        let on_http_2 = outcome(Version::HTTP_2, &format!("https://a{path}"), &[]);
        assert_eq!(on_http_2, Err(Refusal::Target));
    }

    #[test]
    fn http_1_1_needs_exactly_one_host() {
        let one = [("host", "a")];
        assert_eq!(outcome(Version::HTTP_11, "/", &one), Ok(()));
        assert_eq!(outcome(Version::HTTP_11, "/", &[]), Err(Refusal::Host));
        let two = [("host", "a"), ("host", "a")];
        assert_eq!(outcome(Version::HTTP_11, "/", &two), Err(Refusal::Host));
        assert_eq!(outcome(Version::HTTP_10, "/", &two), Err(Refusal::Host));
        assert_eq!(outcome(Version::HTTP_10, "/", &[]), Ok(()));
    }

    #[test]
    fn the_authority_of_the_target_replaces_the_host() {
        let mut request = request(Version::HTTP_11, "http://real:81/x", &[("host", "other")]);
        assert_eq!(admit(&mut request, &limits()), Ok(()));
        assert_eq!(request.headers()[HOST], "real:81");
        let user = outcome(Version::HTTP_11, "http://user@real/", &[("host", "real")]);
        assert_eq!(user, Err(Refusal::Host));
    }

    #[test]
    fn http_2_needs_an_authority_and_a_host_that_agrees() {
        assert_eq!(outcome(Version::HTTP_2, "https://a/", &[]), Ok(()));
        assert_eq!(
            outcome(Version::HTTP_2, "https://a/", &[("host", "A")]),
            Ok(())
        );
        let differs = outcome(Version::HTTP_2, "https://a/", &[("host", "b")]);
        assert_eq!(differs, Err(Refusal::Host));
        assert_eq!(
            outcome(Version::HTTP_2, "/", &[("host", "a")]),
            Err(Refusal::Host)
        );
    }

    #[test]
    fn chunked_is_the_only_transfer_coding() {
        let with = |coding| {
            let fields = [("host", "a"), ("transfer-encoding", coding)];
            outcome(Version::HTTP_11, "/", &fields)
        };
        assert_eq!(with("Chunked"), Ok(()));
        for coding in [
            "gzip, chunked",
            "chunked, chunked",
            "identity",
            "chunked;x=y",
        ] {
            assert_eq!(with(coding), Err(Refusal::TransferCoding), "{coding}");
        }
    }

    #[test]
    fn a_split_cookie_is_joined() {
        let cookies = [("cookie", "a=1"), ("cookie", "b=2; c=3"), ("cookie", "d=4")];
        let mut request = request(Version::HTTP_2, "https://a/", &cookies);
        assert_eq!(admit(&mut request, &limits()), Ok(()));
        let lines: Vec<_> = request.headers().get_all(COOKIE).iter().collect();
        assert_eq!(lines, ["a=1; b=2; c=3; d=4"]);
    }

    #[test]
    fn a_split_cookie_counts_once() {
        let cookies = [
            ("cookie", "a"),
            ("cookie", "b"),
            ("cookie", "c"),
            ("x", "y"),
            ("z", "z"),
        ];
        assert_eq!(outcome(Version::HTTP_2, "https://a/", &cookies), Ok(()));
        let fields = [("a", "a"), ("b", "b"), ("c", "c"), ("d", "d")];
        assert_eq!(
            outcome(Version::HTTP_2, "https://a/", &fields),
            Err(Refusal::Fields)
        );
    }
}
