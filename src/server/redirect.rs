//! Plaintext requests sent to HTTPS.

use http::header::{HOST, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};

use super::admit::{Refusal, host_name};
use crate::body::Body;

const HTTPS_PORT: u16 = 443;

/// The redirect of an admitted request to the same URI with the scheme `https` and `port`: 301
/// for GET and HEAD, 308, which keeps the method, for all others (RFC 9110 §15.4).
pub(super) fn to_https<B>(request: &Request<B>, port: u16) -> Result<Response<Body>, Refusal> {
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => request.headers().get(HOST).ok_or(Refusal::Host)?.as_bytes(),
    };
    let host = host_name(authority).ok_or(Refusal::Host)?;
    let path = match request.uri().path_and_query() {
        Some(path) if path.as_str().starts_with('/') => path.as_str(),
        _ => "/",
    };
    let location = match port {
        HTTPS_PORT => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = match *request.method() {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let location = HeaderValue::try_from(location).map_err(|_| Refusal::Host)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(method: &str, uri: &str, host: &str, port: u16) -> (u16, String) {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(HOST, host);
        let response = to_https(&request.body(()).unwrap(), port).unwrap();
        let location = response.headers()[LOCATION].to_str().unwrap().to_owned();
        (response.status().as_u16(), location)
    }

    #[test]
    fn the_uri_stays_and_the_scheme_changes() {
        assert_eq!(
            redirect("GET", "/a?b=%20c", "x.example:80", 443),
            (301, "https://x.example/a?b=%20c".to_owned())
        );
        assert_eq!(
            redirect("HEAD", "/", "x.example", 8443),
            (301, "https://x.example:8443/".to_owned())
        );
        assert_eq!(
            redirect("POST", "/", "[::1]:80", 443),
            (308, "https://[::1]/".to_owned())
        );
    }

    #[test]
    fn a_target_in_absolute_form_names_the_host() {
        assert_eq!(
            redirect("GET", "http://real/a", "other", 443).1,
            "https://real/a"
        );
        assert_eq!(redirect("OPTIONS", "*", "x", 443).1, "https://x/");
    }

    #[test]
    fn without_a_host_there_is_no_redirect() {
        let request = Request::builder().uri("/").body(()).unwrap();
        assert_eq!(to_https(&request, 443).err(), Some(Refusal::Host));
    }
}
