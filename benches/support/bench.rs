//! What every bench needs: a runtime, a client's connection, and whether it is to measure.

use std::sync::Arc;

use cms_edge::connection::Connection;
use tokio::runtime::{Builder, Runtime};

/// One thread, so that processor time is that of what is measured.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn connection() -> Connection {
    Connection {
        peer: "127.0.0.1:1234".parse().unwrap(),
        via: "127.0.0.1:1234".parse().unwrap(),
        local: "127.0.0.1:80".parse().unwrap(),
        scheme: "http",
        sni: None,
        interims: Arc::default(),
    }
}
