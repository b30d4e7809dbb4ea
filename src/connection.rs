//! What is known of the connection a request came on.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::interim::Interims;

/// One accepted connection, shared by all requests on it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The address of the client, or of the proxy in front of us.
    pub peer: SocketAddr,
    /// The address of ours that was connected to.
    pub local: SocketAddr,
    /// `"http"` or `"https"`.
    pub scheme: &'static str,
    /// The server name of the TLS handshake (RFC 6066 §3), in lower case; `None` without TLS.
    pub sni: Option<Box<str>>,
    /// The way of interim responses to the client.
    pub interims: Arc<Interims>,
}
