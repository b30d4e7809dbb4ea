//! One connection from its first byte to its last: TLS, the choice of protocol, hyper, and the
//! answer to each request.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, InFlight, TrackedBody};
use super::addresses::{Addresses, Place};
use super::admit::{Refusal, admit, close_after, head_bytes, host_of, is_last};
use super::drive::Drive;
use super::frames::{Flood, Rates};
use super::hyper_settings::{Streams, http1_builder, http2_builder};
use super::proxy_protocol::{self, ProxyProtocolError};
use super::redirect::to_https;
use super::tls::{HTTP2, Presented};
use super::upgrade::Upgrades;
use super::watch::{FIRST_WORD_MAX, Verdict, Watch};
use super::wire::Wire;
use super::{Handler, HttpMode, Limits, Scheme, Terms, hsts};
use crate::budget::{Budget, CONNECTION_BYTES, Pressure, Shed, Use};
use crate::connection::Connection;
use crate::telemetry::server::{Limit, ServerMetrics, TlsSession};

/// What all connections of a server share.
pub(super) struct Service<H> {
    handler: Arc<H>,
    terms: Terms,
    limits: Limits,
    metrics: Arc<ServerMetrics>,
    cap: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    budget: Arc<Budget>,
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
}

/// What the requests of one connection share.
struct Requests<H> {
    service: Arc<Service<H>>,
    connection: Arc<Connection>,
    /// The certificate that TLS presented, where hosts are held to it.
    presented: Option<Presented>,
    /// The peer is a trusted proxy: each request says whose it is.
    is_proxied: bool,
    activity: Arc<Activity>,
    upgrades: Arc<Upgrades>,
    stop: CancellationToken,
}

/// How a connection is brought to its end when the server drains.
#[derive(Clone, Copy)]
enum Parting {
    /// It is told at once, and told which requests will be answered: the two GOAWAY frames of
    /// RFC 9113 §6.8.
    Told,
    /// The next answer says that it is the last (RFC 9112 §9.6); without a next request the
    /// connection ends after a time without one.
    WhenQuiet,
}

pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

