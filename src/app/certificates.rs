//! The certificates of all listeners follow their files.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::server::{Listeners, tls};
use crate::telemetry::server::ServerMetrics;

pub(super) struct CertificateFiles {
    /// How often they are looked at; zero is never.
    pub(super) every: Duration,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<ServerMetrics>,
}

impl CertificateFiles {
    /// Never returns, unless these listeners have no certificates.
    pub(super) fn follow(
        &self,
        name: &'static str,
        listeners: &Listeners,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let certificates = listeners.certificates()?;
        let settings = tls::KeepCurrent {
            every: self.every,
            listeners: name,
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
        };
        Some(tls::keep_current(certificates, settings))
    }
}
