//! What a connection becomes once hyper is done with it: a tunnel, or nothing.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::serve::Stream;
use super::wire::Wire;
use crate::body::Body;
use crate::tunnel::Tunnel;

/// How long a connection may take to close, in which its client is read from in vain (see `wire`).
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The request of a connection that asked for another protocol, if one did.
#[derive(Debug, Default)]
pub(super) struct Upgrades(Mutex<Option<Last>>);

/// hyper gives the connection back for the last request with `Upgrade`, whatever its answer was.
#[derive(Debug)]
struct Last {
    connection: OnUpgrade,
    tunnel: Option<Tunnel>,
}

impl Upgrades {
    /// A request with `Upgrade` is answered; whether the connection switches with that.
    pub(super) fn note(&self, connection: OnUpgrade, response: &mut Response<Body>) -> bool {
        let tunnel = Tunnel::taken_from(response);
        let switches = tunnel.is_some();
        if !switches && response.status() == StatusCode::SWITCHING_PROTOCOLS {
            *response.status_mut() = StatusCode::BAD_GATEWAY;
        }
        *self.0.lock() = Some(Last { connection, tunnel });
        switches
    }

    /// To be called when hyper has nothing more to do on the connection. Only now the first byte
    /// of the client's goes on to the origin: whatever it sent before the 101 waited.
    pub(super) async fn run(&self) {
        let Some(last) = self.0.lock().take() else {
            return;
        };
        // hyper has decided already: this is no wait.
        let Ok(upgraded) = last.connection.await else {
            return;
        };
        let Ok(parts) = upgraded.downcast::<TokioIo<Wire<Stream>>>() else {
            return;
        };
        let mut wire = parts.io.into_inner();
        match last.tunnel {
            Some(tunnel) => {
                wire.end_http();
                tunnel.run(wire, parts.read_buf).await;
            }
            // It was an ordinary request on a connection that has ended.
            None => {
                let early: Bytes = parts.read_buf;
                drop(early);
                let _closed = timeout(CLOSE_MAX, wire.shutdown()).await;
            }
        }
    }
}
