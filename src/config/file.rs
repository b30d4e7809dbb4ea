//! What the operator wrote, checked and typed: the whole file.

pub use super::log::{AccessLog, Level, Log, Query, Trace};
pub use super::operation::{Admin, Cache, Purge, Tiers};
pub use super::purge_log::PurgeLog;
pub use super::server::Server;
pub use super::tls::{AdminTls, Tls};
pub use super::upstream::Upstream;

use super::redis::Redis;
use super::restart::Written;
use super::section::{Section, default};
use super::{route, server, upstream, webhook};
use crate::purge::webhook::settings::Settings as Webhook;
use crate::route::Route;
use crate::server::tls::Certificate;
use crate::switches;

/// A configuration without a mistake, every default filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The site: part of every key and of the purge log.
    pub namespace: String,
    pub server: Server,
    pub certificates: Vec<Certificate>,
    pub tls: Tls,
    pub admin: Admin,
    pub log: Log,
    pub trace: Trace,
    pub cache: Cache,
    pub redis: Redis,
    pub purge: Purge,
    pub purge_log: PurgeLog,
    pub tiers: Tiers,
    /// By name.
    pub upstreams: Vec<Upstream>,
    /// In the order of the file.
    pub routes: Vec<Route>,
    pub webhooks: Vec<Webhook>,
    /// What is on when the program starts.
    pub switches: switches::Settings,
    /// What is right and has no effect, or may not be meant, in sentences.
    pub notices: Vec<String>,
    /// For [`Config::needs_restart`].
    pub(super) written: Written,
}

impl Config {
    /// What the sections hold; where one has a mistake, the default in its place.
    pub(super) fn read(root: &Section<'_>) -> Self {
        let namespace = root.text(
            "namespace",
            default("default"),
            super::NAME,
            "The name of the site. It keeps apart the stored responses of sites that share a Redis; \
             instances of one site have the same.",
            super::name,
        );
        let server = Server::read(root);
        let certificates = server::certificates(root);
        let tls = Tls::read(root);
        let admin = Admin::read(root);
        let log = Log::read(root);
        let trace = Trace::read(root);
        let cache = Cache::read(root);
        let redis = Redis::read(root);
        let purge = Purge::read(root);
        let purge_log = PurgeLog::read(root, &redis.reach);
        let tiers = Tiers::read(root);
        let upstreams = upstream::upstreams(root);
        let routes = route::routes(root, &tiers, &upstreams);
        let webhooks = webhook::webhooks(root);
        let mut notices = Vec::new();
        if trace.endpoint.is_some() && !cfg!(feature = "otlp") {
            let why = "trace.endpoint has no effect: this build is without the feature otlp";
            notices.push(why.to_owned());
        }
        notices.extend(purge_log.notices());
        Self {
            namespace: namespace.unwrap_or_default(),
            server,
            certificates,
            tls,
            admin,
            log,
            trace,
            cache,
            redis,
            purge,
            purge_log,
            tiers,
            upstreams,
            routes,
            webhooks,
            switches: root.reader.operator.switches,
            notices,
            written: Written::default(),
        }
    }
}
