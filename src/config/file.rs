//! What the operator wrote, checked and typed: the whole file.

pub use super::language::{Language, LanguageSource};
pub use super::operation::{AccessLog, Admin, Cache, Level, Log, Purge, Tiers};
pub use super::pattern::{HostPattern, PathPattern, Rest, Segment, Template};
pub use super::route::{Lifetime, Route, RouteTags, StatusPattern, TtlMode};
pub use super::rules::{BypassRule, Compress, CookieRule, QueryMarker, QueryRule};
pub use super::secrets::Secret;
pub use super::server::{Certificate, HttpMode, Server, Tls, TlsVersion};
pub use super::upstream::{ServerUrl, Upstream, UpstreamHost};
pub use super::webhook::{
    Dialect, Hmac, HmacAlgorithm, HmacEncoding, RuleMode, Webhook, WebhookRule,
};

use super::section::{Section, default};
use super::{route, server, upstream, webhook};

/// A configuration without a mistake, every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The site: part of every key and of the purge log.
    pub namespace: String,
    pub server: Server,
    pub certificates: Vec<Certificate>,
    pub tls: Tls,
    pub admin: Admin,
    pub log: Log,
    pub cache: Cache,
    pub purge: Purge,
    pub tiers: Tiers,
    /// By name.
    pub upstreams: Vec<Upstream>,
    /// In the order of the file.
    pub routes: Vec<Route>,
    pub webhooks: Vec<Webhook>,
}

impl Config {
    /// What the sections hold; where one has a mistake, the default in its place.
    pub(super) fn read(root: &Section<'_>) -> Self {
        let namespace = root.text(
            "namespace",
            default("default"),
            super::NAME,
            "The name of the site: part of every key and of the purge log. Instances with the \
             same name share what they store and purge; another name starts with an empty cache.",
            super::name,
        );
        let server = Server::read(root);
        let certificates = server::certificates(root);
        let tls = Tls::read(root);
        let admin = Admin::read(root);
        let log = Log::read(root);
        let cache = Cache::read(root);
        let purge = Purge::read(root);
        let tiers = Tiers::read(root);
        let upstreams = upstream::upstreams(root);
        let routes = route::routes(root, &tiers);
        let webhooks = webhook::webhooks(root);
        Self {
            namespace: namespace.unwrap_or_default(),
            server,
            certificates,
            tls,
            admin,
            log,
            cache,
            purge,
            tiers,
            upstreams,
            routes,
            webhooks,
        }
    }
}
