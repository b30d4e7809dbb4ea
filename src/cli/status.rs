//! `cms-edge status`: how a running instance stands, in lines for people.

use std::fmt::Write as _;

use anyhow::Context;
use serde_json::Value;

use crate::drill::client::{Admin, Whom};

/// Whom to ask.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    /// Print what `GET /status` answers.
    #[arg(long)]
    json: bool,
}

/// True if there is nothing to look after.
///
/// # Errors
/// The instance cannot be asked.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let admin = Admin::new(&arguments.whom)?;
    let status = runtime.block_on(admin.json("GET", "/status"))?;
    match arguments.json {
        true => println!("{status:#}"),
        false => print!("{}", text(&status)),
    }
    Ok(problems(&status).next().is_none())
}

fn problems(status: &Value) -> impl Iterator<Item = &str> {
    let problems = status["problems"].as_array();
    problems.into_iter().flatten().filter_map(Value::as_str)
}

fn text(status: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _infallible = writeln!(text, "{name:<12} {value}");
    };
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let stored = match status["serves_stored"].as_bool() {
        Some(true) => "serves what is stored",
        _ => "serves nothing that is stored",
    };
    let (name, version) = (word(&status["instance"]), word(&status["version"]));
    let state = word(&status["state"]);
    line("instance", &format!("{name}, {version}, {state}, {stored}"));
    let redis = &status["redis"];
    let is_asked = redis["asked"].as_bool() == Some(true);
    match redis["at"].as_str() {
        Some(at) if is_asked => line("responses", &format!("shared in {at}")),
        Some(at) => line("responses", &format!("not shared now; {at}")),
        None => line("responses", "in memory alone"),
    }
    let log = &status["purge_log"];
    match log["at"].as_str() {
        None => line("purge log", "in this process alone"),
        Some(at) => {
            let standing = match log["connected"].as_bool() {
                Some(true) => "followed",
                _ => "not followed",
            };
            let (applied, head) = (&log["applied"], &log["head"]);
            let (lease, spooled) = (&log["lease_left_ms"], &log["spooled"]);
            line(
                "purge log",
                &format!(
                    "{standing}, {at}; applied {applied} of {head}, lease {lease} ms, {spooled} spooled"
                ),
            );
        }
    }
    for one in log["instances"].as_array().into_iter().flatten() {
        let this = if one["this"] == true {
            ", this one"
        } else {
            ""
        };
        let (applied, behind) = (&one["applied"], &one["behind"]);
        let silent = &one["silent_ms"];
        let name = word(&one["name"]);
        line(
            "",
            &format!("{name}: applied {applied}, {behind} behind, heard of {silent} ms ago{this}"),
        );
    }
    for problem in problems(status) {
        line("PROBLEM", problem);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_stands_on_a_line_of_its_own() {
        let status = json!({
            "instance": "edge-1", "version": "0.1.0", "state": "ready", "serves_stored": false,
            "redis": {"at": "a:1", "asked": false}, "problems": ["it burns"],
            "purge_log": {"at": "a:1", "connected": false, "applied": 1, "head": 3, "lease_left_ms": 0,
                "spooled": 2, "instances": [{"name": "edge-1", "applied": 1, "behind": 2, "silent_ms": 4, "this": true}]},
        });
        let text = text(&status);
        assert!(text.contains("serves nothing that is stored"), "{text}");
        assert!(text.contains("applied 1 of 3"), "{text}");
        assert!(
            text.contains("2 behind, heard of 4 ms ago, this one"),
            "{text}"
        );
        assert!(text.ends_with("PROBLEM      it burns\n"), "{text}");
    }
}
