//! From the settings of an upstream to its servers, each with the means to connect to it.

use super::connect::{Connector, Way};
use super::pool::{Keeping, Pool};
use super::resolve::Name;
use super::server::{Server, Site};
use super::tls::Tls;
use super::{Settings, SetupError};
use crate::telemetry::origin_pool::PoolMetrics;

pub(super) fn servers(
    settings: &Settings,
    metrics: &PoolMetrics,
) -> Result<Vec<Server>, SetupError> {
    let sites: Vec<Site> = settings
        .servers
        .iter()
        .map(Site::new)
        .collect::<Result<_, _>>()?;
    if sites.is_empty() {
        return Err(SetupError::NoServer);
    }
    let tls = sites
        .iter()
        .any(Site::is_secure)
        .then(|| Tls::new(settings.ca.as_deref(), &settings.connecting))
        .transpose()?;
    let connecting = &settings.connecting;
    let keeping = Keeping {
        idle_max: settings.pool_idle_max,
        idle_time: settings.keepalive,
        age_max: connecting.age_max,
        streams_max: connecting.streams_max.max(1),
    };
    let server = |site: Site| {
        let connector = Connector {
            way: way(&site, tls.as_ref(), settings, metrics),
            protocol: connecting.protocol,
            deadline: settings.connect_timeout,
            write_patience: settings.idle_timeout,
            metrics: metrics.clone(),
        };
        let pool = Pool::new(connector, keeping);
        Server { site, pool }
    };
    Ok(sites.into_iter().map(server).collect())
}

fn way(site: &Site, tls: Option<&Tls>, settings: &Settings, metrics: &PoolMetrics) -> Way {
    if let Some(path) = &site.socket {
        return Way::Unix(path.as_path().into());
    }
    let connecting = &settings.connecting;
    let name = Name::new(
        site.bare_host(),
        site.port(),
        connecting.resolver.clone(),
        connecting.dns_interval,
        metrics.clone(),
    );
    let certificate_name = site.certificate_name.clone().map(|usual| {
        let given = connecting.server_name.clone();
        given.unwrap_or(usual)
    });
    let tls = tls.cloned().zip(certificate_name);
    Way::Tcp { name, tls }
}
