//! `cms-edge drill`: an instance that serves is told to do without Redis for a while, and what its
//! readers notice is counted.
//!
//! The instance ends the drill by its own clock: a command that is killed leaves nothing behind.

pub mod client;
mod figures;
mod report;
mod tls;

use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use self::client::{Admin, Whom};
use self::figures::Figures;
use self::report::{Phase, Report};

/// What is drilled, where, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// `redis-down`: the instance treats Redis as unreachable, for responses and for purges.
    #[arg(value_enum)]
    what: What,
    /// Only this instance goes without Redis.
    #[command(flatten)]
    whom: Whom,
    /// How long it goes without Redis; 1s to 10m.
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = span)]
    span: Duration,
    /// How long it is watched before and after; 1s to 10m.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = span)]
    watch: Duration,
    /// Do it. Without this the command says what it would do.
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum What {
    /// Redis counts as unreachable.
    RedisDown,
}

/// What `GET /drill` says.
#[derive(Clone, Copy, Debug)]
struct Told {
    is_on: bool,
    left_seconds: f64,
    store: bool,
    purge_log: bool,
    serve_when_lost: bool,
    lease_seconds: f64,
}

const SPAN_MIN: Duration = Duration::from_secs(1);
const SPAN_MAX: Duration = Duration::from_secs(600);
/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(500);
/// How long it may take until all is as before.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// How much later than announced an instance may end the drill.
const END_LATE: Duration = Duration::from_secs(5);

/// True if no reader noticed and all is as before, or if nothing was to be done.
///
/// # Errors
/// The instance cannot be asked, or has no Redis.
pub fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let What::RedisDown = arguments.what;
        let admin = Admin::new(&arguments.whom)?;
        let told = Told::read(&admin.json("GET", "/drill").await?);
        if !told.store && !told.purge_log {
            bail!("this instance uses no Redis: there is nothing to drill");
        }
        if told.is_on {
            let left = told.left_seconds;
            bail!("another drill runs, for {left:.0} s more");
        }
        println!("{}", told.warning(arguments));
        if !arguments.yes {
            println!("\nNothing was done. Add --yes to do it.");
            return Ok(false);
        }
        let drilling = drill(&admin, &told, arguments);
        tokio::select! {
            drilled = drilling => drilled,
            _interrupted = tokio::signal::ctrl_c() => {
                admin.json("DELETE", "/drill/redis-down").await?;
                bail!("interrupted; the drill is ended");
            }
        }
    })
}

async fn drill(admin: &Admin, told: &Told, arguments: &Arguments) -> anyhow::Result<bool> {
    let start = admin.figures().await?;
    println!("\nWatching it as it is, for {:?} …", arguments.watch);
    sleep(arguments.watch).await;
    let before = admin.figures().await?;
    let path = format!("/drill/redis-down?for={}ms", arguments.span.as_millis());
    admin.json("PUT", &path).await?;
    println!("Redis is gone, for {:?} …", arguments.span);
    let noticed = watch(admin, told, arguments.span).await?;
    let end = admin.figures().await?;
    let ended = Instant::now();
    println!("Redis is back. Waiting until it is used again …");
    let recovered = timeout(RECOVERY_MAX, recovery(admin, told)).await;
    let recovered = recovered.is_ok().then(|| ended.elapsed());
    let back = admin.figures().await?;
    sleep(arguments.watch).await;
    let after = admin.figures().await?;
    let report = Report {
        before: Phase::between(&start, &before),
        during: Phase::between(&before, &end),
        recovering: Phase::between(&end, &back),
        after: Phase::between(&back, &after),
        store: told.store,
        purge_log: told.purge_log,
        noticed,
        recovered,
    };
    println!("\n{report}");
    Ok(report.is_good())
}

/// Looks on until the instance has ended the drill; whether it went without Redis, and without
/// hits, at any look.
async fn watch(admin: &Admin, told: &Told, span: Duration) -> anyhow::Result<(bool, bool)> {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = Instant::now() + span + END_LATE;
    let (mut cut, mut fenced) = (false, false);
    loop {
        every.tick().await;
        if !Told::read(&admin.json("GET", "/drill").await?).is_on {
            return Ok((cut, fenced));
        }
        let figures = admin.figures().await?;
        cut |= !is_connected(&figures, told);
        fenced |= told.purge_log && !figures.is_serving;
        if Instant::now() > end {
            bail!("the instance does not end the drill");
        }
    }
}

async fn recovery(admin: &Admin, told: &Told) {
    let mut every = interval(EVERY / 5);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        if let Ok(figures) = admin.figures().await
            && is_connected(&figures, told)
            && (!told.purge_log || figures.is_serving)
        {
            return;
        }
    }
}

/// Whether all that is in a Redis can be reached.
const fn is_connected(figures: &Figures, told: &Told) -> bool {
    (!told.store || !figures.is_breaker_open) && (!told.purge_log || figures.is_log_connected)
}

impl Told {
    /// What is not said is not so.
    fn read(answer: &Value) -> Self {
        let is = |pointer| answer.pointer(pointer) == Some(&Value::Bool(true));
        let number = |pointer| answer.pointer(pointer).and_then(Value::as_f64);
        Self {
            is_on: is("/redis_down/on"),
            left_seconds: number("/redis_down/left_seconds").unwrap_or_default(),
            store: is("/store"),
            purge_log: is("/purge_log"),
            serve_when_lost: is("/serve_when_lost"),
            lease_seconds: number("/lease_seconds").unwrap_or_default(),
        }
    }

    /// What readers and the CMS will feel.
    fn warning(&self, arguments: &Arguments) -> String {
        let (span, url) = (arguments.span, &arguments.whom.url);
        let mut text =
            format!("The instance at {url} will treat Redis as unreachable for {span:?}:");
        let mut line = |line: &str| {
            text.push_str("\n- ");
            text.push_str(line);
        };
        if self.store {
            line("what it does not hold in memory comes from the CMS, one request a page.");
        }
        if self.purge_log && self.serve_when_lost {
            line(
                "purges at other instances do not reach it: it serves OLD PAGES (serve_when_lost).",
            );
        } else if self.purge_log {
            let lease = self.lease_seconds;
            let fenced = format!(
                "{lease:.0} s later it serves nothing that is stored and asks the CMS FOR \
                 EVERYTHING, since it cannot know what is purged. If the CMS fails then, readers \
                 get its errors."
            );
            line(&fenced);
            line(
                "purges it is told of wait until the end; receipts at other instances go on without it.",
            );
        }
        line("the instance ends it by itself, even if this command is killed.");
        text
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (SPAN_MIN..=SPAN_MAX).contains(&span) {
        return Ok(span);
    }
    Err("1s to 10m are allowed".to_owned())
}
