//! The head of a forwarded request: target, Host and framing are ours, the rest is as it came.

use http::header::{
    CONTENT_LENGTH, HOST, HeaderName, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body::Body as _;

use super::HostRule;
use super::error::{Error, Kind};
use super::loan::Loan;
use super::pool::Via;
use super::server::Site;
use crate::body::Body;
use crate::interim::Relay;

/// A request head that can be addressed to one server after another.
#[derive(Debug)]
pub(super) struct Head {
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    relay: Option<Relay>,
}

impl Head {
    /// Splits a request into what is sent first and its content. The framing fields of the request
    /// are replaced by what its content is (RFC 9112 §6): nothing a client wrote about lengths
    /// reaches an origin server.
    pub(super) fn split(request: Request<Body>) -> Result<(Self, Body), Error> {
        let (mut parts, content) = request.into_parts();
        let relay = parts.extensions.remove::<Relay>();
        let mut headers = parts.headers;
        frame(&mut headers, &parts.method, &content);
        let target = match parts.uri.into_parts().path_and_query {
            Some(target) if parts.method != Method::CONNECT => target,
            _ => return Err(Error::new(Kind::InvalidRequest)),
        };
        let head = Self {
            method: parts.method,
            target,
            headers,
            relay,
        };
        Ok((head, content))
    }

    /// Whether the request may be sent again after it may have been applied (RFC 9110 §9.2.2). Of
    /// the second of two that change something under a condition the outcome is another one: the
    /// first has made the condition false.
    pub(super) fn is_repeatable(&self) -> bool {
        let has_condition = || {
            CONDITIONS
                .iter()
                .any(|name| self.headers.contains_key(name))
        };
        self.method.is_safe() || self.method.is_idempotent() && !has_condition()
    }

    pub(super) const fn relay(&self) -> Option<&Relay> {
        self.relay.as_ref()
    }

    /// A request for another protocol takes a connection that no other request has to do with.
    pub(super) fn via(&self) -> Via {
        if self.headers.contains_key(UPGRADE) {
            Via::Fresh
        } else {
            Via::Pooled
        }
    }

    /// The request as `site` gets it. `content` has to be what [`Head::split`] took off.
    pub(super) fn to(
        &self,
        site: &Site,
        rule: &HostRule,
        content: Loan,
    ) -> Result<Request<Loan>, Error> {
        let uri = Uri::builder()
            .scheme(site.scheme.clone())
            .authority(site.authority.clone())
            .path_and_query(self.target.clone())
            .build()
            .map_err(|error| Error::from_source(Kind::InvalidRequest, error))?;
        let mut headers = self.headers.clone();
        let host = match rule {
            HostRule::Preserve => headers.get(HOST).unwrap_or(&site.host).clone(),
            HostRule::Upstream => site.host.clone(),
            HostRule::Literal(host) => host.clone(),
        };
        headers.insert(HOST, host);
        let mut request = Request::new(content);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Preconditions of requests that change something (RFC 9110 §13.1).
const CONDITIONS: [HeaderName; 3] = [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE];

fn frame(headers: &mut HeaderMap, method: &Method, content: &Body) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    if content.is_end_stream() {
        // RFC 9110 §8.6: a method that anticipates content says that there is none.
        if [Method::POST, Method::PUT, Method::PATCH].contains(method) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        return;
    }
    match content.size_hint().exact() {
        Some(length) => headers.insert(CONTENT_LENGTH, HeaderValue::from(length)),
        None => headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
    };
}

#[cfg(test)]
mod tests {
    use super::super::loan;
    use super::*;

    fn sent(request: Request<Body>, rule: &HostRule) -> Request<Loan> {
        let (head, content) = Head::split(request).unwrap();
        let url: Uri = "http://cms.internal:8000".parse().unwrap();
        head.to(
            &Site::new(&url.into()).unwrap(),
            rule,
            loan::lend(content, false).0,
        )
        .unwrap()
    }

    #[test]
    fn the_target_is_kept_as_it_is_and_addressed_to_the_server() {
        let request = Request::get("/a%2Fb//c?x=1&x=%5B")
            .body(Body::empty())
            .unwrap();
        let sent = sent(request, &HostRule::Upstream);
        assert_eq!(sent.uri(), "http://cms.internal:8000/a%2Fb//c?x=1&x=%5B");
    }

    #[test]
    fn framing_fields_of_the_client_are_replaced() {
        let request = Request::get("/")
            .header(CONTENT_LENGTH, "7")
            .header(TRANSFER_ENCODING, "chunked")
            .body(Body::empty())
            .unwrap();
        let sent = sent(request, &HostRule::Upstream);
        assert!(!sent.headers().contains_key(CONTENT_LENGTH));
        assert!(!sent.headers().contains_key(TRANSFER_ENCODING));
    }

    #[test]
    fn a_length_that_is_known_is_said_and_another_one_is_chunked() {
        let post = |content| Request::post("/").body(content).unwrap();
        let known = sent(post(Body::full("four")), &HostRule::Upstream);
        assert_eq!(known.headers()[CONTENT_LENGTH], "4");
        let none = sent(post(Body::empty()), &HostRule::Upstream);
        assert_eq!(none.headers()[CONTENT_LENGTH], "0");
        let (_writer, reader) = crate::body::tee::tee(None);
        let unknown = sent(post(Body::stream(reader)), &HostRule::Upstream);
        assert_eq!(unknown.headers()[TRANSFER_ENCODING], "chunked");
    }

    #[test]
    fn connect_has_no_target_to_forward() {
        let request = Request::connect("cms:443").body(Body::empty()).unwrap();
        assert_eq!(Head::split(request).unwrap_err().kind, Kind::InvalidRequest);
    }
}
