//! Requests for another protocol (RFC 9110 §7.8), on routes that allow it: never answered from the
//! store, never shared, and alone on both connections.
//!
//! What a client sends behind such a request waits until the 101 is there, and goes on through the
//! tunnel. With any other answer its connection ends: nobody takes those bytes for a request.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Version};
use tokio::time::timeout;

use super::ask::{self, Client};
use super::context::{self, Context, Refusal};
use super::outcome::Outcome;
use super::{Proxy, pass, refuse};
use crate::body::Body;
use crate::budget::Pressure;
use crate::fetch::OriginBody;
use crate::fields::cache_status::Fwd;
use crate::fields::{connection, upgrade};
use crate::respond::head::{self, Presented};
use crate::route::Route;
use crate::store::Store;
use crate::telemetry::cache::Answer;
use crate::telemetry::upgrade::Upgrade;
use crate::tunnel::Tunnel;

/// How long the origin's connection may take to change hands once its 101 is there.
const HANDOVER_MAX: Duration = Duration::from_secs(5);

const TOO_MANY: Refusal = Refusal {
    status: StatusCode::SERVICE_UNAVAILABLE,
    detail: "upgrades",
    text: "There are too many tunnels. Try again later.",
};

/// The protocol that a request wants and its route allows. Others are requests like any: the field
/// is not passed on.
pub(super) fn wanted<'r>(route: &'r Route, parts: &Parts) -> Option<&'r str> {
    if route.upgrades.is_empty()
        || parts.version != Version::HTTP_11
        || parts.method != Method::GET
        || context::has_content(&parts.headers)
    {
        return None;
    }
    upgrade::wanted(&parts.headers, &route.upgrades)
}

impl<S: Store> Proxy<S> {
    /// Asks the origin for `protocol`, and makes a tunnel if it agrees.
    pub(super) async fn upgrade(
        &self,
        context: &Context<'_>,
        route: &Route,
        parts: &Parts,
        protocol: &str,
    ) -> (Response<Body>, Outcome) {
        let (mut response, outcome) = self.try_upgrade(context, route, parts, protocol).await;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        (response, outcome)
    }

    async fn try_upgrade(
        &self,
        context: &Context<'_>,
        route: &Route,
        parts: &Parts,
        protocol: &str,
    ) -> (Response<Body>, Outcome) {
        let (shared, metrics) = (&self.shared, &self.shared.metrics);
        let outcome = Outcome::forwarded(Answer::Bypass, Fwd::Bypass).because("upgrade");
        let failed = |status, error| {
            metrics.upgrades.upgrade(Upgrade::Failed);
            pass::failed(outcome, status, error)
        };
        let Some(target) = &context.target else {
            return refuse(super::BAD_TARGET);
        };
        let Some(upstream) = shared.upstream(route) else {
            return failed(StatusCode::BAD_GATEWAY, "destination_not_found");
        };
        if shared.budget.pressure() == Pressure::Hard {
            return pass::no_room(shared, outcome);
        }
        let Ok(place) = Arc::clone(&shared.upgrades).try_acquire_owned() else {
            metrics.limit("upgrades");
            metrics.upgrades.upgrade(Upgrade::Limit);
            return refuse(TOO_MANY);
        };
        let client = Client::of(context, &parts.headers);
        let mut request = ask::for_upgrade(route, target, &parts.headers, client, protocol);
        request.extensions_mut().insert(context.relay(route));
        let presented = Presented {
            route,
            target,
            language: None,
        };
        let sent = shared.send(upstream, request, presented, client.trace);
        let mut response = match sent.await {
            Ok(response) => response,
            Err(error) => return failed(error.kind.status(), error.kind.proxy_status()),
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            metrics.upgrades.upgrade(Upgrade::Declined);
            return self
                .passed_on(presented, response, parts, false, outcome)
                .await;
        }
        let handover = timeout(HANDOVER_MAX, hyper::upgrade::on(&mut response)).await;
        let Ok(Ok(origin)) = handover else {
            return failed(StatusCode::BAD_GATEWAY, "connection_terminated");
        };
        metrics.upgrades.upgrade(Upgrade::Switched);
        let idle = shared.limits.upgrade_idle_timeout;
        let tunnel = Tunnel::new(origin, idle, Arc::clone(&metrics.upgrades), place);
        (switched(response, presented, protocol, tunnel), outcome)
    }
}

/// The 101 for the client.
fn switched(
    response: Response<OriginBody>,
    presented: Presented<'_>,
    protocol: &str,
    tunnel: Tunnel,
) -> Response<Body> {
    let (mut head, _no_content) = response.into_parts();
    connection::strip_hop_by_hop(&mut head.headers);
    let mut fields = head::of_passed(&head.headers, head.version, presented, false);
    fields.remove(CONTENT_LENGTH);
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(protocol) = HeaderValue::from_str(protocol) {
        fields.insert(UPGRADE, protocol);
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = fields;
    tunnel.hand_over(response.extensions_mut());
    response
}
