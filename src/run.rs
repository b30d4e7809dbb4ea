//! The process around the program: runtime, log, signals.

use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::app::{App, Surroundings};
use crate::config::file::{AccessLog as AccessLogTo, Log, Query};
use crate::config::{Config, settings};
use crate::demo;
use crate::telemetry::access_log::{self, AccessLog};

/// How long the end waits for whoever reads the access log.
const LOG_FLUSH_MAX: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or SIGINT. True if no connection had to be cut.
///
/// # Errors
/// What keeps it from starting.
pub fn serve(config: &Config) -> anyhow::Result<bool> {
    start_log(config.log.level.as_str());
    runtime(config.server.workers)?.block_on(async {
        let stop = stop_signal()?;
        let access_log = access_log(&config.log)?;
        reopen_on_signal(access_log.clone())?;
        for notice in &config.notices {
            tracing::warn!("{notice}");
        }
        let surroundings = Surroundings {
            access_log: access_log.clone(),
            instance: settings::instance_name(std::env::var("HOSTNAME").ok()),
            ..Surroundings::default()
        };
        let app = App::bind(config, surroundings).await?;
        tracing::info!(
            https = ?app.https(),
            http = ?app.http(),
            admin = ?app.admin(),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        let drained = app.serve(stop).await;
        access_log.flush(LOG_FLUSH_MAX);
        tracing::info!(finished = drained.finished, cut = drained.cut, "stopped");
        Ok(drained.cut == 0)
    })
}

/// Runs the demo.
///
/// # Errors
/// What keeps it from starting.
pub fn demo(arguments: demo::Arguments) -> anyhow::Result<bool> {
    start_log("warn");
    runtime(0)?.block_on(async {
        let stop = stop_signal()?;
        demo::run(arguments, stop).await
    })
}

/// `workers` threads; 0 for one per core.
fn runtime(workers: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if workers > 0 {
        builder.worker_threads(workers);
    }
    builder
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// To stderr: stdout is the access log's. In colour for people only. `RUST_LOG` overrides the level.
fn start_log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

fn access_log(log: &Log) -> anyhow::Result<AccessLog> {
    let settings = access_log::Settings {
        query: log.query == Query::Redacted,
    };
    let log = match &log.access {
        AccessLogTo::Off => return Ok(AccessLog::off()),
        AccessLogTo::Stdout => AccessLog::to(std::io::stdout(), settings),
        AccessLogTo::File(path) => AccessLog::to_file(path, settings),
    };
    log.context("cannot start the access log")
}

/// SIGUSR1: the file of the access log was moved away. Without a file it does nothing, and in
/// particular does not end the process, as it would otherwise.
fn reopen_on_signal(access_log: AccessLog) -> anyhow::Result<()> {
    let mut moved = signal(SignalKind::user_defined1()).context("cannot listen for SIGUSR1")?;
    tokio::spawn(async move {
        while moved.recv().await.is_some() {
            access_log.reopen();
        }
    });
    Ok(())
}

/// Handlers are installed at once, so that no signal is missed while sockets are bound.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
