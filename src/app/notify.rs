//! Tells a service manager how it goes, by the protocol of `sd_notify(3)`, and a program that is to
//! be replaced that its successor serves.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// What the successor says to its predecessor when it serves.
pub const SERVES: &[u8] = b"serves";

/// How long a message may take to be taken; the manager's queue may be full.
const SEND_MAX: Duration = Duration::from_millis(200);

/// Sends the messages. A clone sends to the same. By default it tells nobody.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Arc<Receivers>);

#[derive(Debug, Default)]
struct Receivers {
    manager: Option<UnixDatagram>,
    predecessor: Option<UnixDatagram>,
    /// How often the manager wants to hear from us.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// The manager that `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` name, and the program
    /// that has started this one, if one has.
    pub fn from_environment(predecessor: Option<UnixDatagram>) -> Self {
        let manager = env::var_os("NOTIFY_SOCKET").and_then(|address| {
            let connected = connect(&address);
            if let Err(error) = &connected {
                tracing::warn!(?address, %error, "the service manager cannot be told anything");
            }
            connected.ok()
        });
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_ours);
        Self(Arc::new(Receivers {
            watchdog: watchdog
                .map(Duration::from_micros)
                .filter(|_| manager.is_some()),
            manager,
            predecessor,
        }))
    }

    /// Everything listens and is served. A predecessor is told, which then may go; the manager
    /// listens to that one until it has named its successor, and has known since its start that the
    /// service is ready.
    pub fn started(&self) {
        let Some(predecessor) = &self.0.predecessor else {
            return self.ready("Serving.");
        };
        if let Err(error) = predecessor.send(SERVES) {
            tracing::warn!(%error, "the running program cannot be told that this one serves");
        }
    }

    /// The service is ready; a reload is done, however it ended.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// A reload begins. `READY=1` follows.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=Finishing what was accepted.");
    }

    /// The process `pid` is the service from now on.
    pub fn main_pid(&self, pid: u32) {
        self.send(&format!("MAINPID={pid}"));
    }

    /// Tells the manager twice in the time it allows that the runtime still takes up tasks and
    /// gets them done. Never returns; returns at once where nobody wants to hear it.
    pub(super) async fn keep_alive(self) {
        let Some(limit) = self.0.watchdog else { return };
        let mut every = interval(limit / 2);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            // Another task than this one, so that a queue which stands still is noticed.
            let task = tokio::spawn(tokio::task::yield_now());
            if timeout(limit / 2, task).await.is_ok() {
                self.send("WATCHDOG=1");
            }
        }
    }

    fn send(&self, message: &str) {
        if let Some(manager) = &self.0.manager
            && let Err(error) = manager.send(message.as_bytes())
        {
            tracing::warn!(%error, message, "the service manager was not told");
        }
    }
}

/// A path, or `@` and a name in the abstract namespace.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(address)?,
    }
    socket.set_write_timeout(Some(SEND_MAX))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifier(manager: UnixDatagram) -> Notifier {
        Notifier(Arc::new(Receivers {
            manager: Some(manager),
            predecessor: None,
            watchdog: Some(Duration::from_millis(2)),
        }))
    }

    fn next(from: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let length = from.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_in_the_abstract_namespace_is_reached() {
        let name = format!("cms-edge-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = notifier(connect(OsStr::new(&format!("@{name}"))).unwrap());
        notifier.ready("Serving.");
        assert_eq!(next(&manager), "READY=1\nSTATUS=Serving.");
        notifier.reloading();
        let told = next(&manager);
        let (_, micros) = told.split_once("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(micros.parse::<u64>().unwrap() > 0);
        notifier.main_pid(7);
        assert_eq!(next(&manager), "MAINPID=7");
    }

    #[tokio::test]
    async fn the_watchdog_hears_of_a_runtime_that_works() {
        let (manager, ours) = UnixDatagram::pair().unwrap();
        tokio::spawn(notifier(ours).keep_alive());
        let told = tokio::task::spawn_blocking(move || [next(&manager), next(&manager)]);
        assert_eq!(told.await.unwrap(), ["WATCHDOG=1", "WATCHDOG=1"]);
    }

    #[test]
    fn nobody_is_told_by_default() {
        Notifier::default().ready("Serving.");
        Notifier::default().started();
    }
}
