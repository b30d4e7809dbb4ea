//! Content whose memory is counted for as long as it is on its way.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::{Body, BodyError};
use crate::budget::Charge;

impl Body {
    /// The same content; `charge` is given back when it has been read or dropped.
    pub fn charged(self, charge: Charge) -> Self {
        Self::stream(Charged {
            body: self,
            _charge: charge,
        })
    }
}

struct Charged {
    body: Body,
    _charge: Charge,
}

impl HttpBody for Charged {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::budget::{Budget, Use};

    #[tokio::test]
    async fn a_charge_ends_with_its_body() {
        let budget = Budget::new(100);
        let body = Body::full("text").charged(budget.take(Use::Exchanges, 10));
        assert_eq!(body.size_hint().exact(), Some(4));
        assert_eq!(budget.used(Use::Exchanges), 10);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "text");
        assert_eq!(budget.used(Use::Exchanges), 0);
        let empty = Body::empty().charged(budget.take(Use::Exchanges, 10));
        assert_eq!(budget.used(Use::Exchanges), 0);
        drop(empty);
    }
}
