//! The server from outside: real sockets, real TLS, hostile bytes.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop where it stands"
)]

#[path = "server/anything.rs"]
mod anything;
#[path = "support/authority.rs"]
mod authority;
#[path = "server/client_address.rs"]
mod client_address;
#[path = "server/drain.rs"]
mod drain;
#[path = "server/floods.rs"]
mod floods;
#[path = "server/frames.rs"]
mod frames;
#[path = "server/framing.rs"]
mod framing;
#[path = "server/limits.rs"]
mod limits;
#[path = "server/misdirected.rs"]
mod misdirected;
#[path = "server/protocols.rs"]
mod protocols;
#[path = "server/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "server/stalled.rs"]
mod stalled;
#[path = "server/support.rs"]
mod support;
#[path = "server/tls_reload.rs"]
mod tls_reload;
#[path = "server/tls_terms.rs"]
mod tls_terms;
