//! What is known of the connection a request came on.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::interim::Interims;

/// The connection of a request. All requests on it share one, but where a trusted proxy tells of
/// each request whom it is of: then it is one request's.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The client: the peer of the socket, or whom a listed proxy names, by the PROXY protocol or
    /// in a field (port 0, and 0.0.0.0 where it names nobody). What access rules and the log go by.
    pub peer: SocketAddr,
    /// The peer of the socket: the client, or the proxy in front of us.
    pub via: SocketAddr,
    /// The address of ours that was connected to.
    pub local: SocketAddr,
    /// What the client used: `"http"` or `"https"`.
    pub scheme: &'static str,
    /// The server name of the TLS handshake (RFC 6066 §3), in lower case; `None` without TLS.
    pub sni: Option<Box<str>>,
    /// The way of interim responses to the client.
    pub interims: Arc<Interims>,
}
