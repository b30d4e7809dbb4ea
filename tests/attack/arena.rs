//! Where an attack happens: a program of its own before a recording origin, or a running instance
//! that the environment names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::recorder::{Recorder, Reply, Seen};
use crate::support::origin::PATIENCE;
use crate::support::program::Program;

/// Attacks at the same time, where their figures are not held to anything.
const AT_ONCE: u32 = 2;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE as usize);

/// The limits of every instance that is started here: deadlines so short that an attack is over
/// soon, memory so little that it would show.
const SERVER: &str = "[server]
http = [\"127.0.0.1:0\"]
header_timeout = \"1s\"
idle_timeout = \"2s\"
[admin]
listen = \"127.0.0.1:0\"
[log]
access = \"off\"
level = \"info\"
[cache]
memory = \"64MiB\"
";

/// What one attack needs that others do not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    /// Lines that begin with `server.`.
    pub(crate) server: &'static str,
    /// Keys of the upstream.
    pub(crate) upstream: &'static str,
    /// Routes; one for everything where there is none.
    pub(crate) routes: &'static str,
    /// The attack looks at what reaches the origin.
    pub(crate) needs_origin: bool,
}

/// One instance, and what can be seen of it.
pub(crate) struct Arena {
    pub(crate) target: SocketAddr,
    pub(crate) host: String,
    /// A cached page for readers where there is no `origin`.
    pub(crate) path: String,
    pub(crate) origin: Option<Recorder>,
    admin: Option<SocketAddr>,
    process: Option<u32>,
    program: Option<(Program, TempDir)>,
    _turn: SemaphorePermit<'static>,
}

/// What the instance holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Holdings {
    /// Resident memory, in KiB.
    pub(crate) resident: u64,
    pub(crate) descriptors: usize,
    pub(crate) connections: u64,
    /// Exchanges with origins that are under way.
    pub(crate) exchanges: u64,
    /// Work memory, in bytes.
    pub(crate) work: u64,
}

/// A variable of the environment, unless it is empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether the readers' p99 is held to its bound.
pub(crate) fn is_strict() -> bool {
    variable("ATTACK_STRICT").is_some_and(|value| value == "1")
}

