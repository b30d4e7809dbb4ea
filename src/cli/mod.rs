//! The command line.

mod connect;
mod man;
mod status;

use std::io::stdout;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{self, Config};
use crate::demo;
use crate::drill;
use crate::health;
use crate::run;

/// The edge cache for multilingual CMSs.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve by a configuration, until SIGTERM or SIGINT. SIGHUP takes over a changed configuration,
    /// SIGUSR2 hands over to a new program without losing a request.
    Serve {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = "proxy.toml")]
        config: PathBuf,
    },
    /// Check a configuration: print every mistake and exit with 64, or say that there is none.
    Check {
        /// The configuration.
        #[arg(long, value_name = "FILE", default_value = "proxy.toml")]
        config: PathBuf,
        /// Also ask Redis: is it there, is it the right one, may we do what we need, is it set as it
        /// should be? Exit with 69 where it cannot be used.
        #[arg(long)]
        connect: bool,
    },
    /// Print the reference configuration: every key, its default, what happens at either end.
    Defaults,
    /// Print a JSON Schema of the configuration, for editors.
    Schema,
    /// Print what a shell needs to complete commands and options.
    Completions { shell: Shell },
    /// Print the manual page, in roff.
    Man,
    /// Ask a running instance how it is: exit with 0 if it answers 200, else with 1.
    Health {
        /// `/healthz` tells whether it answers at all, `/readyz` whether it should be sent requests.
        #[arg(long, default_value = "http://127.0.0.1:9090/healthz")]
        url: String,
    },
    /// Say how a running instance stands: Redis, purge log, other instances. Exit with 1 if there is
    /// something to look after.
    Status(status::Arguments),
    /// Take Redis away from a running instance for a while, and count what its readers notice.
    Drill(drill::Arguments),
    /// Run a small CMS in four languages with cms-edge in front of it, and say what to try.
    Demo(demo::Arguments),
}

/// What the program is called on the command line.
const NAME: &str = "cms-edge";

/// `EX_USAGE` of sysexits.h: a mistake in the configuration.
const USAGE: u8 = 64;

/// Runs the program, and returns what it exits with.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve { config } => {
            let source = run::source(&config);
            with(&config, |config| code(run::serve(source, &config)))
        }
        Command::Check {
            config: path,
            connect,
        } => with(&path, |config| {
            for notice in &config.notices {
                eprintln!("Note: {notice}.");
            }
            println!("No mistakes in {}.", path.display());
            match connect {
                true => connect::run(&config),
                false => ExitCode::SUCCESS,
            }
        }),
        Command::Defaults => {
            print!("{}", config::reference());
            ExitCode::SUCCESS
        }
        Command::Schema => {
            print!("{}", config::schema());
            ExitCode::SUCCESS
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut stdout());
            ExitCode::SUCCESS
        }
        Command::Man => code(man::print(Arguments::command().name(NAME)).map(|()| true)),
        Command::Health { url } => code(health::check(&url).map(|()| true)),
        Command::Status(arguments) => code(status::run(&arguments)),
        Command::Drill(arguments) => code(drill::run(&arguments)),
        Command::Demo(arguments) => code(run::demo(arguments)),
    }
}

fn with(path: &std::path::Path, then: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match config::load(path, config::process_environment()) {
        Ok(config) => then(config),
        Err(mistakes) => {
            let (count, path) = (mistakes.count(), path.display());
            let noun = if count == 1 { "mistake" } else { "mistakes" };
            eprintln!("{mistakes}\n{count} {noun} in {path}.");
            ExitCode::from(USAGE)
        }
    }
}

fn code(outcome: anyhow::Result<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cms-edge: {error:#}");
            ExitCode::FAILURE
        }
    }
}