impl<H: Handler> Service<H> {
    pub(super) fn new(
        handler: Arc<H>,
        terms: Terms,
        limits: Limits,
        metrics: Arc<ServerMetrics>,
        budget: Arc<Budget>,
    ) -> Arc<Self> {
        let connections_max = limits.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            http1: http1_builder(&limits),
            http2: http2_builder(&limits, &metrics),
            cap: Arc::new(Semaphore::new(connections_max)),
            addresses: Addresses::new(
                limits.connections_per_address,
                limits.connections_per_address_exempt.clone(),
            ),
            budget,
            handler,
            terms,
            limits,
            metrics,
        })
    }

    pub(super) fn metrics(&self) -> &ServerMetrics {
        &self.metrics
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn cap(&self) -> &Arc<Semaphore> {
        &self.cap
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        acceptor: Option<TlsAcceptor>,
        stop: CancellationToken,
    ) {
        if let Err(error) = self.try_serve(stream, peer, acceptor, &stop).await {
            tracing::debug!(%peer, %error, "a connection ended with an error");
        }
    }

    async fn try_serve(
        self: &Arc<Self>,
        mut stream: TcpStream,
        via: SocketAddr,
        acceptor: Option<TlsAcceptor>,
        stop: &CancellationToken,
    ) -> Result<(), ConnectionError> {
        if self.budget.pressure() == Pressure::Hard {
            self.budget.shed(Shed::Connection);
            self.metrics.limit(Limit::Memory);
            return Err(ConnectionError::Memory);
        }
        let _memory = self.budget.take(Use::Connections, CONNECTION_BYTES);
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let peer = self.client_of(&mut stream, via, stop).await?;
        // From here on `peer` is the client, as far as connections tell.
        let _place = self.place_for(peer)?;
        let (stream, sni) = match acceptor {
            None => (Either::Left(stream), None),
            Some(acceptor) => {
                let stream = Box::pin(self.shake_hands(stream, &acceptor)).await?;
                let sni = stream.get_ref().1.server_name().map(Box::from);
                (Either::Right(Box::new(stream)), sni)
            }
        };
        let scheme = match &stream {
            Either::Left(_) => Scheme::Http,
            Either::Right(_) => Scheme::Https,
        };
        let connection = Arc::new(Connection {
            peer,
            via,
            local,
            scheme: scheme.as_str(),
            sni,
            interims: Arc::default(),
        });
        self.serve_http(stream, connection, stop).await
    }

    /// A place among the connections of the client's address. A trusted proxy, through which many
    /// clients come, needs none.
    fn place_for(&self, client: SocketAddr) -> Result<Option<Place>, ConnectionError> {
        if self.terms.clients.is_trusted_proxy(client) {
            return Ok(None);
        }
        let place = self.addresses.enter(client.ip());
        if place.is_none() {
            self.metrics.limit(Limit::Address);
            return Err(ConnectionError::Address);
        }
        Ok(place)
    }

    /// The client of a connection: its peer, or whom the PROXY header names where the peer must
    /// send one.
    async fn client_of(
        &self,
        stream: &mut TcpStream,
        via: SocketAddr,
        stop: &CancellationToken,
    ) -> Result<SocketAddr, ConnectionError> {
        if !self.terms.clients.begins_with_header(via) {
            return Ok(via);
        }
        let outcome = tokio::select! {
            biased;
            outcome = proxy_protocol::read(stream) => outcome.map_err(Into::into),
            () = sleep(self.limits.header_timeout) => Err(ConnectionError::NoProxyHeader),
            () = stopped_for(stop, FIRST_WORD_MAX) => Err(ConnectionError::Silent),
        };
        match outcome {
            Ok(named) => Ok(named.unwrap_or(via)),
            Err(error) => {
                if error.is_of_proxy_header() {
                    self.metrics.limit(Limit::ProxyProtocol);
                    tracing::debug!(%via, %error, "a listed proxy sent no PROXY header");
                }
                Err(error)
            }
        }
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        acceptor: &TlsAcceptor,
    ) -> Result<TlsStream<TcpStream>, ConnectionError> {
        let handshake = timeout(self.limits.tls_handshake_timeout, acceptor.accept(stream));
        let Ok(outcome) = handshake.await else {
            self.metrics.limit(Limit::TlsHandshake);
            self.metrics.tls_handshake("timeout", "none");
            return Err(ConnectionError::HandshakeTimeout);
        };
        let stream = outcome.map_err(|error| {
            self.metrics.tls_handshake("failed", "none");
            ConnectionError::Handshake(error)
        })?;
        let version = match stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "1.2",
        };
        self.metrics.tls_handshake("ok", version);
        self.metrics.tls_session(&session(stream.get_ref().1));
        Ok(stream)
    }

    async fn serve_http(
        self: &Arc<Self>,
        stream: Stream,
        connection: Arc<Connection>,
        stop: &CancellationToken,
    ) -> Result<(), ConnectionError> {
        let alpn_is_http2 = match &stream {
            Either::Left(_) => None,
            Either::Right(tls) => Some(tls.get_ref().1.alpn_protocol() == Some(HTTP2)),
        };
        let activity = Arc::new(Activity::new(Arc::clone(&self.budget)));
        let mut wire = Wire::new(stream, Arc::clone(&activity));
        let is_http2 = match alpn_is_http2 {
            Some(is_http2) => is_http2,
            None => self.sniff(&mut wire, stop).await?,
        };
        let is_proxied = self.terms.clients.is_trusted_proxy(connection.peer);
        if is_http2 {
            wire.read_frames(self.rates(is_proxied));
        } else {
            wire.read_heads(Arc::clone(&connection.interims));
        }
        // A trusted proxy uses one connection for all hosts.
        let certificates = self.terms.certificates.as_ref();
        let certificates = certificates.filter(|_| alpn_is_http2.is_some() && !is_proxied);
        let upgrades = Arc::new(Upgrades::default());
        let requests = Arc::new(Requests {
            service: Arc::clone(self),
            presented: certificates.and_then(|all| all.presented(connection.sni.as_deref())),
            is_proxied,
            connection,
            activity: Arc::clone(&activity),
            upgrades: Arc::clone(&upgrades),
            stop: stop.clone(),
        });
        let answer = service_fn(move |request| Arc::clone(&requests).answer(request));
        let io = TokioIo::new(wire);
        if is_http2 {
            let connection = Box::pin(self.http2.serve_connection(io, answer));
            let outcome = self
                .drive(connection, Arc::clone(&activity), Parting::Told, stop)
                .await;
            if activity.has_oversize.load(Relaxed) {
                self.metrics.limit(Limit::Headers);
            }
            return outcome;
        }
        let connection = self.http1.serve_connection(io, answer);
        let connection = Box::pin(connection.with_upgrades());
        self.drive(connection, activity, Parting::WhenQuiet, stop)
            .await?;
        upgrades.run().await;
        Ok(())
    }

    async fn sniff(
        &self,
        wire: &mut Wire<Stream>,
        stop: &CancellationToken,
    ) -> Result<bool, ConnectionError> {
        tokio::select! {
            biased;
            is_http2 = wire.speaks_http2() => return Ok(is_http2?),
            () = stopped_for(stop, FIRST_WORD_MAX) => {}
            () = sleep(self.limits.header_timeout) => self.metrics.limit(Limit::HeaderTimeout),
        }
        Err(ConnectionError::Silent)
    }

    /// Lets hyper serve the connection (in a box: a future holds its arguments twice), asks it to close when the server stops or the connection
    /// is idle, and drops it when it breaks a deadline.
    async fn drive<C>(
        &self,
        mut connection: Pin<Box<C>>,
        activity: Arc<Activity>,
        parting: Parting,
        stop: &CancellationToken,
    ) -> Result<(), ConnectionError>
    where
        C: Drive,
    {
        let mut watch = Watch::new(Arc::clone(&activity), &self.limits, Instant::now());
        let mut look = look_after(watch.interval());
        loop {
            // hyper comes first: what the client has sent before the end is served.
            let turn = poll_fn(|cx| {
                activity.begin_turn();
                connection.as_mut().poll(cx)
            });
            tokio::select! {
                biased;
                outcome = turn => return self.note_outcome(outcome, &activity),
                () = stop.cancelled(), if !watch.is_draining() => {
                    let now = Instant::now();
                    let quiet = watch.drain(now);
                    match parting {
                        Parting::Told => {
                            watch.close(now);
                            connection.as_mut().graceful_shutdown();
                        }
                        Parting::WhenQuiet => look = look_after(quiet),
                    }
                }
                now = look.tick() => match watch.look(now) {
                    Verdict::Stay => {}
                    Verdict::Close(limit) => {
                        if let Some(limit) = limit {
                            self.metrics.limit(limit);
                        }
                        watch.close(now);
                        connection.as_mut().graceful_shutdown();
                    }
                    Verdict::Cut(limit) => {
                        if let Some(limit) = limit {
                            self.metrics.limit(limit);
                        }
                        return Ok(());
                    }
                },
            }
        }
    }

    fn note_outcome(
        &self,
        outcome: Result<(), hyper::Error>,
        activity: &Activity,
    ) -> Result<(), ConnectionError> {
        if let Err(error) = &outcome {
            if let Some(flood) = activity.flood() {
                self.metrics.limit(match flood {
                    Flood::Resets => Limit::H2Resets,
                    Flood::Control => Limit::H2Control,
                    Flood::Continuation => Limit::H2Continuation,
                    Flood::Empty => Limit::H2Empty,
                    Flood::Refused => Limit::H2Refused,
                    Flood::Fields => Limit::Headers,
                });
            } else if let Some(reason) = farewell(error) {
                self.metrics.limit(match reason {
                    h2::Reason::ENHANCE_YOUR_CALM => Limit::H2Calm,
                    _ => Limit::Framing,
                });
            } else if error.is_parse_too_large() {
                self.metrics.limit(Limit::Headers);
            } else if error.is_parse() {
                self.metrics.limit(Limit::Framing);
            }
        }
        Ok(outcome?)
    }
}

