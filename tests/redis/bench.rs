//! A tier before servers of its own, and responses to put into it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cms_edge::clock::Timestamp;
use cms_edge::entry::head::Head;
use cms_edge::entry::{Content, StoredResponse, Tags};
use cms_edge::exchange::{Fence, Forwarded, Generation, Position};
use cms_edge::fields::accept_encoding::Coding;
use cms_edge::fields::date;
use cms_edge::fields::vary::Vary;
use cms_edge::key::{CacheKey, Folding, KeyRule, TargetUri};
use cms_edge::policy::CacheRule;
use cms_edge::policy::storability::{Asked, assess};
use cms_edge::store::redis::connect::{Mode, Servers};
use cms_edge::store::redis::{Redis, Reply, Settings, Write};
use cms_edge::store::{Look, StoreError};
use cms_edge::telemetry::redis::RedisMetrics;
use http::header::{ACCEPT, DATE, VARY};
use http::{HeaderMap, Method, StatusCode};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use tokio::sync::oneshot;

use crate::support::redis_server::{Server, eventually};

pub(crate) const GENERATION: Generation = Generation::new(0xfeed_0000_0000_0001);

/// One instance's tier.
pub(crate) struct Bench {
    pub(crate) redis: Redis,
    registry: Registry,
}

/// Longer than the default: the machine may be busy with other tests, and a lookup that takes too
/// long is another test.
pub(crate) const GENEROUS: Duration = Duration::from_secs(5);

pub(crate) fn servers(url: &str) -> Servers {
    Servers {
        section: "redis",
        mode: Mode::Standalone,
        first: url.into_connection_info().unwrap(),
        others: Vec::new(),
        master: "mymaster".to_owned(),
        sentinel_auth: false,
        ca: None,
        connect_timeout: Duration::from_secs(2),
    }
}

pub(crate) fn settings(servers: Servers) -> Settings {
    Settings {
        servers,
        namespace: "test".to_owned(),
        timeout: GENEROUS,
        connections: 2,
        collapse_wait: GENEROUS,
        object_bytes_max: 1 << 20,
        variants_max: 3,
    }
}

pub(crate) fn at_socket(server: &Server) -> Servers {
    let address = ConnectionAddr::Unix(server.socket());
    let first: ConnectionInfo = address.into_connection_info().unwrap();
    Servers {
        first,
        ..servers(&server.url())
    }
}

impl Bench {
    pub(crate) async fn before(server: &Server) -> Self {
        Self::with(settings(servers(&server.url()))).await
    }

    /// Returns once Redis is found.
    pub(crate) async fn with(settings: Settings) -> Self {
        let bench = Self::new(settings);
        bench.is_open().await;
        bench
    }

    pub(crate) fn new(settings: Settings) -> Self {
        let mut registry = Registry::default();
        let metrics = Arc::new(RedisMetrics::register(&mut registry));
        Self {
            redis: Redis::new(settings, metrics),
            registry,
        }
    }

    pub(crate) async fn is_open(&self) {
        eventually("Redis is asked", || async {
            self.metric("redis_breaker_open") == 0
        })
        .await;
    }

    pub(crate) async fn is_closed(&self) {
        eventually("Redis is left alone", || async {
            self.metric("redis_breaker_open") == 1
        })
        .await;
    }

    /// A series as `/metrics` writes it; 0 where it is not there.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
            .unwrap_or(0)
    }

    pub(crate) fn lookups(&self, outcome: &str) -> u64 {
        self.metric(&format!("redis_lookups_total{{outcome=\"{outcome}\"}}"))
    }

    pub(crate) fn writes(&self, outcome: &str) -> u64 {
        self.metric(&format!("redis_writes_total{{outcome=\"{outcome}\"}}"))
    }

    /// Whether it is there now.
    pub(crate) async fn put(&self, entry: &Arc<StoredResponse>) -> bool {
        self.write(entry, Write::Put).await
    }

    pub(crate) async fn write(&self, entry: &Arc<StoredResponse>, write: Write) -> bool {
        let (done, is_there) = oneshot::channel();
        self.redis.offer(Arc::clone(entry), write, move |is_there| {
            done.send(is_there).unwrap();
            None
        });
        is_there.await.unwrap()
    }

    pub(crate) async fn ask(&self, path: &str, accept: &str) -> Result<Reply, StoreError> {
        let (key, presented) = (key(path), presented(accept));
        let look = Look {
            key: &key,
            presented: &presented,
            folding: Folding::Careful,
            current: GENERATION,
        };
        self.redis.lookup(&look).await
    }

    /// The content that is found.
    pub(crate) async fn find(&self, path: &str, accept: &str) -> Option<Bytes> {
        let entry = self.ask(path, accept).await.unwrap().entry?;
        Some(entry.content().original().clone())
    }
}

pub(crate) fn key(path: &str) -> CacheKey {
    let target = TargetUri::parse("https", "a.example", path, None).unwrap();
    KeyRule::default().key(&target, &HeaderMap::new()).key
}

pub(crate) fn presented(accept: &str) -> HeaderMap {
    [(ACCEPT, accept.parse().unwrap())].into_iter().collect()
}

/// A response to be made.
pub(crate) struct Made<'m> {
    pub(crate) path: &'m str,
    /// Empty: it is for everybody.
    pub(crate) accept: &'m str,
    pub(crate) body: &'m [u8],
    pub(crate) generation: Generation,
    pub(crate) position: u64,
    pub(crate) ttl: Duration,
    /// Seconds by which its Date is before now.
    pub(crate) age: u64,
}

pub(crate) fn plain<'m>(path: &'m str, body: &'m str) -> Made<'m> {
    Made {
        path,
        accept: "",
        body: body.as_bytes(),
        generation: GENERATION,
        position: 0,
        ttl: Duration::from_secs(60),
        age: 0,
    }
}

/// A response that varies by Accept.
pub(crate) fn varied<'m>(path: &'m str, accept: &'m str, body: &'m str) -> Made<'m> {
    Made {
        accept,
        ..plain(path, body)
    }
}

impl Made<'_> {
    pub(crate) fn response(&self) -> Arc<StoredResponse> {
        let fence = Fence {
            generation: self.generation,
            position: Position::new(self.position),
        };
        let now = Timestamp::from_secs(1_795_262_400);
        let date = date::format(now.as_secs() - self.age);
        let presented = presented(self.accept);
        let mut fields: HeaderMap = [(DATE, date)].into_iter().collect();
        let mut vary = Vary::default();
        if !self.accept.is_empty() {
            fields.insert(VARY, "accept".parse().unwrap());
            vary = Vary::from_names([ACCEPT]);
        }
        let asked = Asked {
            method: &Method::GET,
            headers: &presented,
            no_store: false,
        };
        let rule = CacheRule {
            ttl: self.ttl,
            ..CacheRule::default()
        };
        let exchange = Forwarded::begin(now, fence).received(now);
        let storable = assess(asked, StatusCode::OK, fields.clone(), exchange, &rule).unwrap();
        Arc::new(StoredResponse::seal(
            key(self.path).select(&vary, &presented, Folding::Careful),
            vary,
            &storable,
            Head::new(&fields, &fields),
            Tags::new(["tag"]),
            Content::new(Bytes::copy_from_slice(self.body), Coding::Identity, true),
        ))
    }
}
