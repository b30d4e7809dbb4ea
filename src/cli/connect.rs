//! `cms-edge check --connect`: asks each Redis of a configuration what a running instance will ask.

use std::process::ExitCode;

use anyhow::Context;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::purge::shared;
use crate::store::redis::examine::{Findings, examine};

/// `EX_UNAVAILABLE` of sysexits.h: what is configured is not there, or cannot be used.
const UNAVAILABLE: u8 = 69;

/// Prints what was found.
pub(super) fn run(config: &Config) -> ExitCode {
    match found(config) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(UNAVAILABLE),
        Err(error) => {
            eprintln!("cms-edge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all of it can be used.
fn found(config: &Config) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let (store, log) = (config.redis()?, config.shared_log("check")?);
    if store.is_none() && log.is_none() {
        println!("There is no Redis to ask: redis.url and purge_log.url are empty.");
    }
    let mut is_usable = true;
    if let Some(settings) = store {
        let findings = runtime.block_on(examine(&settings, &SystemClock));
        is_usable &= tell("Responses", &findings);
    }
    if let Some(settings) = log {
        let findings = runtime.block_on(shared::examine::examine(&settings));
        is_usable &= tell("Purge log", &findings);
    }
    Ok(is_usable)
}

fn tell(what: &str, findings: &Findings) -> bool {
    for fact in &findings.facts {
        println!("{what}: {fact}.");
    }
    for warning in &findings.warnings {
        eprintln!("{what}: Warning: {warning}.");
    }
    for error in &findings.errors {
        eprintln!("{what}: cannot be used: {error}.");
    }
    findings.errors.is_empty()
}
