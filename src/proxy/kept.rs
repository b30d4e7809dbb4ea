//! A response on its way into the store, and why another is not.

use std::sync::Arc;

use http::header::{ACCEPT_RANGES, AGE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::fill::{Filled, Streaming, Waiting};
use crate::body::Body;
use crate::body::tee::{self, Writer};
use crate::budget::{Budget, Use};
use crate::fields::accept_encoding::Coding;
use crate::fields::content_length;
use crate::policy::storability::{NotStorable, Storable};

/// A response that may be stored once its content is there.
pub(super) struct Kept {
    pub budget: Arc<Budget>,
    pub storable: Storable,
    /// The status the origin answered with.
    pub received: StatusCode,
    pub coding: Coding,
    /// Whether the client accepts that coding.
    pub is_accepted: bool,
    /// What clients are sent.
    pub fields: HeaderMap,
    /// The client, until it has been given something.
    pub client: Option<Waiting>,
}

/// Why a response is not stored.
pub(super) struct Reason {
    pub name: &'static str,
    /// It says nothing of what others would be answered, nor of what is stored.
    pub is_about_request: bool,
}

impl From<NotStorable> for Reason {
    fn from(reason: NotStorable) -> Self {
        Self {
            name: reason.as_str(),
            is_about_request: reason.is_about_request(),
        }
    }
}

impl From<&'static str> for Reason {
    fn from(name: &'static str) -> Self {
        Self {
            name,
            is_about_request: false,
        }
    }
}

impl Kept {
    pub(super) fn streaming(&self, body: Body) -> Streaming {
        let terms = self.storable.terms();
        let age = terms.corrected_initial_age.as_secs();
        let mut fields = self.fields.clone();
        fields.insert(AGE, age.into());
        let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        Streaming {
            status: self.storable.status(),
            received: self.received,
            fields,
            origin: self.storable.headers().clone(),
            body,
            not_stored: None,
            ttl: Some(seconds(terms.lifetime.fresh.as_secs()) - seconds(age)),
        }
    }

    /// Hands the client a pipe, if it is still there. One that does not accept the coding waits
    /// for the whole, which can be decoded, unless it is `too_large` for that.
    pub(super) fn begin_streaming(&mut self, too_large: bool) -> Option<Writer> {
        if !(self.is_accepted || too_large) {
            return None;
        }
        let client = self.client.take()?;
        let length = content_length::of(self.storable.headers());
        let (writer, reader) = tee::charged(length, self.budget.take(Use::Responses, 0));
        let streaming = self.streaming(Body::stream(reader));
        client.send(Filled::Streaming(Box::new(streaming))).ok()?;
        Some(writer)
    }
}

/// RFC 9110 §14.3: of what is stored as it is, parts are served.
pub(super) fn offer_ranges(fields: &mut HeaderMap, status: StatusCode, coding: Coding) {
    if status == StatusCode::OK && coding == Coding::Identity {
        fields.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
}