impl Arena {
    /// Waits for its turn and starts what is needed; nothing where that cannot be had.
    pub(crate) async fn enter(
        setup: Setup,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Option<Self> {
        let target = variable("ATTACK_TARGET");
        let is_alone = is_strict() || target.is_some();
        let turn = TURNS.acquire_many(if is_alone { AT_ONCE } else { 1 }).await;
        let host = variable("ATTACK_HOST").unwrap_or_else(|| "www.example.test".to_owned());
        let path = variable("ATTACK_PATH").unwrap_or_else(|| "/".to_owned());
        if let Some(target) = target {
            if !setup.routes.is_empty() {
                eprintln!("skipped: it needs routes of its own");
                return None;
            }
            let origin = match address("ATTACK_ORIGIN") {
                Some(listen) => Some(Recorder::start(listen, answer).await),
                None if setup.needs_origin => {
                    eprintln!("skipped: it needs ATTACK_ORIGIN");
                    return None;
                }
                None => None,
            };
            return Some(Self {
                target: permitted(&target),
                host,
                path,
                origin,
                admin: address("ATTACK_ADMIN"),
                process: variable("ATTACK_PID").map(|id| id.parse().expect("ATTACK_PID")),
                program: None,
                _turn: turn.unwrap(),
            });
        }
        let origin = Recorder::start((Ipv4Addr::LOCALHOST, 0).into(), answer).await;
        let folder = TempDir::new().unwrap();
        let program = Program::serve(folder.path(), &config(setup, origin.address)).await;
        Some(Self {
            target: program.http[0],
            host,
            path,
            origin: Some(origin),
            admin: Some(program.admin),
            process: Some(program.id()),
            program: Some((program, folder)),
            _turn: turn.unwrap(),
        })
    }

    /// The origin of an attack that needs one.
    pub(crate) fn origin(&self) -> &Recorder {
        self.origin.as_ref().expect("a recording origin")
    }

    /// What it holds now, as far as it can be seen.
    pub(crate) async fn holdings(&self) -> Holdings {
        let metrics = self.metrics().await.unwrap_or_default();
        let descriptors = self.process.and_then(|id| {
            let open = std::fs::read_dir(format!("/proc/{id}/fd")).ok()?;
            Some(open.count())
        });
        Holdings {
            resident: self.resident(),
            descriptors: descriptors.unwrap_or_default(),
            connections: sum(&metrics, "cms_edge_connections_open{"),
            exchanges: sum(&metrics, "cms_edge_origin_in_flight{"),
            work: sum(&metrics, "cms_edge_work_memory_bytes{"),
        }
    }

    /// Resident memory, in KiB; 0 where it cannot be seen.
    pub(crate) fn resident(&self) -> u64 {
        let status = self.process.and_then(|id| {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            line?.trim().strip_suffix(" kB")?.trim().parse().ok()
        });
        status.unwrap_or_default()
    }

    /// How often one of these limits was reached (or what stands in another series that begins so,
    /// if it has a brace); nothing where it cannot be seen.
    pub(crate) async fn reached(&self, limits: &[&str]) -> Option<u64> {
        if self.program.is_none() && limits.iter().any(|limit| limit.contains('{')) {
            // Its names are those of our own configuration.
            return None;
        }
        let metrics = self.metrics().await?;
        let of = |limit: &&str| {
            if limit.contains('{') {
                return sum(&metrics, limit);
            }
            let series = format!("cms_edge_connection_limits_total{{limit=\"{limit}\"}}");
            sum(&metrics, &series)
        };
        Some(limits.iter().map(of).sum())
    }

    /// The sum of the series that begin so; nothing where it cannot be seen.
    pub(crate) async fn metric(&self, series: &str) -> Option<u64> {
        Some(sum(&self.metrics().await?, series))
    }

    async fn metrics(&self) -> Option<String> {
        let admin = self.admin?;
        let exchange = async {
            let mut stream = TcpStream::connect(admin).await.unwrap();
            let request = "GET /metrics HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        };
        // A machine that is busy with an attack takes its time.
        let answer = timeout(PATIENCE * 2, exchange).await;
        Some(answer.expect("/metrics is answered under attack"))
    }

    /// Waits until `reached` holds; false where it never does.
    pub(crate) async fn until(&self, reached: impl AsyncFn(&Self) -> bool) -> bool {
        let poll = async {
            while !reached(self).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE * 2, poll).await.is_ok()
    }
}

fn sum(metrics: &str, series: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with(series));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}

fn config(setup: Setup, origin: SocketAddr) -> String {
    let keys: Vec<&str> = setup
        .server
        .lines()
        .filter_map(|line| line.trim().strip_prefix("server."))
        .collect();
    let default = "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n";
    let routes = if setup.routes.is_empty() {
        default
    } else {
        setup.routes
    };
    let server = SERVER.replace("[admin]", &format!("{}\n[admin]", keys.join("\n")));
    format!(
        "{server}[upstream.origin]\nservers = [\"http://{origin}\"]\n{}\n{routes}",
        setup.upstream
    )
}

fn address(name: &str) -> Option<SocketAddr> {
    let text = variable(name)?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no address:port")),
    )
}

/// An attack on somebody else is none of our business.
fn permitted(target: &str) -> SocketAddr {
    let target: SocketAddr = target.parse().expect("ATTACK_TARGET is address:port");
    let is_here = match target.ip() {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback(),
    };
    let is_own = variable("ATTACK_ELSEWHERE").is_some_and(|value| value == "1");
    assert!(
        is_here || is_own,
        "{target} is another machine; ATTACK_ELSEWHERE=1 says that it is yours"
    );
    target
}