/// Ticks every `period`, for the first time after one.
fn look_after(period: Duration) -> Interval {
    let mut look = interval(period);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look.reset();
    look
}

impl<H: Handler> Requests<H> {
    async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<TrackedBody>, Infallible> {
        let service = &self.service;
        service.metrics.request(request.version());
        let (mut in_flight, flaw) = self.activity.begin();
        let is_http1 = request.version() < Version::HTTP_2;
        let is_last = is_http1 && is_last(&request);
        let admitted = flaw
            .map_err(Into::into)
            .and_then(|()| admit(&mut request, &service.limits))
            .and_then(|()| self.check_place(&request))
            .and_then(|()| service.hold_head(&mut in_flight, &request));
        let told;
        let connection = if self.is_proxied {
            told = service
                .terms
                .clients
                .told(&self.connection, request.headers());
            &told
        } else {
            &self.connection
        };
        let redirect_port = service
            .redirect_port(connection)
            .filter(|_| !service.handler.is_exempt_from_redirect(&request));
        let asked = request.extensions_mut().remove::<OnUpgrade>();
        if is_http1 && request.version() == Version::HTTP_11 {
            self.connection.interims.begin();
        }
        let response = match (admitted, redirect_port) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), Some(port)) => to_https(&request, port),
            (Ok(()), None) => Ok(service.handler.handle(request, connection).await),
        };
        self.connection.interims.end();
        let is_refused = response.is_err();
        let mut response = response.unwrap_or_else(|refusal| {
            service.metrics.limit(refusal.limit());
            // A client opens another connection for a host that this one is not for.
            if refusal != Refusal::Misdirected {
                self.activity.refuse();
            }
            refusal.response()
        });
        let switches = asked.is_some_and(|asked| self.upgrades.note(asked, &mut response));
        if is_http1 && !switches && (is_last || is_refused || self.stop.is_cancelled()) {
            close_after(&mut response);
        }
        if let Some(value) = &service.terms.hsts
            && connection.scheme == Scheme::Https.as_str()
        {
            hsts::add(response.headers_mut(), value);
        }
        in_flight.let_go_of_head();
        Ok(response.map(|body| {
            let body = TrackedBody::new(body, in_flight);
            if is_http1 { body } else { body.in_pieces() }
        }))
    }
}

