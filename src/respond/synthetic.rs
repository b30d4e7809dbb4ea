//! Responses made here, for want of another.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use super::NAME;
use crate::body::Body;
use crate::fields::proxy_status;

/// The `detail` of a request whose exchange brought an error that the origin answered with.
pub const ORIGIN_ERROR: &str = "origin-error";

/// A short text that no cache keeps.
pub fn response(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::full(format!("{text}\n")));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// There is no memory for what the request needs; in a second there may be.
pub fn no_room() -> Response<Body> {
    let text = "There is no room for this request now.";
    let mut response = response(StatusCode::SERVICE_UNAVAILABLE, text);
    let second = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, second);
    response
}

/// The origin could not be asked, or did not answer: says why in `Proxy-Status` (RFC 9209), and
/// nothing about where the origin is.
pub fn gateway_error(status: StatusCode, error: &'static str) -> Response<Body> {
    let text = match status {
        _ if error == ORIGIN_ERROR => "The origin answered with an error.",
        StatusCode::GATEWAY_TIMEOUT => "The origin did not answer in time.",
        StatusCode::SERVICE_UNAVAILABLE => "The origin has no room for more requests.",
        _ => "The origin cannot be reached or sent no valid response.",
    };
    let mut response = response(status, text);
    let value = if error == ORIGIN_ERROR {
        proxy_status::received(NAME, status.as_u16())
    } else {
        proxy_status::error(NAME, error, None)
    };
    let name = HeaderName::from_static("proxy-status");
    response.headers_mut().insert(name, value);
    response
}
