//! `cms-edge demo`: a small CMS in four languages, the edge in front of it with TLS, and the main
//! job to see.

pub mod client;
pub mod cms;
pub mod story;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use tokio::sync::oneshot;

use self::client::Client;
use self::cms::CmsSettings;
use crate::app::{App, Surroundings};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::server::{self, tls};
use crate::store::redis::examine::examine;

/// Where the demo's parts listen, all on 127.0.0.1; 0 takes any free port.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Port of the edge, HTTPS.
    #[arg(long, default_value_t = 8443)]
    https_port: u16,
    /// Port of the edge, HTTP.
    #[arg(long, default_value_t = 8080)]
    http_port: u16,
    /// Port of the edge's admin listener.
    #[arg(long, default_value_t = 9090)]
    admin_port: u16,
    /// Port of the CMS.
    #[arg(long, default_value_t = 8000)]
    cms_port: u16,
    /// URL of a Redis, for stored responses and the purge log, both in a namespace of this run.
    #[arg(long)]
    redis: Option<String>,
    /// Run the whole story without anybody watching, and exit with 0 if it went as it should.
    #[arg(long)]
    check: bool,
}

/// Where everything is once it runs.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    pub https: SocketAddr,
    pub http: SocketAddr,
    pub admin: SocketAddr,
    pub cms: SocketAddr,
}

const CONFIG: &str = include_str!("demo.toml");

/// Runs until `stop`, or with `--check` until the story is over. True if all went well.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(
    arguments: Arguments,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<bool> {
    let secret = format!("whsec_{}", random(24)?);
    let token = random(24)?;
    // The CMS is told where the edge is, and the edge where the CMS is: the CMS's port is found
    // out first.
    let cms_address = free(arguments.cms_port)?;
    let (certificate, server) = tls_settings(&arguments)?;
    let config = demo_config(&arguments, cms_address, &secret, &token)?;
    has_redis(&config).await?;
    let mut public = config.server();
    public.https = server.https;
    public.tls = server.tls;
    let surroundings = Surroundings {
        instance: "demo".to_owned(),
        server: Some(public),
        ..Surroundings::default()
    };
    let app = App::bind(&config, surroundings).await.context(
        "the edge cannot start; --https-port, --http-port and --admin-port choose others",
    )?;
    let first = |addresses: &[SocketAddr]| addresses.first().copied().context("not listening");
    let (https, http, admin) = (first(app.https())?, first(app.http())?, first(app.admin())?);
    let cms = cms::start(CmsSettings {
        listen: cms_address,
        webhook_url: format!("http://{http}/_cms-edge/webhook/demo"),
        webhook_secret: secret,
        now: Arc::new(|| Duration::from_millis(SystemClock.now().as_millis())),
    })
    .await
    .context("the demo CMS cannot start; --cms-port chooses another port")?;
    let places = Places {
        https,
        http,
        admin,
        cms: cms.address(),
    };
    let (stop_edge, edge_stopped) = oneshot::channel::<()>();
    let edge = tokio::spawn(app.serve(async {
        let _told_or_gone = edge_stopped.await;
    }));
    let went_well = if arguments.check {
        story::check(places, &Client::trusting(&certificate)?, &token).await
    } else {
        println!("{}", story::tell(places));
        stop.await;
        true
    };
    let _gone = stop_edge.send(());
    let drained = edge.await?;
    cms.stop().await;
    Ok(went_well && drained.cut == 0)
}

/// The story cannot be told with a Redis that is not there.
///
/// # Errors
/// It cannot be used.
async fn has_redis(config: &Config) -> anyhow::Result<()> {
    let Some(settings) = config.redis()? else {
        return Ok(());
    };
    let findings = examine(&settings, &SystemClock).await;
    match findings.errors.first() {
        Some(error) => anyhow::bail!("--redis: {}: {error}", settings.servers.place()),
        None => Ok(()),
    }
}

fn demo_config(
    arguments: &Arguments,
    cms: SocketAddr,
    secret: &str,
    token: &str,
) -> anyhow::Result<Config> {
    let text = CONFIG
        .replace("{http}", &local(arguments.http_port).to_string())
        .replace("{admin}", &local(arguments.admin_port).to_string())
        .replace("{cms}", &cms.to_string())
        .replace("{secret}", secret)
        .replace("{token}", token);
    // Nothing that an earlier demo has left in Redis is found by this one.
    let run = getrandom::u32()?;
    let settings = |url: &String| {
        [
            ("CMS_EDGE_REDIS__URL".to_owned(), url.clone()),
            ("CMS_EDGE_PURGE_LOG__URL".to_owned(), url.clone()),
            ("CMS_EDGE_NAMESPACE".to_owned(), format!("demo-{run:08x}")),
        ]
    };
    if let Some(Err(why)) = arguments.redis.as_deref().map(config::is_redis_url) {
        anyhow::bail!("--redis: {why}");
    }
    let redis = arguments.redis.as_ref().map(settings);
    config::parse(
        &text,
        "demo.toml",
        Path::new(""),
        redis.into_iter().flatten(),
    )
    .map_err(|mistakes| anyhow::anyhow!("{mistakes}"))
}

/// A certificate for this machine, signed by nobody else.
fn tls_settings(arguments: &Arguments) -> anyhow::Result<(String, server::Settings)> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
    let certificate = made.cert.pem();
    let settings = server::Settings {
        https: vec![local(arguments.https_port)],
        http: Vec::new(),
        http_mode: server::HttpMode::Serve,
        tls: Some(tls::Settings {
            certificates: vec![tls::Certificate {
                cert_pem: tls::Pem::Bytes(certificate.clone().into_bytes()),
                key_pem: tls::Pem::Bytes(made.signing_key.serialize_pem().into_bytes()),
                hosts: vec!["localhost".to_owned()],
            }],
            min_version: tls::MinVersion::Tls12,
            client_ca: None,
        }),
        hsts: None,
        clients: server::clients::Clients::default(),
        limits: server::Limits::default(),
    };
    Ok((certificate, settings))
}

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// The address itself, or for port 0 one that is free right now.
fn free(port: u16) -> anyhow::Result<SocketAddr> {
    if port != 0 {
        return Ok(local(port));
    }
    let probe = std::net::TcpListener::bind(local(0)).context("no port is free")?;
    Ok(probe.local_addr()?)
}

fn random(bytes: usize) -> anyhow::Result<String> {
    let mut secret = vec![0; bytes];
    getrandom::fill(&mut secret)?;
    Ok(base64::engine::general_purpose::STANDARD.encode(secret))
}
