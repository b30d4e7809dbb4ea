//! Purge protocols: methods on the public port that CMSs and their plugins already speak. One file
//! for each dialect.
//!
//! Whoever is neither in a listed network nor has the token gets 403. A request with such a method
//! is never forwarded, whoever sent it, and also where purge protocols are off: an origin could do
//! anything with it.

mod url;

use std::net::IpAddr;
use std::sync::Arc;

use http::header::HeaderName;
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use ipnet::IpNet;

use self::url::NotUnderstood;
use super::answer::{self, Problem};
use super::log::Log;
use super::secret::Token;
use super::target::Targets;
use super::{Cause, Purge};
use crate::body::Body;
use crate::telemetry::purge::PurgeMetrics;

/// Who may purge by protocol. Nobody by default, which is how purge protocols are turned off.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Addresses of clients: of peers, or as a trusted proxy names them (`crate::connection`). What
    /// others say of themselves does not count.
    pub allow_from: Vec<IpNet>,
    /// In `X-Purge-Token`, or in `Authorization` with the scheme `Bearer`.
    pub token: Option<Token>,
}

impl Settings {
    const fn is_off(&self) -> bool {
        self.allow_from.is_empty() && self.token.is_none()
    }
}

/// See the module.
pub struct Protocol<L> {
    settings: Settings,
    log: Arc<L>,
    targets: Targets,
    metrics: PurgeMetrics,
}

const TOKEN: HeaderName = HeaderName::from_static("x-purge-token");
const SOURCE: &str = "protocol";

/// The methods by which plugins of CMSs purge. `PURGE` is spoken here; the others are known.
const METHODS: [&str; 5] = ["PURGE", "BAN", "PURGEKEYS", "PURGETAGS", "REFRESH"];

/// Whether `method` belongs to a purge protocol. Such a request must not reach the origin.
pub fn is_purge(method: &Method) -> bool {
    METHODS.contains(&method.as_str())
}

impl<L: Log> Protocol<L> {
    pub const fn new(
        settings: Settings,
        log: Arc<L>,
        targets: Targets,
        metrics: PurgeMetrics,
    ) -> Self {
        Self {
            settings,
            log,
            targets,
            metrics,
        }
    }

    /// Answers a request whose method [`is_purge`]. Its body, if any, means nothing.
    pub async fn purge(&self, head: &Parts, peer: IpAddr) -> Response<Body> {
        if !self.may(&head.headers, peer) {
            return self.forbidden(head, peer);
        }
        let (scopes, mode) = match url::read(head, &self.targets) {
            Ok(read) => read,
            Err(error) => return self.not_understood(&error),
        };
        let purge = match Purge::new(scopes, mode, Cause::Protocol("url")) {
            Ok(purge) => purge,
            Err(error) => return self.bad(StatusCode::BAD_REQUEST, error.to_string()),
        };
        match self.log.append(purge).await {
            Ok(receipt) => {
                self.count("purged");
                tracing::info!(%peer, uri = %head.uri, id = %receipt.id, "purged");
                answer::receipt(&receipt, &[])
            }
            Err(error) => {
                self.count("log-failed");
                tracing::error!(%peer, uri = %head.uri, %error, "a purge may be lost");
                answer::log_failed(error)
            }
        }
    }

    fn may(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        // On a socket for both families an IPv4 peer has a mapped address.
        let peer = peer.to_canonical();
        let listed = self.settings.allow_from.iter();
        let token = self.settings.token.as_ref();
        listed.into_iter().any(|network| network.contains(&peer))
            || token.is_some_and(|token| token.is_presented(headers, Some(&TOKEN)))
    }

    fn forbidden(&self, head: &Parts, peer: IpAddr) -> Response<Body> {
        let (reason, detail) = if self.settings.is_off() {
            (
                "off",
                "purge protocols are turned off here; nothing was purged",
            )
        } else {
            (
                "forbidden",
                "this peer may not purge: it is in no listed network and has no token",
            )
        };
        self.count(reason);
        tracing::warn!(%peer, uri = %head.uri, reason, "purge refused");
        Problem::new(StatusCode::FORBIDDEN, reason, detail).response()
    }

    fn not_understood(&self, error: &NotUnderstood) -> Response<Body> {
        let status = match error {
            NotUnderstood::Dialect(_) | NotUnderstood::Method(_) => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        };
        self.bad(status, error.to_string())
    }

    fn bad(&self, status: StatusCode, detail: String) -> Response<Body> {
        self.count("not-understood");
        Problem::new(status, "not-understood", detail).response()
    }

    fn count(&self, outcome: &'static str) {
        self.metrics.request(SOURCE, outcome);
    }
}

impl<L> std::fmt::Debug for Protocol<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Protocol").field(&self.settings).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::entry::purges::Purges;
    use crate::exchange::{Generation, Position};
    use crate::purge::local::LocalLog;
    use crate::purge::target::{self, SortedQuery};
    use http::Request;

    struct Stage {
        purges: Arc<Purges>,
        metrics: PurgeMetrics,
        protocol: Protocol<LocalLog>,
    }

    fn stage() -> Stage {
        let purges = Arc::new(Purges::new(Generation::new(1)));
        let metrics = PurgeMetrics::unregistered();
        let clock = Arc::new(SystemClock);
        let log = LocalLog::new(Arc::clone(&purges), clock, "edge-1", metrics.clone());
        let settings = Settings {
            allow_from: ["127.0.0.1/32", "10.0.0.0/8"]
                .map(|network| network.parse().unwrap())
                .into(),
            token: Token::new("a-token"),
        };
        let targets = Targets::new(target::Settings::default(), Arc::new(SortedQuery));
        let protocol = Protocol::new(settings, Arc::new(log), targets, metrics.clone());
        Stage {
            purges,
            metrics,
            protocol,
        }
    }

    async fn status(stage: &Stage, peer: &str, token: Option<(&str, &str)>) -> u16 {
        let mut request = Request::builder()
            .method("PURGE")
            .uri("/a")
            .header("host", "h");
        if let Some((name, value)) = token {
            request = request.header(name, value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let response = stage.protocol.purge(&head, peer.parse().unwrap()).await;
        response.status().as_u16()
    }

    #[tokio::test]
    async fn listed_peers_may_purge_and_others_need_the_token() {
        let stage = stage();
        for peer in ["127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3"] {
            assert_eq!(status(&stage, peer, None).await, 200, "{peer}");
        }
        assert_eq!(stage.purges.fence().position, Position::new(3));
        for token in [
            None,
            Some(("x-purge-token", "other")),
            Some(("x-forwarded-for", "127.0.0.1")),
        ] {
            assert_eq!(status(&stage, "192.0.2.1", token).await, 403, "{token:?}");
        }
        assert_eq!(stage.purges.fence().position, Position::new(3));
        assert_eq!(stage.metrics.request_count("protocol", "forbidden"), 3);
        let bearer = Some(("authorization", "Bearer a-token"));
        let own = Some(("x-purge-token", "a-token"));
        for token in [bearer, own] {
            assert_eq!(status(&stage, "192.0.2.1", token).await, 200);
        }
        assert_eq!(stage.purges.fence().position, Position::new(5));
    }

    #[tokio::test]
    async fn what_is_not_understood_purges_nothing() {
        let stage = stage();
        let regex = Some(("x-purge-method", "regex"));
        assert_eq!(status(&stage, "127.0.0.1", regex).await, 501);
        let mode = Some(("cms-edge-purge-mode", "gentle"));
        assert_eq!(status(&stage, "127.0.0.1", mode).await, 400);
        assert_eq!(stage.purges.fence().position, Position::new(0));
    }
}
