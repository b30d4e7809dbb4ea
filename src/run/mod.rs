//! The process around the program: runtime, log, signals.

mod upgrade;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use self::upgrade::Invocation;
use crate::app::notify::Notifier;
use crate::app::reload::{Cause, Source};
use crate::app::{App, Control, Stop, Surroundings};
use crate::config::file::{AccessLog as AccessLogTo, Log, Query};
use crate::config::{self, Config, settings};
use crate::demo;
use crate::server::inherit::{Inherited, Passed};
use crate::telemetry::access_log::{self, AccessLog};

/// Where the system says what the machine is called.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// How long the end waits for whoever reads the access log.
const LOG_FLUSH_MAX: Duration = Duration::from_secs(2);

/// Serves `config`, which was read from `source`, until SIGTERM or SIGINT, or until a successor serves. True
/// if no connection had to be cut.
///
/// # Errors
/// What keeps it from starting.
pub fn serve(source: Source, config: &Config) -> anyhow::Result<bool> {
    start_log(config.log.level.as_str());
    let invocation = Invocation::of_this_process();
    let mut inherited = Inherited::from_environment();
    let notifier = Notifier::from_environment(inherited.take_predecessor());
    runtime(config.server.workers)?.block_on(async {
        let mut signals = Signals::listen()?;
        let access_log = access_log(&config.log)?;
        reopen_on_signal(access_log.clone())?;
        for notice in &config.notices {
            tracing::warn!("{notice}");
        }
        let surroundings = Surroundings {
            access_log: access_log.clone(),
            instance: settings::instance_name(
                std::env::var("HOSTNAME").ok(),
                std::fs::read_to_string(HOST_NAME).ok(),
            ),
            source: Some(source),
            inherited,
            notifier,
            ..Surroundings::default()
        };
        let app = App::bind(config, surroundings).await?;
        tracing::info!(
            https = ?app.https(),
            http = ?app.http(),
            admin = ?app.admin(),
            version = env!("CARGO_PKG_VERSION"),
            pid = std::process::id(),
            "serving"
        );
        let control = app.control();
        let sockets = app.sockets().context("cannot copy the listening sockets")?;
        let patient = control.clone();
        let stop = async {
            let stop = signals.until_stop(&control, &invocation, &sockets).await;
            drop(sockets);
            stop
        };
        let drained = app
            .serve_on(stop, async |stop| {
                if stop == Stop::End {
                    linger(patient.drain_delay()).await;
                }
            })
            .await;
        access_log.flush(LOG_FLUSH_MAX);
        tracing::info!(finished = drained.finished, cut = drained.cut, "stopped");
        Ok(drained.cut == 0)
    })
}

/// The configuration at `path`, to be loaded again as it is at the start. To be called before it is.
pub fn source(path: &Path) -> Source {
    let file = path.to_owned();
    let load = move || config::load(&file, config::process_environment());
    Source::new(path, Arc::new(load))
}

/// Runs the demo.
///
/// # Errors
/// What keeps it from starting.
pub fn demo(arguments: demo::Arguments) -> anyhow::Result<bool> {
    start_log("warn");
    runtime(0)?.block_on(async {
        let mut end = End::listen()?;
        demo::run(arguments, async move { end.told().await }).await
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
    let mut moved = listen(SignalKind::user_defined1(), "SIGUSR1")?;
    tokio::spawn(async move {
        while moved.recv().await.is_some() {
            access_log.reopen();
        }
    });
    Ok(())
}

/// The signals to end. Handlers are installed at once, so that none is missed while sockets are
/// bound.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

/// The signals that mean something to a server.
struct Signals {
    end: End,
    hangup: Signal,
    upgrade: Signal,
}

fn listen(kind: SignalKind, name: &'static str) -> anyhow::Result<Signal> {
    signal(kind).with_context(|| format!("cannot listen for {name}"))
}

impl End {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: listen(SignalKind::terminate(), "SIGTERM")?,
            interrupt: listen(SignalKind::interrupt(), "SIGINT")?,
        })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            end: End::listen()?,
            hangup: listen(SignalKind::hangup(), "SIGHUP")?,
            upgrade: listen(SignalKind::user_defined2(), "SIGUSR2")?,
        })
    }

    /// Reloads and upgrades when told to, until it is time to stop.
    async fn until_stop(
        &mut self,
        control: &Control,
        invocation: &Invocation,
        sockets: &[Passed],
    ) -> Stop {
        loop {
            tokio::select! {
                biased;
                () = self.end.told() => return Stop::End,
                _ = self.hangup.recv() => reload(control),
                _ = self.upgrade.recv() => {
                    tokio::select! {
                        biased;
                        () = self.end.told() => return Stop::End,
                        upgraded = upgrade(control, invocation, sockets) => if upgraded {
                            return Stop::HandedOver;
                        }
                    }
                }
            }
        }
    }
}

/// Waits, but not any longer when it is told once more to end.
async fn linger(delay: Duration) {
    if delay.is_zero() {
        return;
    }
    tracing::info!(?delay, "not ready any more; still serving");
    let told_again = async {
        match End::listen() {
            Ok(mut end) => end.told().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = told_again => {}
    }
}

/// In a task of its own: meanwhile other signals count.
fn reload(control: &Control) {
    if let Some(reloads) = control.reloads.clone() {
        tokio::spawn(async move {
            // It is in the log what became of it.
            reloads.reload(Cause::Signal).await;
        });
    }
}

/// True when another process serves in place of this one.
async fn upgrade(control: &Control, invocation: &Invocation, sockets: &[Passed]) -> bool {
    tracing::info!("starting the program that is to take over");
    match invocation.start(sockets, control.upgrade_timeout()).await {
        Ok(pid) => {
            tracing::info!(pid, "it serves; this process drains");
            control.metrics.upgraded("ok");
            control.notifier.main_pid(pid);
            true
        }
        Err(error) => {
            control.metrics.upgraded(error.as_str());
            let error = anyhow::Error::new(error);
            tracing::error!("no upgrade, this process goes on: {error:#}");
            false
        }
    }
}
