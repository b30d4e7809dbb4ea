//! What the listeners hand their requests to. A request sees one site from its first step to its
//! last.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::body::Body;
use crate::connection::Connection;
use crate::purge::protocol;
use crate::server::Handler;

use super::site::Site;

/// The requests of the public listeners: purges and webhooks are for us, the rest is proxied.
pub(super) struct Front(pub(super) Arc<ArcSwap<Site>>);

/// The requests of the admin listener.
pub(super) struct AdminFront(pub(super) Arc<ArcSwap<Site>>);

impl Handler for Front {
    async fn handle(
        &self,
        request: Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> Response<Body> {
        // A reference of its own, not a guard: requests that wait for the origin would use up the
        // few guards that are cheap.
        let site = self.0.load_full();
        let peer = connection.peer.ip();
        if protocol::is_purge(request.method()) {
            let (head, _no_content) = request.into_parts();
            return Box::pin(site.protocol.purge(&head, peer)).await;
        }
        if let Some(webhook) = site.webhooks.at(request.uri().path()) {
            return Box::pin(webhook.handle(request, peer)).await;
        }
        site.proxy.handle(request, connection).await
    }

    /// CMSs send their purges to the edge's own address, often without TLS, and follow no redirect:
    /// the purge would be lost.
    fn is_exempt_from_redirect(&self, request: &Request<Incoming>) -> bool {
        protocol::is_purge(request.method())
            || self.0.load().webhooks.at(request.uri().path()).is_some()
    }
}

impl Handler for AdminFront {
    async fn handle(
        &self,
        request: Request<Incoming>,
        _connection: &Arc<Connection>,
    ) -> Response<Body> {
        self.0.load_full().admin.handle(request).await
    }
}
