//! How many exchanges an upstream may have at a time, and who waits for a turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::Kind;
use crate::telemetry::origin::{Level, UpstreamMetrics};

/// First come, first served.
#[derive(Debug)]
pub(super) struct Limiter {
    places: Arc<Semaphore>,
    queued: AtomicUsize,
    queue_max: usize,
    queue_timeout: Duration,
    metrics: UpstreamMetrics,
}

/// A place at the origin servers, given back when dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _level: Level,
}

impl Limiter {
    pub(super) fn new(
        concurrency: usize,
        queue_max: usize,
        queue_timeout: Duration,
        metrics: UpstreamMetrics,
    ) -> Self {
        Self {
            places: Arc::new(Semaphore::new(concurrency)),
            queued: AtomicUsize::new(0),
            queue_max,
            queue_timeout,
            metrics,
        }
    }

    /// Waits for a place, at most `queue_timeout`, among at most `queue_max` others.
    pub(super) async fn place(&self) -> Result<Place, Kind> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(self.taken(permit));
        }
        let outcome = self.wait().await;
        if let Err(kind) = &outcome {
            self.metrics.limit_hit(kind.label());
        }
        outcome
    }

    async fn wait(&self) -> Result<Place, Kind> {
        let _turn = Turn::take(&self.queued, self.queue_max).ok_or(Kind::QueueFull)?;
        let _level = self.metrics.queued();
        match timeout(self.queue_timeout, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(self.taken(permit)),
            // Nobody closes the semaphore; if somebody did, there would be no place left.
            Ok(Err(_)) => Err(Kind::QueueFull),
            Err(_) => Err(Kind::QueueTimeout),
        }
    }

    fn taken(&self, permit: OwnedSemaphorePermit) -> Place {
        Place {
            _permit: permit,
            _level: self.metrics.in_flight(),
        }
    }
}

/// A turn in the queue, given back when dropped: also when the waiting request is given up.
struct Turn<'a>(&'a AtomicUsize);

impl<'a> Turn<'a> {
    fn take(queued: &'a AtomicUsize, max: usize) -> Option<Self> {
        queued
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now < max).then(|| now + 1)
            })
            .ok()
            .map(|_| Self(queued))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
