//! The service manager: what it is told by `sd_notify(3)`, and the sockets it hands over.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use http::Method;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::edge::{Edge, command, config};
use crate::support::origin::{Origin, PATIENCE, Reply};
use crate::support::script::until;

async fn origin() -> Origin {
    Origin::start(|request| async move { Reply::ok(request.target) }).await
}

struct Manager(UnixDatagram);

impl Manager {
    fn listen(folder: &TempDir, command: &mut Command) -> Self {
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE * 2)).unwrap();
        command.env("NOTIFY_SOCKET", path);
        Self(socket)
    }

    /// The next message that is no sign of life.
    async fn told(&self) -> String {
        loop {
            let message = self.any().await;
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }

    async fn any(&self) -> String {
        let socket = self.0.try_clone().unwrap();
        let receive = move || {
            let mut buffer = [0; 4096];
            let length = socket.recv(&mut buffer).expect("a message");
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        spawn_blocking(receive).await.unwrap()
    }
}

#[tokio::test]
async fn the_manager_hears_of_the_start_reloads_an_upgrade_and_the_end() {
    let origin = origin().await;
    let folder = TempDir::new().unwrap();
    let mut command = command(folder.path());
    let manager = Manager::listen(&folder, &mut command);
    command.env("WATCHDOG_USEC", "200000");
    let text = config(&origin, "", "");
    let edge = Edge::spawn(folder, &text, command).await;
    assert!(manager.told().await.starts_with("READY=1\nSTATUS="));
    assert_eq!(manager.any().await, "WATCHDOG=1");

    edge.signal("HUP").await;
    let reloading = manager.told().await;
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(manager.told().await, "READY=1\nSTATUS=Serving.");
    edge.write("[server]\nworkerz = 1\n");
    edge.signal("HUP").await;
    assert!(manager.told().await.starts_with("RELOADING=1"));
    let refused = manager.told().await;
    assert!(
        refused.starts_with("READY=1\nSTATUS=Serving. The last reload was refused"),
        "{refused}"
    );

    edge.write(&text);
    edge.upgrade().await;
    assert_eq!(manager.told().await, format!("MAINPID={}", edge.pid()));
    edge.signal("TERM").await;
    assert!(manager.told().await.starts_with("STOPPING=1\n"));
}

#[tokio::test]
async fn sockets_of_the_manager_are_served_on_and_what_is_missing_is_bound() {
    let origin = origin().await;
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    // One is found by its address, one by its name, and one is for nobody.
    let (by_address, by_name, surplus) = (listen(), listen(), listen());
    let addresses = [&by_address, &by_name, &surplus].map(|one| one.local_addr().unwrap());
    let text = config(&origin, "", "").replace(
        "http = [\"127.0.0.1:0\"]",
        &format!("http = [\"{}\", \"127.0.0.2:0\"]", addresses[0]),
    );
    let folder = TempDir::new().unwrap();
    let mut command = command(folder.path());
    let strange = UnixDatagram::unbound().unwrap();
    let fds: [OwnedFd; 4] = [
        surplus.into(),
        by_name.into(),
        by_address.into(),
        strange.into(),
    ];
    let mappings = (3..).zip(fds).map(|(child_fd, parent_fd)| FdMapping {
        parent_fd,
        child_fd,
    });
    command
        .fd_mappings(mappings.collect())
        .unwrap()
        .env("LISTEN_FDS", "4")
        .env("LISTEN_FDNAMES", "other:admin:whatever");
    let edge = Edge::spawn(folder, &text, command).await;
    assert_eq!((edge.http, edge.admin), (addresses[0], addresses[1]));
    assert_eq!(edge.get("/a").await.text(), "/a");
    assert_eq!(edge.admin(Method::GET, "/healthz").await.status, 200);
    assert_eq!(edge.lines(&["took over a listening socket"]).len(), 2);
    let surplus = addresses[2].to_string();
    let warned = edge.lines(&["WARN", "not configured", &surplus]);
    assert_eq!(warned.len(), 1);
    let strange = edge.lines(&["WARN", "cannot use what was handed over"]);
    assert_eq!(strange.len(), 1);
    // What was not handed over is bound, and handed on.
    assert_eq!(edge.lines(&["serving https=", "127.0.0.2:"]).len(), 1);
    edge.upgrade().await;
    let serving = edge.lines(&["serving https=", "127.0.0.2:"]);
    let listening = |line: &str| {
        line.split(" http=")
            .nth(1)
            .unwrap()
            .split(" version")
            .next()
            .map(str::to_owned)
    };
    assert_eq!(listening(&serving[0]), listening(&serving[1]));
    assert_eq!(edge.get("/a").await.text(), "/a");
}

#[tokio::test]
async fn at_the_end_readiness_goes_first_and_all_is_served_until_the_delay_is_over() {
    let origin = origin().await;
    let mut edge = Edge::start(&config(&origin, "drain_delay = \"5m\"", "")).await;
    let ready = async || edge.admin(Method::GET, "/readyz").await.status == 200;
    until("readiness", ready).await;
    edge.signal("TERM").await;
    until("no readiness", async || !ready().await).await;
    assert_eq!(edge.get("/a").await.text(), "/a", "on a new connection");
    edge.logged("the wait", 1, &["still serving"]).await;
    // Told again, it waits no longer.
    let again = async {
        loop {
            edge.signal("TERM").await;
            tokio::task::yield_now().await;
            if !edge.lines(&["stopped finished="]).is_empty() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, again)
        .await
        .expect("the end");
    assert!(edge.ended().await.success());
}
