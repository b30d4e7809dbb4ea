//! HTTP/2 as RFC 9113 and HPACK as RFC 7541 have it: frames that are right and frames that are
//! wrong, sent one by one over a socket to the server room. Each case names its section and what
//! has to come of it; what we do otherwise is listed in `h2/stage.rs`, with the reason.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop where it stands"
)]

#[path = "h2/flow.rs"]
mod flow;
#[path = "support/frames.rs"]
mod frames;
#[path = "h2/framing.rs"]
mod framing;
#[path = "h2/hpack.rs"]
mod hpack;
#[path = "h2/kinds.rs"]
mod kinds;
#[path = "h2/messages.rs"]
mod messages;
#[path = "h2/stage.rs"]
mod stage;
#[path = "h2/streams.rs"]
mod streams;
#[path = "h2/usual.rs"]
mod usual;
