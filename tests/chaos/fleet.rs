//! The instances: the program itself, several times, before one origin and one Redis. They are
//! killed, stopped in their tracks and started again; each keeps its name and its spool.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use crate::random::Random;
use crate::support::program;

pub(crate) const ADMIN_TOKEN: &str = "a token that nobody guesses";

/// How many there are, as `CHAOS_INSTANCES` says: 5, or 2 to 16.
pub(crate) fn instances() -> usize {
    static COUNT: LazyLock<usize> = LazyLock::new(|| match std::env::var("CHAOS_INSTANCES") {
        Ok(text) => match text.parse() {
            Ok(count @ 2..=16) => count,
            _ => panic!("CHAOS_INSTANCES={text}: it is 2 to 16"),
        },
        Err(_) => 5,
    });
    *COUNT
}

/// How long a program may take to start or to end, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lines of an instance's log that are kept for whoever looks for the cause of a violation.
const LINES_MAX: usize = 60;

/// All instances.
pub(crate) struct Fleet {
    seats: Vec<Seat>,
    sabotage: Option<&'static str>,
}

/// Where an instance is addressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Address {
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
}

struct Seat {
    name: String,
    folder: TempDir,
    settings: String,
    state: Mutex<State>,
    lines: Arc<Mutex<VecDeque<String>>>,
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    address: Option<Address>,
    is_stopped: bool,
}

impl Fleet {
    /// Starts all of them, each with its settings, in which `SPOOL` stands for a folder of its own.
    /// They need not serve hits yet.
    pub(crate) async fn start(
        settings: impl Fn(usize) -> String,
        sabotage: Option<&'static str>,
    ) -> Self {
        let seat = |at| Seat {
            name: format!("edge-{at}"),
            folder: tempfile::tempdir().unwrap(),
            settings: settings(at),
            state: Mutex::default(),
            lines: Arc::default(),
        };
        let fleet = Self {
            seats: (0..instances()).map(seat).collect(),
            sabotage,
        };
        let starting = (0..instances()).map(|at| fleet.run(at));
        futures_util::future::join_all(starting).await;
        fleet
    }

    /// Starts an instance that does not run.
    pub(crate) async fn run(&self, at: usize) {
        let seat = &self.seats[at];
        let path = seat.folder.path().join("proxy.toml");
        let spool = seat.folder.path().join("spool");
        std::fs::create_dir_all(&spool).unwrap();
        let text = seat.settings.replace("SPOOL", &spool.display().to_string());
        std::fs::write(&path, text).unwrap();
        let mut command = program::command(&["serve", "--config", path.to_str().unwrap()]);
        command
            .env("HOSTNAME", &seat.name)
            .stdout(std::process::Stdio::null());
        if let Some(rule) = self.sabotage {
            command.env(cms_edge::sabotage::VARIABLE, rule);
        }
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let serving = serving(stderr, Arc::clone(&seat.lines));
        let line = timeout(PATIENCE, serving).await.expect("it serves in time");
        let address = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=[")).expect(&line);
            rest.split([']', ',']).next().unwrap().parse().unwrap()
        };
        *seat.state.lock() = State {
            address: Some(Address {
                http: address("http"),
                admin: address("admin"),
            }),
            child: Some(child),
            is_stopped: false,
        };
    }

    /// SIGKILL; returns when it is no more.
    pub(crate) async fn kill(&self, at: usize) {
        let child = {
            let mut state = self.seats[at].state.lock();
            state.address = None;
            state.child.take()
        };
        let Some(mut child) = child else { return };
        timeout(PATIENCE, child.kill()).await.unwrap().unwrap();
    }

    /// SIGTERM; returns when it has drained and left.
    pub(crate) async fn end(&self, at: usize) {
        self.signal(at, "-TERM").await;
        let child = {
            let mut state = self.seats[at].state.lock();
            state.address = None;
            state.child.take()
        };
        let Some(mut child) = child else { return };
        timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    }

    /// SIGSTOP. It can still be connected to.
    pub(crate) async fn stop(&self, at: usize) {
        self.seats[at].state.lock().is_stopped = true;
        self.signal(at, "-STOP").await;
    }

    /// SIGCONT.
    pub(crate) async fn resume(&self, at: usize) {
        self.signal(at, "-CONT").await;
        self.seats[at].state.lock().is_stopped = false;
    }

    /// Of an instance that is not killed. It may be stopped.
    pub(crate) fn address(&self, at: usize) -> Option<Address> {
        self.seats[at].state.lock().address
    }

    /// One that runs.
    pub(crate) fn any_live(&self, random: &mut Random) -> Option<(usize, Address)> {
        let live: Vec<_> = (0..instances()).filter_map(|at| self.live(at)).collect();
        (!live.is_empty()).then(|| random.of(&live))
    }

    /// This one, if it runs.
    pub(crate) fn live(&self, at: usize) -> Option<(usize, Address)> {
        let state = self.seats[at].state.lock();
        let address = state.address.filter(|_| !state.is_stopped)?;
        Some((at, address))
    }

    /// Which instance receipts call so.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.seats.iter().position(|seat| seat.name == name)
    }

    /// The last lines of the log of each.
    pub(crate) fn logs(&self) -> String {
        let mut text = String::new();
        for seat in &self.seats {
            for line in seat.lines.lock().iter() {
                text.push_str(&format!("{}: {line}\n", seat.name));
            }
        }
        text
    }

    async fn signal(&self, at: usize, signal: &str) {
        let id = {
            let state = self.seats[at].state.lock();
            state.child.as_ref().and_then(Child::id)
        };
        let Some(id) = id else { return };
        let sent = Command::new("kill")
            .args([signal, &id.to_string()])
            .status();
        assert!(sent.await.unwrap().success(), "kill {signal}");
    }
}

/// The line that says where it serves. Those that follow are kept, the last of them.
async fn serving(stderr: ChildStderr, lines: Arc<Mutex<VecDeque<String>>>) -> String {
    let mut log = BufReader::new(stderr).lines();
    let keep = move |line: &str| {
        let mut lines = lines.lock();
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    };
    loop {
        let line = log.next_line().await.unwrap().expect("it starts");
        keep(&line);
        if line.contains("serving") && line.contains("http=[") {
            tokio::spawn(async move {
                while let Ok(Some(line)) = log.next_line().await {
                    keep(&line);
                }
            });
            return line;
        }
    }
}
