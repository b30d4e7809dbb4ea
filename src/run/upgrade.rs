//! A new program takes over: it is started with the listening sockets of this one, says when it
//! serves, and then this one drains. Whatever goes wrong before that leaves this one as it is.
//!
//! The sockets go the way of `sd_listen_fds(3)`, so the successor takes them as it takes systemd's.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::path::PathBuf;
use std::process::{Command as StdCommand, ExitStatus};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::app::notify::SERVES;
use crate::server::inherit::{PREDECESSOR, Passed};

/// How this program was started, which is how its successor is.
pub(super) struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
}

/// Why there is no successor.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpgradeError {
    #[error("the sockets cannot be handed over")]
    Sockets(#[source] io::Error),
    #[error("two sockets are to have one number")]
    Collision(#[from] command_fds::FdMappingCollision),
    #[error("cannot start {}", program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("it ended before it served: {0}")]
    Ended(ExitStatus),
    #[error("it cannot be watched")]
    Lost(#[source] io::Error),
    #[error("it did not serve within {0:?}")]
    Late(Duration),
}

impl UpgradeError {
    /// For metrics.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Sockets(_) | Self::Collision(_) => "not_handed_over",
            Self::Start { .. } => "not_started",
            Self::Ended(_) | Self::Lost(_) => "ended",
            Self::Late(_) => "late",
        }
    }
}

/// The first descriptor that `sd_listen_fds(3)` hands over.
const FIRST_FD: i32 = 3;

impl Invocation {
    /// To be called at the start: once the file of a running program has been replaced, the system
    /// no longer knows where it was.
    pub(super) fn of_this_process() -> Self {
        let mut arguments = env::args_os();
        let named = PathBuf::from(arguments.next().unwrap_or_default());
        // As it was called, where that says where: a link may lead to the new program by then.
        let program = match env::current_exe() {
            Ok(path) if named.components().count() < 2 => path,
            _ => named,
        };
        Self {
            program,
            arguments: arguments.collect(),
        }
    }

    /// Starts the program that is now where this one was, and returns its process id when it
    /// serves. Dropping the future ends it.
    pub(super) async fn start(
        &self,
        sockets: &[Passed],
        patience: Duration,
    ) -> Result<u32, UpgradeError> {
        let (ours, theirs) = StdDatagram::pair().map_err(UpgradeError::Sockets)?;
        let command = self.command(sockets, theirs.into())?;
        let child = Command::from(command)
            .spawn()
            .map_err(|source| UpgradeError::Start {
                program: self.program.clone(),
                source,
            })?;
        let mut successor = Successor(Some(child));
        ours.set_nonblocking(true).map_err(UpgradeError::Sockets)?;
        let ours = UnixDatagram::from_std(ours).map_err(UpgradeError::Sockets)?;
        let serves = timeout(patience, successor.serves(&ours)).await;
        serves.unwrap_or(Err(UpgradeError::Late(patience)))
    }

    fn command(&self, sockets: &[Passed], ready: OwnedFd) -> Result<StdCommand, UpgradeError> {
        let mut names: Vec<&str> = sockets.iter().map(|passed| &*passed.name).collect();
        let fds: io::Result<Vec<OwnedFd>> = sockets
            .iter()
            .map(|passed| passed.socket.as_fd().try_clone_to_owned())
            .collect();
        let mut fds = fds.map_err(UpgradeError::Sockets)?;
        names.push(PREDECESSOR);
        fds.push(ready);
        let count = fds.len();
        let mappings = (FIRST_FD..).zip(fds);
        let mappings = mappings.map(|(child_fd, parent_fd)| FdMapping {
            parent_fd,
            child_fd,
        });
        let mut command = StdCommand::new(&self.program);
        command
            .args(&self.arguments)
            .env("LISTEN_FDS", count.to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            // Its process id is not known yet; without one the sockets are for whoever has them.
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDS_FIRST_FD")
            // The watchdog is to follow the service, not this process.
            .env_remove("WATCHDOG_PID");
        command.fd_mappings(mappings.collect())?;
        Ok(command)
    }
}

/// Killed when dropped, unless it serves.
struct Successor(Option<Child>);

impl Successor {
    async fn serves(&mut self, told: &UnixDatagram) -> Result<u32, UpgradeError> {
        let mut message = [0; SERVES.len()];
        let Some(child) = self.0.as_mut() else {
            return Err(UpgradeError::Lost(io::ErrorKind::NotFound.into()));
        };
        loop {
            tokio::select! {
                biased;
                received = told.recv(&mut message) => {
                    received.map_err(UpgradeError::Lost)?;
                    if message == SERVES {
                        break;
                    }
                }
                ended = child.wait() => {
                    return Err(ended.map_or_else(UpgradeError::Lost, UpgradeError::Ended));
                }
            }
        }
        let id = child.id();
        self.0 = None;
        id.ok_or_else(|| UpgradeError::Lost(io::ErrorKind::NotFound.into()))
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0
            && child.id().is_some()
            && let Err(error) = child.start_kill()
        {
            tracing::error!(%error, "a program that was to take over cannot be stopped");
        }
    }
}
