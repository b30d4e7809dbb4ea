//! Webhooks and purge protocols with the requests that real CMSs send, and with those that nobody
//! should be believed for.

#![expect(clippy::unwrap_used, reason = "a test may stop where it stands")]

/// The log, and concurrent purges.
#[path = "webhooks/log.rs"]
mod log;
/// Bad input from who is believed.
#[path = "webhooks/payloads.rs"]
mod payloads;
/// Recorded requests.
#[path = "webhooks/recorded.rs"]
mod recorded;
/// What operators write for the senders of these tests.
#[path = "webhooks/senders.rs"]
mod senders;
/// Settings, and which webhook is where.
#[path = "webhooks/setup.rs"]
mod setup;
/// Who is believed.
#[path = "webhooks/signatures.rs"]
mod signatures;
/// A log on a clock that stands still, webhooks on it, and recorded requests.
#[path = "webhooks/support.rs"]
mod support;
/// Which URLs of a purge meet what is stored.
#[path = "webhooks/urls.rs"]
mod urls;
