//! Listening sockets that were open before this process: systemd's (socket activation,
//! `sd_listen_fds(3)`), or those of the program that this one replaces.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use listenfd::ListenFd;
use socket2::Socket;

/// What a listening socket is for: the name that a socket unit gives it in `FileDescriptorName`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    Https,
    Http,
    Admin,
}

impl Role {
    const ALL: [Self; 3] = [Self::Https, Self::Http, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Admin => "admin",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// A listening socket to be handed to another process, with the name that it is found by there.
#[derive(Debug)]
pub struct Passed {
    pub name: String,
    pub socket: OwnedFd,
}

/// The name of a socket that listens where the configuration says `configured`. Names are separated
/// by colons, so there is none in it.
pub(super) fn name_of(role: Role, configured: SocketAddr) -> String {
    let address = configured.to_string().replace(':', "_");
    format!("{OURS}{}/{address}", role.as_str())
}

/// The name of the socket on which the predecessor waits to hear that its successor serves.
pub const PREDECESSOR: &str = "cms-edge/predecessor";

/// What the names that we give begin with.
const OURS: &str = "cms-edge/";

/// The sockets that were not taken yet.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Found>,
    predecessor: Option<UnixDatagram>,
}

#[derive(Debug)]
struct Found {
    name: String,
    address: SocketAddr,
    socket: TcpListener,
}

impl Inherited {
    /// What `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES` say. Takes the sockets: a second call
    /// finds none. What is neither a TCP socket nor our own is left alone, with a warning. To be
    /// called before other threads read the environment.
    pub fn from_environment() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut fds = ListenFd::from_env();
        let mut inherited = Self::default();
        for index in 0..fds.len() {
            let name = names.next().unwrap_or_default();
            if let Err(error) = inherited.add(&mut fds, index, name) {
                tracing::warn!(index, name, %error, "cannot use what was handed over");
            }
        }
        inherited
    }

    fn add(&mut self, fds: &mut ListenFd, index: usize, name: &str) -> io::Result<()> {
        if name == PREDECESSOR {
            self.predecessor = fds.take_unix_datagram(index)?;
        } else if let Some(socket) = fds.take_tcp_listener(index)? {
            self.sockets.push(Found {
                name: name.to_owned(),
                address: socket.local_addr()?,
                socket,
            });
        }
        Ok(())
    }

    /// Where to say that this process serves, if another waits for that.
    pub const fn take_predecessor(&mut self) -> Option<UnixDatagram> {
        self.predecessor.take()
    }

    /// The socket for a configured address: one that our predecessor had for that address, one that
    /// listens there, or one that has the role for its name – in this order.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub(super) fn take(
        &mut self,
        role: Role,
        configured: SocketAddr,
    ) -> io::Result<Option<Socket>> {
        let ours = name_of(role, configured);
        let same_name = |found: &Found| found.name == ours;
        let same_address = |found: &Found| found.address == configured;
        let same_role = |found: &Found| Role::of(&found.name) == Some(role);
        let at = self.sockets.iter().position(same_name);
        let at = at.or_else(|| self.sockets.iter().position(same_address));
        let at = at.or_else(|| self.sockets.iter().position(same_role));
        let Some(at) = at else { return Ok(None) };
        let found = self.sockets.remove(at);
        found.socket.set_nonblocking(true)?;
        tracing::info!(
            address = %found.address,
            role = role.as_str(),
            "took over a listening socket"
        );
        Ok(Some(found.socket.into()))
    }

    /// Closes what nobody took.
    pub fn close_rest(self) {
        for found in self.sockets {
            let (address, name) = (found.address, found.name);
            tracing::warn!(%address, name, "was handed a socket that is not configured; closed it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Found {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        Found {
            name: name.to_owned(),
            address: socket.local_addr().unwrap(),
            socket,
        }
    }

    fn taken(inherited: &mut Inherited, role: Role, configured: SocketAddr) -> Option<SocketAddr> {
        let socket = inherited.take(role, configured).unwrap()?;
        socket.local_addr().unwrap().as_socket()
    }

    #[test]
    fn sockets_are_found_by_address_before_they_are_found_by_role() {
        let (one, two) = (found("http"), found("http"));
        let (first, second) = (one.address, two.address);
        let mut inherited = Inherited {
            sockets: vec![one, two],
            predecessor: None,
        };
        let elsewhere = "0.0.0.0:80".parse().unwrap();
        assert_eq!(taken(&mut inherited, Role::Http, second), Some(second));
        assert_eq!(taken(&mut inherited, Role::Https, elsewhere), None);
        assert_eq!(taken(&mut inherited, Role::Http, elsewhere), Some(first));
        assert_eq!(taken(&mut inherited, Role::Http, elsewhere), None);
    }

    #[test]
    fn a_predecessors_socket_is_for_the_address_that_was_configured_there() {
        let free_port = "127.0.0.1:0".parse().unwrap();
        let other = "127.0.0.2:0".parse().unwrap();
        let socket = found(&name_of(Role::Http, free_port));
        let address = socket.address;
        let mut inherited = Inherited {
            sockets: vec![socket],
            predecessor: None,
        };
        assert_eq!(taken(&mut inherited, Role::Http, other), None);
        assert_eq!(taken(&mut inherited, Role::Admin, free_port), None);
        assert_eq!(taken(&mut inherited, Role::Http, free_port), Some(address));
    }

    #[test]
    fn names_have_no_colon() {
        let address = "[::1]:443".parse().unwrap();
        assert_eq!(name_of(Role::Https, address), "cms-edge/https/[__1]_443");
    }
}
