//! From what the operator wrote to the settings that each room takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderName;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use super::file::Config;
use super::reach::UnreadableCa;
use crate::admin;
use crate::fetch;
use crate::proxy;
use crate::purge::{self, webhook};
use crate::route::{Route, RouteTable};
use crate::server::{self, tls};
use crate::store;
use crate::telemetry::trace;

/// A file that the configuration names and that cannot be read any more.
#[derive(Debug, Error)]
#[error("`{key}` of upstream `{upstream}`: {path}: {source}")]
pub struct Unreadable {
    key: &'static str,
    upstream: String,
    path: String,
    source: pem::Error,
}

impl Config {
    pub fn server(&self) -> server::Settings {
        let tls = tls::Settings {
            certificates: self.certificates.clone(),
            min_version: self.tls.min_version,
            client_ca: None,
        };
        server::Settings {
            https: self.server.https.clone(),
            http: self.server.http.clone(),
            http_mode: self.server.http_mode,
            tls: (!tls.certificates.is_empty()).then_some(tls),
            hsts: self.tls.hsts,
            clients: self.server.clients.clone(),
            limits: self.server.limits.clone(),
        }
    }

    /// The admin listener: with TLS where it has a certificate, with the public listeners' limits.
    pub fn admin_server(&self) -> server::Settings {
        let listen = vec![self.admin.listen];
        let of_admin = &self.admin.tls;
        let tls = of_admin.certificate().map(|certificate| tls::Settings {
            certificates: vec![certificate],
            min_version: self.tls.min_version,
            client_ca: of_admin.client_ca.clone().map(tls::Pem::File),
        });
        let (https, http) = match tls {
            Some(_) => (listen, Vec::new()),
            None => (Vec::new(), listen),
        };
        server::Settings {
            https,
            http,
            http_mode: server::HttpMode::Serve,
            tls,
            hsts: None,
            clients: server::clients::Clients::default(),
            limits: self.server.limits.clone(),
        }
    }

    /// How often the files of certificates are looked at; zero is never.
    pub const fn certificates_every(&self) -> Duration {
        self.tls.reload_interval
    }

    pub fn admin(&self) -> admin::Settings {
        admin::Settings {
            token: self.admin.token.clone(),
        }
    }

    pub const fn memory(&self) -> store::memory::Settings {
        self.cache.memory
    }

    /// The Redis that instances share, if there is one.
    ///
    /// # Errors
    /// A file of authorities that cannot be read any more.
    pub fn redis(&self) -> Result<Option<store::redis::Settings>, UnreadableCa> {
        self.redis
            .settings(&self.namespace, self.cache.memory.variants_max)
    }

    /// `cores`: how many the machine gives us.
    pub const fn limits(&self, cores: usize) -> proxy::Limits {
        proxy::Limits {
            request_body_max: self.server.request_body_max as u64,
            fills_max: self.cache.fills_max,
            coders_max: cores,
            upgrades_max: self.server.upgrades_max,
            upgrade_idle_timeout: self.server.upgrade_idle_timeout,
        }
    }

    /// Bytes that work in progress may take.
    pub const fn work_memory(&self) -> u64 {
        self.server.work_memory as u64
    }

    pub const fn purge_targets(&self) -> purge::target::Settings {
        self.purge.targets
    }

    /// The log that instances share; nothing: it is in the process. `instance` is how receipts call
    /// this one.
    ///
    /// # Errors
    /// A file of authorities that cannot be read any more.
    pub fn shared_log(
        &self,
        instance: &str,
    ) -> Result<Option<purge::shared::Settings>, UnreadableCa> {
        self.purge_log.settings(&self.namespace, instance)
    }

    /// What this instance is called; `host`: where the configuration does not say.
    pub fn instance(&self, host: &str) -> String {
        let named = self.purge_log.instance.as_deref();
        named.unwrap_or(host).to_owned()
    }

    /// The purge protocols of the public listeners; nothing where they are off.
    pub fn protocol(&self) -> Option<purge::protocol::Settings> {
        self.purge.protocols.then(|| purge::protocol::Settings {
            allow_from: self.purge.allow_from.clone(),
            token: self.purge.token.clone(),
        })
    }

    /// In the order in which routes number them.
    ///
    /// # Errors
    /// A file of certificates or a key that cannot be read any more.
    pub fn upstreams(&self) -> Result<Vec<(String, fetch::Settings)>, Unreadable> {
        let with_files = |upstream: &super::file::Upstream| {
            let mut settings = upstream.settings.clone();
            let unreadable = |key| {
                move |(path, source)| Unreadable {
                    key,
                    upstream: upstream.name.clone(),
                    path,
                    source,
                }
            };
            let ca = upstream.ca.as_deref().map(certificates).transpose();
            settings.ca = ca.map_err(unreadable("ca"))?;
            if let Some(client) = &upstream.client_certificate {
                settings.connecting.identity = Some(fetch::Identity {
                    chain: certificates(&client.cert).map_err(unreadable("client_cert"))?,
                    key: Arc::new(key(&client.key).map_err(unreadable("client_key"))?),
                    key_path: client.key.clone(),
                });
            }
            Ok((upstream.name.clone(), settings))
        };
        self.upstreams.iter().map(with_files).collect()
    }

    pub fn routes(&self) -> RouteTable {
        let with_fingerprint = |route: &Route| {
            let mut route = route.clone();
            let upstream = self.upstreams.get(route.upstream);
            route.key.rules = route.fingerprint(upstream.map_or("", |upstream| &upstream.name));
            route
        };
        RouteTable::new(self.routes.iter().map(with_fingerprint))
    }

    pub fn tracing(&self) -> trace::Settings {
        trace::Settings {
            endpoint: self.trace.endpoint.clone(),
            sample_percent: self.trace.sample_percent,
            namespace: self.namespace.clone(),
        }
    }

    pub fn webhooks(&self) -> Vec<webhook::settings::Settings> {
        self.webhooks.clone()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, (String, pem::Error)> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| (path.display().to_string(), error))
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, (String, pem::Error)> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| (path.display().to_string(), error))
}

/// The name by which receipts call this instance where `purge_log.instance` is empty: the host's, from the
/// variable HOSTNAME, or from the system.
pub fn instance_name(environment: Option<String>, system: Option<String>) -> String {
    let is_name = |name: &String| {
        !name.is_empty() && name.len() <= 64 && HeaderName::from_bytes(name.as_bytes()).is_ok()
    };
    let system = system.map(|name| name.trim().to_owned());
    [environment, system]
        .into_iter()
        .flatten()
        .find(is_name)
        .unwrap_or_else(|| "local".to_owned())
}
