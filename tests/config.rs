//! The configuration as an operator meets it: `proxy.toml` is the code's own, every mistake is
//! named with its line, and nothing is applied by halves.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

/// Checks that compare settings of caches, Redis, purges and upstreams.
#[path = "config/checks.rs"]
mod checks;
/// How connections to a CMS are made.
#[path = "config/connecting.rs"]
mod connecting;
/// The languages of a route.
#[path = "config/languages.rs"]
mod languages;
/// Tiers and lifetimes.
#[path = "config/lifetimes.rs"]
mod lifetimes;
/// Where the server and the admin listener listen.
#[path = "config/listeners.rs"]
mod listeners;
/// Every mistake is named with its line.
#[path = "config/mistakes.rs"]
mod mistakes;
/// Names of variables that operators know from other programs.
#[path = "config/operator.rs"]
mod operator;
/// Every key reaches a room.
#[path = "config/reach.rs"]
mod reach;
/// `proxy.toml` is the code's own.
#[path = "config/reference.rs"]
mod reference;
/// What a route takes, and what its keys may be.
#[path = "config/routes.rs"]
mod routes;
/// Secrets and files.
#[path = "config/secrets.rs"]
mod secrets;
/// Servers of an upstream, health checks, the breaker.
#[path = "config/servers.rs"]
mod servers;
/// The least configuration, and what is read from it.
#[path = "config/support.rs"]
mod support;
/// Variables override the file.
#[path = "config/variables.rs"]
mod variables;
/// `[[webhook]]`: dialects, secrets, rules.
#[path = "config/webhooks.rs"]
mod webhooks;
