//! How long a request waits for the origin that something stale could answer: not as long as one
//! that has no choice, and not at all where the origin has just failed others.

use std::time::Duration;

use http::StatusCode;
use tokio::time::timeout;

use super::Shared;
use crate::clock::Timestamp;
use crate::entry::purges::Live;
use crate::fetch::Upstream;
use crate::fields::cache_control::RequestControl;
use crate::key::EntryKey;
use crate::policy::reuse;
use crate::route::Route;

/// How long after a failed validation stale responses are served without another one.
pub(super) const VALIDATION_PAUSE: Duration = Duration::from_secs(1);

/// What stands behind an answer that was not waited for any longer.
pub(super) const WAITED_OUT: (StatusCode, &str) =
    (StatusCode::GATEWAY_TIMEOUT, "http_response_timeout");

/// What stands behind an answer for which the origin was not asked, because it had just failed.
pub(super) const JUST_FAILED: (StatusCode, &str) =
    (StatusCode::SERVICE_UNAVAILABLE, "destination_unavailable");

impl Shared {
    /// Whether the origin has just failed, or keeps somebody waiting, for what is stored and may
    /// stand in: nobody else waits for the same, unless it was purged since.
    pub(super) fn has_just_failed(
        &self,
        stored: Option<&Live>,
        control: &RequestControl,
        flight_key: &EntryKey,
        now: Timestamp,
    ) -> bool {
        stored.is_some_and(|live| {
            !live.is_softly_purged()
                && self.failed.is_set(flight_key, now)
                && reuse::may_stand_in(live, control, now)
        })
    }

    /// Waits for the origin: for as long as it takes, or, where what is stored may stand in, for
    /// as long as the upstream says. Nothing: it took longer. Others do not wait for it then, until
    /// its exchange must have ended.
    pub(super) async fn patiently<T>(
        &self,
        route: &Route,
        stored: Option<&Live>,
        control: &RequestControl,
        flight_key: &EntryKey,
        origin: impl Future<Output = T>,
    ) -> Option<T> {
        let now = self.clock.now();
        let stands_in = stored.is_some_and(|live| reuse::may_stand_in(live, control, now));
        let upstream = self.upstream(route).filter(|_| stands_in);
        let Some((wait, left)) = upstream.and_then(Upstream::stale_wait) else {
            return Some(origin.await);
        };
        let waited = timeout(wait, origin).await;
        if waited.is_err() {
            let pause = left.max(VALIDATION_PAUSE);
            self.failed.set(flight_key, self.clock.now(), pause);
        }
        waited.ok()
    }
}
