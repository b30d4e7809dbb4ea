//! How the process takes over a changed configuration, and how it leaves: the keys of `[server]`
//! that are about its life.

use std::time::Duration;

use super::section::Section;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifecycle {
    /// Whether a changed file is taken over by itself.
    pub watch: bool,
    /// How long to be not ready, and serve, before nothing more is accepted.
    pub drain_delay: Duration,
    /// How long a new process may take to be ready.
    pub upgrade_timeout: Duration,
}

impl Lifecycle {
    /// `s` is `[server]`.
    pub(super) fn read(s: &Section<'_>) -> Self {
        Self {
            watch: s.boolean(
                "watch",
                false,
                "Take over this file when it has changed and was left alone for 2 s, as SIGHUP does \
                 at once. true: whoever may write the file changes what is served. A file with a \
                 mistake changes nothing.",
            ),
            drain_delay: s.duration(
                "drain_delay",
                "0s",
                "0s"..="5m",
                "After SIGTERM: how long /readyz says 503 while everything is still served, before \
                 nothing more is accepted. 0s is right without a load balancer in front; behind \
                 one, the time it takes to notice. A second SIGTERM ends the wait.",
            ),
            upgrade_timeout: s.duration(
                "upgrade_timeout",
                "30s",
                "1s"..="10m",
                "After SIGUSR2: how long the new program may take until it serves. If it does not, \
                 it is stopped and this one goes on.",
            ),
        }
    }
}
