//! The head of a request as one version of HTTP writes it.

use http::header::{CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Parts, PathAndQuery};
use http::{HeaderName, HeaderValue, Request, Uri, Version};

use super::error::{Error, Kind};
use super::loan::Loan;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What both ways of writing a head are made from.
#[derive(Debug)]
pub(super) struct Shape {
    target: Uri,
    host: Option<HeaderValue>,
    framing: Option<HeaderValue>,
}

impl Shape {
    /// Of a request with an absolute target.
    pub(super) fn of(request: &Request<Loan>) -> Self {
        Self {
            target: request.uri().clone(),
            host: request.headers().get(HOST).cloned(),
            framing: request.headers().get(TRANSFER_ENCODING).cloned(),
        }
    }

    /// May be applied again to the same request, for the other version.
    pub(super) fn apply(
        &self,
        request: Request<Loan>,
        http2: bool,
    ) -> Result<Request<Loan>, Error> {
        if http2 {
            self.http2(request)
        } else {
            Ok(self.http1(request))
        }
    }

    /// RFC 9112 §3.2: the target in origin-form, the authority in `Host`.
    fn http1(&self, mut request: Request<Loan>) -> Request<Loan> {
        let target = self.target.path_and_query().cloned();
        *request.uri_mut() = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        if let Some(host) = &self.host {
            headers.insert(HOST, host.clone());
        }
        if let Some(framing) = &self.framing {
            headers.insert(TRANSFER_ENCODING, framing.clone());
        }
        // RFC 9110 §10.1.4: "A sender of TE MUST also send a "TE" connection option".
        if headers.contains_key(TE) && !headers.contains_key(CONNECTION) {
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        request
    }

    /// RFC 9113 §8.3.1: the authority in a pseudo-header field instead of `Host`; §8.2.2: nothing
    /// about the connection.
    fn http2(&self, mut request: Request<Loan>) -> Result<Request<Loan>, Error> {
        let mut target = Parts::from(self.target.clone());
        if let Some(host) = &self.host {
            let authority = Authority::try_from(host.as_bytes())
                .map_err(|error| Error::from_source(Kind::InvalidRequest, error))?;
            target.authority = Some(authority);
        }
        *request.uri_mut() = Uri::from_parts(target)
            .map_err(|error| Error::from_source(Kind::InvalidRequest, error))?;
        *request.version_mut() = Version::HTTP_2;
        for name in [
            HOST,
            CONNECTION,
            TRANSFER_ENCODING,
            UPGRADE,
            KEEP_ALIVE,
            PROXY_CONNECTION,
        ] {
            request.headers_mut().remove(name);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::super::loan;
    use super::*;
    use crate::body::Body;

    fn request() -> Request<Loan> {
        Request::post("http://10.0.0.1:8000/a%2Fb?x=%5B")
            .header(HOST, "www.example.org")
            .header(TRANSFER_ENCODING, "chunked")
            .header(TE, "trailers")
            .body(loan::lend(Body::empty(), false).0)
            .unwrap()
    }

    #[test]
    fn http1_has_the_target_in_origin_form_and_names_te_in_connection() {
        let request = request();
        let shaped = Shape::of(&request).apply(request, false).unwrap();
        assert_eq!(shaped.uri(), "/a%2Fb?x=%5B");
        assert_eq!(shaped.headers()[HOST], "www.example.org");
        assert_eq!(shaped.headers()[CONNECTION], "te");
    }

    #[test]
    fn http2_has_the_host_as_its_authority_and_nothing_of_the_connection() {
        let request = request();
        let shaped = Shape::of(&request).apply(request, true).unwrap();
        assert_eq!(shaped.uri(), "http://www.example.org/a%2Fb?x=%5B");
        assert_eq!(shaped.headers().keys().collect::<Vec<_>>(), [TE]);
    }

    #[test]
    fn a_request_can_go_from_one_version_to_the_other_and_back() {
        let request = request();
        let shape = Shape::of(&request);
        let there = shape.apply(request, true).unwrap();
        let back = shape.apply(there, false).unwrap();
        assert_eq!(back.uri(), "/a%2Fb?x=%5B");
        assert_eq!(back.version(), Version::HTTP_11);
        assert_eq!(back.headers()[HOST], "www.example.org");
        assert_eq!(back.headers()[TRANSFER_ENCODING], "chunked");
    }
}