impl<H> Requests<H> {
    /// Whether the request is for a host that the connection's certificate is for.
    fn check_place<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let Some(presented) = &self.presented else {
            return Ok(());
        };
        match host_of(request) {
            Some(host) if !presented.is_for(host) => Err(Refusal::Misdirected),
            _ => Ok(()),
        }
    }
}

/// Ready some time after it was told to stop.
async fn stopped_for(stop: &CancellationToken, span: Duration) {
    stop.cancelled().await;
    sleep(span).await;
}

impl<H> Service<H> {
    fn rates(&self, is_proxied: bool) -> Rates {
        Rates {
            resets: self.limits.resets_per_second,
            control: self.limits.control_frames_per_second,
            empty: self.limits.empty_frames_per_second,
            // A proxy's connection has the requests of many clients.
            refused: (!is_proxied).then_some(self.limits.refused_per_second),
            header_bytes_max: self.limits.header_bytes_max,
            headers_max: self.limits.headers_max,
        }
    }

    /// Only HTTP/2 has several requests in flight, whose heads may hold much together.
    fn hold_head<B>(&self, in_flight: &mut InFlight, request: &Request<B>) -> Result<(), Refusal> {
        if request.version() < Version::HTTP_2 {
            return Ok(());
        }
        let most = u64::try_from(self.limits.connection_header_bytes_max).unwrap_or(u64::MAX);
        if in_flight.hold_head(head_bytes(request), most) {
            Ok(())
        } else {
            Err(Refusal::Heads)
        }
    }

    fn redirect_port(&self, connection: &Connection) -> Option<u16> {
        match self.terms.http_mode {
            HttpMode::Redirect { port } if connection.scheme == Scheme::Http.as_str() => Some(port),
            _ => None,
        }
    }
}

/// Why HTTP/2 ended a connection, where its client broke a rule or made it work for nothing.
fn farewell(error: &hyper::Error) -> Option<h2::Reason> {
    let cause = std::error::Error::source(error)?.downcast_ref::<h2::Error>()?;
    let reason = cause.reason().filter(|_| cause.is_library())?;
    (reason != h2::Reason::NO_ERROR).then_some(reason)
}

/// What client and server agreed on. The names are those of the library, so their number is bounded.
fn session(tls: &ServerConnection) -> TlsSession {
    let cipher = tls.negotiated_cipher_suite();
    let group = tls.negotiated_key_exchange_group();
    TlsSession {
        handshake: match tls.handshake_kind() {
            Some(HandshakeKind::Resumed) => "resumed",
            Some(HandshakeKind::FullWithHelloRetryRequest) => "full_retried",
            _ => "full",
        },
        cipher: cipher
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("unknown"),
        group: group
            .and_then(|group| group.name().as_str())
            .unwrap_or("none"),
    }
}

/// Why a connection ended early. Only logged.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("there is no memory for it")]
    Memory,
    #[error("its address has too many connections open")]
    Address,
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    #[error("the TLS handshake took too long")]
    HandshakeTimeout,
    #[error("nothing was sent for too long")]
    Silent,
    #[error("the PROXY header took too long")]
    NoProxyHeader,
    #[error(transparent)]
    ProxyProtocol(#[from] ProxyProtocolError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

impl ConnectionError {
    /// Not so a peer that connects and goes again: load balancers try a port like that.
    const fn is_of_proxy_header(&self) -> bool {
        use ProxyProtocolError::{Ended, Malformed};
        matches!(
            self,
            Self::NoProxyHeader | Self::ProxyProtocol(Ended | Malformed)
        )
    }
}
