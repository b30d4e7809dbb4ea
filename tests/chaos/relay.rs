//! The way of one instance to Redis, which can be cut: nothing arrives, in either direction, and
//! nobody is told. What was under way arrives when it is mended.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

const CHUNK_BYTES: usize = 16 * 1024;

/// See the module.
pub(crate) struct Relay {
    pub(crate) port: u16,
    is_cut: watch::Sender<bool>,
    accepting: AbortHandle,
}

impl Relay {
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_cut, cut) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, to, cut)).abort_handle();
        Self {
            port,
            is_cut,
            accepting,
        }
    }

    pub(crate) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    pub(crate) fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, to: u16, cut: watch::Receiver<bool>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
        };
        let Ok((near, _)) = accepted else { return };
        let cut = cut.clone();
        connections.spawn(async move {
            // Whoever closes has closed both.
            let _closed = relay(near, to, cut).await;
        });
    }
}

async fn relay(near: TcpStream, to: u16, cut: watch::Receiver<bool>) -> io::Result<()> {
    let far = TcpStream::connect(("127.0.0.1", to)).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        ended = carry(near_read, far_write, cut.clone()) => ended,
        ended = carry(far_read, near_write, cut) => ended,
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut cut: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await?;
        if cut.wait_for(|is_cut| !is_cut).await.is_err() || length == 0 {
            return Ok(());
        }
        to.write_all(&chunk[..length]).await?;
    }
}
