//! The whole program on real sockets, one file a subject.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop where it stands"
)]

#[path = "../support"]
mod support {
    pub(crate) mod authority;
    pub(crate) mod client;
    pub(crate) mod decode;
    pub(crate) mod origin;
    pub(crate) mod program;
    pub(crate) mod raw;
    pub(crate) mod recording;
    pub(crate) mod script;
    pub(crate) mod short;
    pub(crate) mod signing;
    pub(crate) mod stage;
}

/// How a cache handled a request, told to its client.
mod cache_status;
/// Who the client is.
mod client;
/// One request to the origin for many that want the same.
mod collapse;
/// Content codings.
mod compression;
/// Conditional requests of clients.
mod conditional;
/// The least that must work: a miss, a hit, a purge.
mod first_light;

/// What real CMSs send, through routes as their operators would write them.
mod cms;
/// Streams of server-sent events.
mod events;
/// What a client is asked for before its content, and told after it.
mod expectations;
/// A purge cannot lose to a fetch.
mod fence;
/// Which requests are forwarded, and what of them the origin sees.
mod forwarding;
/// Groups of responses that are invalidated together.
mod groups;
/// What a HEAD says of what is stored.
mod head;
/// Interim responses: early hints, and the 100 that asks for content.
mod interim;
/// What a successful unsafe request makes of what is stored.
mod invalidation;
/// One copy per language, over HTTP.
mod languages;
/// What is done with little memory left.
mod memory;
/// Responses that say which parameters of the query make no difference.
mod no_vary_search;
/// What CMSs say to reverse proxies.
mod surrogate;
/// Trailers, both ways.
mod trailers;
/// Tunnels of other protocols.
mod upgrade;

/// What clients are told when the origin fails.
mod origin_down;
/// Parts of representations that are stored.
mod partial;
/// Responses to POST that answer GET.
mod posted;
/// Nothing private is shared.
mod privacy;
/// The program as it is started in production.
mod program;
/// Many publish and read at once: a history without an older version after a receipt.
mod publishing;
/// Purges by the admin API and by method.
mod purging;
/// Requests for a part.
mod ranges;
/// How long what is stored answers, and what a client is told about it.
mod reuse;
/// A page that is purged faster than it is made.
mod series;
/// Stale responses: while they are validated, and when the origin fails.
mod stale;
/// Bodies on their way.
mod streaming;
/// Turning caching and compression off and on.
mod switches;
/// Metrics, traces and the access log.
mod telemetry;
/// An origin in trouble: who waits for it, and who does not.
mod trouble;
/// Conditional requests to the origin, and what its answers make of a stored response.
mod validation;
/// Which request fields make another copy.
mod vary;
/// Publish webhooks, from the signature to what readers get.
mod webhooks;
