//! One listening socket: binding it, accepting within the cap, and the drain.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::inherit::{Passed, Role, name_of};
use super::serve::Service;
use super::{BindError, Drained, Handler, Scheme};
use crate::telemetry::server::Limit;

/// Connections that may wait to be accepted.
const BACKLOG: u16 = 1024;

/// How long to wait when the system has no resources for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Binds `address` without listening on it yet. An IPv6 address takes IPv6 only, so that
/// `0.0.0.0` and `[::]` can stand side by side.
pub(super) fn bind(address: SocketAddr) -> Result<(Socket, SocketAddr), BindError> {
    let bind = || {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    };
    match bind() {
        Ok(socket) => Ok((socket, address)),
        Err(source) => Err(BindError::Listen { address, source }),
    }
}

/// A socket that listens.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    /// By which a process that takes over finds the socket.
    name: String,
    acceptor: Option<TlsAcceptor>,
}

impl Listener {
    pub(super) fn listen(
        (socket, address): (Socket, SocketAddr),
        acceptor: Option<TlsAcceptor>,
        role: Role,
    ) -> Result<Self, BindError> {
        let listen = || {
            socket.listen(BACKLOG.into())?;
            let socket = TcpListener::from_std(socket.into())?;
            let local = socket.local_addr()?;
            Ok(Self {
                socket,
                address: local,
                name: name_of(role, address),
                acceptor,
            })
        };
        listen().map_err(|source| BindError::Listen { address, source })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn pass_on(&self) -> io::Result<Passed> {
        Ok(Passed {
            name: self.name.clone(),
            socket: self.socket.as_fd().try_clone_to_owned()?,
        })
    }

    pub(super) fn scheme(&self) -> Scheme {
        match self.acceptor {
            Some(_) => Scheme::Https,
            None => Scheme::Http,
        }
    }

    /// Accepts and serves until `stop`, then drains.
    pub(super) async fn serve<H: Handler>(
        self,
        service: Arc<Service<H>>,
        stop: CancellationToken,
    ) -> Drained {
        let mut open = Open {
            scheme: self.scheme(),
            acceptor: self.acceptor,
            service,
            stop,
            tasks: JoinSet::new(),
        };
        while let Some((stream, peer)) = open.accept(&self.socket).await {
            let permit = open.permit().await;
            open.spawn(stream, peer, permit);
        }
        open.accept_backlog(self.socket);
        open.drain().await
    }
}

/// The connections of one listener.
struct Open<H> {
    scheme: Scheme,
    acceptor: Option<TlsAcceptor>,
    service: Arc<Service<H>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl<H: Handler> Open<H> {
    /// The next connection, or `None` when it is time to stop.
    async fn accept(&mut self, socket: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                Some(ended) = self.tasks.join_next() => {
                    note_end(&self.service, &ended);
                    continue;
                }
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok(accepted) => return Some(accepted),
                // The client went away again before it was accepted.
                Err(error) if is_of_client(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    self.service.metrics().limit(Limit::Accept);
                    tokio::select! {
                        () = self.stop.cancelled() => return None,
                        () = sleep(ACCEPT_RETRY) => {}
                    }
                }
            }
        }
    }

    /// The right to one more connection; none is needed once it is time to stop.
    async fn permit(&mut self) -> Option<OwnedSemaphorePermit> {
        let cap = Arc::clone(self.service.cap());
        if let Ok(permit) = Arc::clone(&cap).try_acquire_owned() {
            return Some(permit);
        }
        self.service.metrics().limit(Limit::Connections);
        let mut acquire = std::pin::pin!(cap.acquire_owned());
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                Some(ended) = self.tasks.join_next() => note_end(&self.service, &ended),
                permit = &mut acquire => return permit.ok(),
            }
        }
    }

    fn spawn(&mut self, stream: TcpStream, peer: SocketAddr, permit: Option<OwnedSemaphorePermit>) {
        let service = Arc::clone(&self.service);
        let acceptor = self.acceptor.clone();
        // A token of its own: on every wake the connection locks it.
        let (scheme, stop) = (self.scheme, self.stop.child_token());
        self.tasks.spawn(async move {
            let _permit = permit;
            let _open = service.metrics().connection(scheme.as_str());
            service.serve(stream, peer, acceptor, stop).await;
        });
    }

    /// Accepts what has connected before it was time to stop, then closes the socket. Asks the
    /// system itself: the runtime may not have heard of these connections yet.
    fn accept_backlog(&mut self, socket: TcpListener) {
        let Ok(socket) = socket.into_std() else {
            return;
        };
        for _ in 0..BACKLOG {
            match socket.accept() {
                Ok((stream, peer)) => {
                    let stream = stream
                        .set_nonblocking(true)
                        .and_then(|()| TcpStream::from_std(stream));
                    if let Ok(stream) = stream {
                        self.spawn(stream, peer, None);
                    }
                }
                Err(error) if is_of_client(&error) => {}
                Err(_) => return,
            }
        }
    }

    async fn drain(mut self) -> Drained {
        let deadline = Instant::now() + self.service.limits().drain;
        let mut drained = Drained::default();
        while let Ok(Some(ended)) = timeout_at(deadline, self.tasks.join_next()).await {
            note_end(&self.service, &ended);
            drained.finished += 1;
        }
        drained.cut = self.tasks.len();
        for _ in 0..drained.cut {
            self.service.metrics().limit(Limit::Drain);
        }
        self.tasks.shutdown().await;
        drained
    }
}

fn note_end<H: Handler>(service: &Service<H>, ended: &Result<(), JoinError>) {
    if ended.as_ref().is_err_and(JoinError::is_panic) {
        service.metrics().panic();
    }
}

fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
