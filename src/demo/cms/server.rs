//! The listener and its connections: HTTP/1.1, bounded in number, in header size and in time.

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Cms, routes};

/// Connections open at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;
/// How long the next request head may take, idle time between two requests included. Longer than a proxy keeps
/// its idle connections, so that the proxy closes first and never sends into a connection that is closing.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// Bytes of a request head, and of what is read ahead.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// After this the connection closes at the next answer, so that a peer cannot hold its place for ever.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(30 * 60);
/// What a closing connection has left for the answer under way.
const CLOSE_MAX: Duration = Duration::from_secs(10);
/// The pause after a failed `accept`, which mostly means that the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `stop`.
pub(super) async fn accept(
    listener: TcpListener,
    cms: Arc<Cms>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Some(Ok(place)) = unless(&stop, places.clone().acquire_owned()).await {
        match unless(&stop, listener.accept()).await {
            Some(Ok((stream, _))) => {
                tasks.spawn(serve(stream, cms.clone(), stop.clone(), place));
            }
            Some(Err(_)) => sleep(ACCEPT_PAUSE).await,
            None => break,
        }
    }
}

/// Serves one connection; `place` is its place among the bounded number of them.
async fn serve(
    stream: TcpStream,
    cms: Arc<Cms>,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
) {
    // Only a matter of latency: a socket that refuses is served all the same.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let cms = cms.clone();
        async move { Ok::<_, Infallible>(routes::answer(&cms, request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        // A connection that broke off concerns nobody but its peer.
        _ = connection.as_mut() => {}
        () = ended(&stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(CLOSE_MAX, connection).await;
        }
    }
    drop(place);
}

/// Returns when the CMS stops or the connection has had its time.
async fn ended(stop: &CancellationToken) {
    let _ = timeout(CONNECTION_AGE_MAX, stop.cancelled()).await;
}

/// What `future` yields, or `None` when `stop` comes first.
async fn unless<F: Future>(stop: &CancellationToken, future: F) -> Option<F::Output> {
    tokio::select! {
        () = stop.cancelled() => None,
        output = future => Some(output),
    }
}
