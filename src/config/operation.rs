//! `[admin]`, `[cache]`, `[purge]`, `[ttl]`: what the operator sees, and the limits of the
//! whole.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::describe::Kind;
use super::getters::{ADDRESS, address, duration_in, near};
use super::section::{Section, Wrong, default};
use super::tls::AdminTls;
use super::units;
use crate::purge::secret::Token;
use crate::purge::target;
use crate::store::memory;

#[derive(Clone, Debug)]
pub struct Admin {
    pub listen: SocketAddr,
    /// `None`: the purge endpoints are off.
    pub token: Option<Token>,
    pub tls: AdminTls,
}

#[derive(Clone, Copy, Debug)]
pub struct Cache {
    pub memory: memory::Settings,
    pub fills_max: usize,
}

#[derive(Clone, Debug)]
pub struct Purge {
    pub allow_from: Vec<IpNet>,
    pub token: Option<Token>,
    pub protocols: bool,
    pub targets: target::Settings,
}

/// The named lifetimes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tiers(BTreeMap<String, Duration>);

const ADMIN: &str = "Health, metrics, and the purge, reload and switch endpoints for scripts. Not for the \
    public.";

impl Admin {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("admin", ADMIN);
        let listen = s.text(
            "listen",
            default("127.0.0.1:9090"),
            ADDRESS,
            "Where the admin listener is. An address that others than this machine reach needs a \
             token or a client_ca.",
            address,
        );
        let listen = listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 9090).into());
        let is_ours = s.is_by_variable("listen");
        Self {
            listen: s.reader.operator.admin_address(listen, is_ours),
            token: s.token(
                "token",
                "What purges, reloads and switches must carry as `Authorization: Bearer …`. Empty: \
                 their endpoints are off.",
            ),
            tls: AdminTls::read(&s),
        }
    }
}

impl Cache {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("cache", "The limits of the cache as a whole.");
        let memory = memory::Settings {
            bytes_max: s.size(
                "memory",
                "256MiB",
                "0B"..="1TiB",
                "Bytes of stored responses. 0B: none in memory, Redis alone. Small: the least used leave early and the CMS is asked \
                 again. Large: what the machine does not have, it swaps.",
            ),
            variants_max: s.count(
                "variants_max",
                32,
                1..=1000,
                "Stored responses per URL that differ by Vary. Low: variants push each other out. \
                 High: a header that is different for everybody fills the cache with one page.",
            ),
        };
        Self {
            memory,
            fills_max: s.count(
                "fills_max",
                1024,
                1..=100_000,
                "Responses that are fetched into the cache at the same time, whether or not their \
                 client is still there. More go through without being stored.",
            ),
        }
    }
}

const PURGE: &str = "Purge requests as the plugins of CMSs send them (method PURGE), on the public \
    listeners, and what a purge of a URL covers. Webhooks have their own settings below.";

impl Purge {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("purge", PURGE);
        Self {
            allow_from: s.networks(
                "allow_from",
                &["127.0.0.1/32", "::1/128"],
                "Clients that may send them without a token; behind a proxy they are known only \
                 with server.trusted_proxies or proxy_protocol_from. A network that strangers \
                 are in lets them empty the cache; empty is nobody.",
            ),
            token: s.token(
                "token",
                "What others must send as `X-Purge-Token: …` or `Authorization: Bearer …`. Empty: \
                 only allow_from counts.",
            ),
            protocols: s.boolean(
                "protocols",
                false,
                "Whether they are obeyed at all. false: they are answered 403. They never reach the \
                 CMS.",
            ),
            targets: target::Settings {
                slash_variants: s.boolean(
                    "slash_variants",
                    true,
                    "A purge of a URL covers its path with and without the slash at the end. \
                     false: exactly what was named; the other form stays until its lifetime ends.",
                ),
                any_query: s.boolean(
                    "any_query",
                    true,
                    "A purge of a URL covers it with every query. false: exactly the query that \
                     was named.",
                ),
            },
        }
    }
}

const TTL: &str = "Lifetimes with a name, for `ttl` and its like in routes. These five are always \
    there; more may be added, e.g. news = \"90s\".";

/// The five that are always there: name, lifetime, what it is for.
const TIERS: [(&str, &str, &str); 5] = [
    ("short", "5m", "For what changes often, and lists."),
    ("medium", "30m", "For pages that nobody purges."),
    ("long", "2h", "For pages that a webhook purges."),
    ("very_long", "24h", "For what hardly changes."),
    (
        "year",
        "365d",
        "For files whose name changes with their content.",
    ),
];

pub(super) const LIFETIME_MIN: &str = "0s";
pub(super) const LIFETIME_MAX: &str = "3650d";

impl Tiers {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("ttl", TTL);
        let range = LIFETIME_MIN..=LIFETIME_MAX;
        let mut tiers = BTreeMap::new();
        for (name, lifetime, doc) in TIERS {
            let lifetime = s.duration(name, lifetime, range.clone(), doc);
            tiers.insert(name.to_owned(), lifetime);
        }
        let kind = Kind::Duration {
            min: LIFETIME_MIN,
            max: LIFETIME_MAX,
            or_empty: false,
        };
        for (name, value) in s.rest() {
            let path = s.path.key(name);
            if !super::is_name(name) || units::duration(name).is_some() {
                let found = format!("a tier called {name:?}");
                s.reader.object(&path, &found, super::NAME);
                continue;
            }
            let text = value.as_str().ok_or_else(Wrong::default);
            match text.and_then(|text| duration_in(text, &range)) {
                Ok(lifetime) => {
                    tiers.insert(name.to_owned(), lifetime);
                }
                Err(wrong) => {
                    s.refuse(&path, value, &kind, wrong);
                    // Routes may name it: what is wrong is here.
                    tiers.insert(name.to_owned(), Duration::ZERO);
                }
            }
        }
        Self(tiers)
    }

    pub fn lifetime(&self, name: &str) -> Option<Duration> {
        self.0.get(name).copied()
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.0.iter().map(|(name, ttl)| (name.as_str(), *ttl))
    }

    /// The name of a tier, or a duration.
    pub(super) fn resolve(&self, text: &str) -> Result<Duration, Wrong> {
        if let Some(lifetime) = self.lifetime(text) {
            return Ok(lifetime);
        }
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        duration_in(text, &(LIFETIME_MIN..=LIFETIME_MAX)).map_err(|_| Wrong {
            allowed: Some(format!(
                "a tier ({}) or a duration like \"5m\"",
                names.join(", ")
            )),
            meant: near(text, names.iter().copied()),
            ..Wrong::default()
        })
    }
}
