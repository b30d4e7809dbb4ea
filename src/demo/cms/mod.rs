//! A small multilingual CMS: the origin of the demo.
//!
//! It publishes forty newspaper articles in English, German, French and Brazilian Portuguese as a JSON API and
//! as web pages, and it behaves towards caches as most CMSs do: no `Cache-Control`, no `ETag`, no tags. After a
//! publication it sends a signed webhook. It is for demonstrations and tests: no login, everything in memory.

mod admin;
mod admin_page;
mod answer;
mod articles;
mod compose;
mod language;
mod pages;
mod routes;
mod server;
mod tally;
#[cfg(test)]
mod tests;
mod texts;
mod webhook;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::timeout};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use self::{articles::Articles, tally::Tally, webhook::Webhook};

/// How long [`CmsHandle::stop`] waits for the requests under way.
const STOP_MAX: Duration = Duration::from_secs(6);

/// What the CMS needs to know.
#[derive(Clone)]
pub struct CmsSettings {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Where publications are announced: an absolute `http://` URL of the edge. Its scheme and authority are also
    /// what the publish page links to.
    pub webhook_url: String,
    /// The Standard Webhooks secret, `whsec_` and base64, shared with the edge.
    pub webhook_secret: String,
    /// The wall clock, as the time since the Unix epoch.
    pub now: Arc<dyn Fn() -> Duration + Send + Sync>,
}

/// The CMS behind all its connections.
pub struct Cms {
    articles: Articles,
    tally: Tally,
    webhook: Webhook,
    now: Arc<dyn Fn() -> Duration + Send + Sync>,
}

/// A running CMS. Dropping the handle stops it without waiting for requests under way.
pub struct CmsHandle {
    address: SocketAddr,
    tasks: TaskTracker,
    stop: DropGuard,
}

/// Binds the listener and serves until the handle is stopped or dropped.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] when the webhook's URL or secret cannot be used; otherwise what binding said.
pub async fn start(settings: CmsSettings) -> io::Result<CmsHandle> {
    let webhook = Webhook::new(&settings.webhook_url, &settings.webhook_secret)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let listener = TcpListener::bind(settings.listen).await?;
    let address = listener.local_addr()?;
    let cms = Arc::new(Cms {
        articles: Articles::new(),
        tally: Tally::default(),
        webhook,
        now: settings.now,
    });
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    tasks.spawn(server::accept(listener, cms, tasks.clone(), stop.clone()));
    Ok(CmsHandle {
        address,
        tasks,
        stop: stop.drop_guard(),
    })
}

impl CmsHandle {
    /// The address the CMS listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets the requests under way finish for up to six seconds, then returns.
    pub async fn stop(self) {
        drop(self.stop);
        self.tasks.close();
        // Whoever is still not done after the deadline is abandoned: the demo ends anyway.
        let _ = timeout(STOP_MAX, self.tasks.wait()).await;
    }
}
