//! One exchange with an upstream, and the span that tells of it.

use http::{Request, Response};
use tokio::time::Instant;

use super::Shared;
use crate::body::Body;
use crate::exchange::{Exchange, Forwarded};
use crate::fetch::{self, OriginBody, Upstream};
use crate::respond::head::Presented;
use crate::sabotage::{Rule, breaks};
use crate::telemetry::trace::{Span, Trace};

impl Shared {
    /// The exchange whose response has come now, behind the fence that was read before it left.
    pub(super) fn received(&self, forwarded: Forwarded) -> Exchange {
        let now = self.clock.now();
        if breaks(Rule::Fence) {
            return Forwarded::begin(now, self.purges.fence()).received(now);
        }
        forwarded.received(now)
    }

    /// Sends a request for `presented`, and records the exchange if its trace is recorded.
    pub(super) async fn send(
        &self,
        upstream: &Upstream,
        request: Request<Body>,
        presented: Presented<'_>,
        trace: Trace,
    ) -> Result<Response<OriginBody>, fetch::Error> {
        if !self.tracing.records(trace) {
            return upstream.send(request).await;
        }
        let (began, started) = (self.clock.now(), Instant::now());
        let method = request.method().as_str().into();
        let outcome = upstream.send(request).await;
        let Presented {
            route,
            target,
            language,
        } = presented;
        let language = language.zip(route.key.language.as_ref());
        self.tracing.record(Span {
            trace,
            began,
            took: started.elapsed(),
            method,
            route: route.name.clone(),
            upstream: upstream.name().into(),
            host: target.host().into(),
            path: target.path().into(),
            language: language.map(|(negotiated, rule)| rule.tag(negotiated).into()),
            result: match &outcome {
                Ok(response) => Ok(response.status().as_u16()),
                Err(error) => Err(error.kind.label()),
            },
        });
        outcome
    }
}
