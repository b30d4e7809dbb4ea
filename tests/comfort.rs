//! What somebody sees who installs cms-edge with a Redis: of the check, of the start, of the log, of a
//! running instance. The real program, real servers: `apt-get install redis-server`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop where it stands"
)]

#[path = "support"]
mod support {
    pub(crate) mod origin;
    pub(crate) mod redis_server;
}

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use cms_edge::store::redis::remedy::RIGHTS;
use support::origin::{Origin, Reply};
use support::redis_server::{Server, eventually, free_port};
use tempfile::TempDir;

const TOKEN: &str = "0123456789abcdef-of-the-test";
const UNAVAILABLE: i32 = 69;
const USAGE: i32 = 64;

/// A configuration in a folder of its own.
struct Site {
    folder: TempDir,
    http: u16,
    admin: u16,
}

/// `cms-edge serve`; killed when dropped.
struct Running(Child);

impl Site {
    fn before(origin: &str, more: &str) -> Self {
        let (folder, http, admin) = (tempfile::tempdir().unwrap(), free_port(), free_port());
        let text = format!(
            "{more}\n[server]\nhttp = [\"127.0.0.1:{http}\"]\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\ntoken = \"{TOKEN}\"\n[log]\naccess = \"off\"\n\
             [upstream.cms]\nservers = [\"{origin}\"]\n\
             [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"cms\"\n"
        );
        std::fs::write(folder.path().join("proxy.toml"), text).unwrap();
        Self {
            folder,
            http,
            admin,
        }
    }

    /// Of an origin that nobody asks.
    fn with(more: &str) -> Self {
        Self::before("http://127.0.0.1:1", more)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Its exit status, and what it said.
    fn check(&self) -> (i32, String) {
        said(&program(&["check", "--connect", "--config", &self.path("proxy.toml")]).output())
    }

    fn serve(&self) -> Running {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let mut command = program(&["serve", "--config", &self.path("proxy.toml")]);
        Running(command.stderr(log).stdout(Stdio::null()).spawn().unwrap())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    async fn says(&self, text: &str) {
        eventually(text, || async { self.log().contains(text) }).await;
    }

    fn status(&self) -> (i32, String) {
        let admin = format!("http://127.0.0.1:{}", self.admin);
        let mut command = program(&["status", "--admin", &admin, "--token", "env:TOKEN"]);
        said(&command.env("TOKEN", TOKEN).output())
    }

    async fn stands(&self, code: i32, text: &str) {
        eventually(text, || async {
            let status = self.status();
            status.0 == code && status.1.contains(text)
        })
        .await;
    }

    async fn get(&self, path: &str) -> Option<u16> {
        ask(self.http, "GET", path).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cms-edge"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("HOSTNAME")
        .stdin(Stdio::null());
    command
}

fn said(output: &std::io::Result<Output>) -> (i32, String) {
    let output = output.as_ref().unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), text)
}

/// The status of the answer.
async fn ask(port: u16, method: &str, path: &str) -> Option<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .ok()?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    String::from_utf8_lossy(&answer).get(9..12)?.parse().ok()
}

fn redis(url: &str, more: &str) -> String {
    format!("[redis]\nurl = \"{url}\"\n{more}")
}

/// A short lease, and this name.
fn log(name: &str) -> String {
    format!(
        "[purge_log]\nlease = \"500ms\"\nrenew = \"100ms\"\ngone = \"600ms\"\ninstance = \"{name}\"\n"
    )
}

#[tokio::test]
async fn the_check_names_the_key_and_the_remedy() {
    let open = Server::start(&[]).await;
    let closed = Server::start(&[]).await;
    let password = ["CONFIG", "SET", "requirepass", "secret-of-the-test"];
    closed.ask::<()>(&password).await;
    let of = open.port.to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &of]).await;
    let full = Server::start(&[]).await;
    full.ask::<()>(&["CONFIG", "SET", "maxmemory", "1mb"]).await;
    let nowhere = format!("redis://127.0.0.1:{}", free_port());
    let wrong = format!("redis://:wrong-secret@127.0.0.1:{}", closed.port);
    let tls = open.url().replace("redis:", "rediss:");
    for (url, more, remedy) in [
        (nowhere.as_str(), "", "host and port of redis.url"),
        (&closed.url(), "", "it wants a password: redis.url"),
        (&wrong, "", "user or password of redis.url"),
        (&replica.url(), "", "it is a replica: redis.url"),
        (&full.url(), "", "maxmemory-policy to volatile-lru"),
        (
            &open.url(),
            "mode = \"cluster\"",
            "redis.mode = \"standalone\"",
        ),
        (
            &open.url(),
            "mode = \"sentinel\"",
            "it is no Sentinel: redis.mode",
        ),
        (&tls, "connect_timeout = \"300ms\"", "redis:// in redis.url"),
    ] {
        let (code, text) = Site::with(&redis(url, more)).check();
        assert_eq!(code, UNAVAILABLE, "{url} {more}: {text}");
        assert!(text.contains(remedy), "{url} {more}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
    let (code, text) = Site::with(&redis(&open.url(), "")).check();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("Warning: Redis has no maxmemory"), "{text}");
    let keys: Vec<String> = open.ask(&["KEYS", "*"]).await;
    assert!(keys.is_empty(), "{keys:?}");
    let (code, text) = Site::with("").check();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("There is no Redis to ask"), "{text}");
}

#[tokio::test]
async fn the_rights_that_are_documented_are_enough() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let words = |path: &str| {
        let text = std::fs::read_to_string(root.join(path)).unwrap();
        text.split_whitespace()
            .filter(|word| *word != "#")
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(words("proxy.toml").contains(RIGHTS));
    let rights = RIGHTS.replace("NAMESPACE", "default");
    assert!(words("docs/purging.md").contains(&rights));
    let server =
        Server::start(&["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"]).await;
    let mut rule = vec!["ACL", "SETUSER", "edge", "on", ">pass-of-the-test"];
    rule.extend(rights.split(' '));
    server.ask::<()>(&rule).await;
    let url = server
        .url()
        .replace("redis://", "redis://edge:pass-of-the-test@");
    let origin =
        Origin::start(async |_| Reply::ok("page").header("cache-control", "max-age=60")).await;
    let place = format!("http://{}", origin.address());
    let site = Site::before(&place, &(redis(&url, "") + &log("edge-1")));
    assert_eq!(site.check().0, 0, "{}", site.check().1);
    let _running = site.serve();
    site.stands(0, "serves what is stored").await;
    assert_eq!(site.get("/page").await, Some(200));
    eventually("the page is in Redis", || async {
        let keys: Vec<String> = server.ask(&["KEYS", "{default:*"]).await;
        !keys.is_empty()
    })
    .await;
    let refused: Vec<redis::Value> = server.ask(&["ACL", "LOG"]).await;
    assert!(refused.is_empty(), "{refused:?}");
}

#[tokio::test]
async fn the_status_names_the_instances_and_what_is_wrong() {
    let mut server = Server::start(&[]).await;
    let [first, second] =
        ["edge-1", "edge-2"].map(|name| Site::with(&(redis(&server.url(), "") + &log(name))));
    let _first = first.serve();
    let of_second = second.serve();
    first.stands(0, "edge-2: applied").await;
    assert!(
        first.status().1.contains("edge-1: applied 0, 0 behind"),
        "{}",
        first.status().1
    );
    first.says("what is stored may be served").await;
    drop(of_second);
    first.says("an instance is gone").await;
    server.kill();
    first
        .stands(1, "PROBLEM      nothing that is stored is served")
        .await;
    assert!(
        first.status().1.contains("host and port of redis.url"),
        "{}",
        first.status().1
    );
    first.says("nothing that is stored is served").await;
    assert_eq!(ask(first.admin, "GET", "/readyz").await, Some(200));
    assert_eq!(ask(first.admin, "GET", "/status").await, Some(401));
    assert_eq!(ask(first.admin, "POST", "/status").await, Some(405));
    server.restart().await;
    first.stands(0, "serves what is stored").await;
    first.says("what is stored may be served").await;
}

#[tokio::test]
async fn instances_of_one_name_are_told() {
    let server = Server::start(&[]).await;
    let sites = [(); 2].map(|()| Site::with(&(redis(&server.url(), "") + &log("edge"))));
    let _running = sites.each_ref().map(Site::serve);
    sites[0]
        .stands(1, "several instances are called edge: purge_log.instance")
        .await;
}

/// A replica answers, and takes no writes: the way to it opens and closes again and again.
#[tokio::test]
async fn a_redis_that_comes_and_goes_does_not_flood_the_log() {
    let master = Server::start(&[]).await;
    let of = master.port.to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &of]).await;
    let origin =
        Origin::start(async |_| Reply::ok("page").header("cache-control", "max-age=60")).await;
    let place = format!("http://{}", origin.address());
    let site = Site::before(&place, &(redis(&replica.url(), "") + &log("edge-1")));
    let _running = site.serve();
    for number in 0..6 {
        let number_of_trips = format!("cms_edge_redis_trips_total {}", number + 1);
        eventually("it is given up once more", || async {
            site.get(&format!("/{number}/{}", free_port())).await;
            metrics(site.admin).await.contains(&number_of_trips)
        })
        .await;
    }
    let log = site.log();
    let many = log.lines().filter(|line| line.contains("Redis")).count();
    assert!(many <= 8, "{log}");
    assert!(
        log.contains("it is a replica: redis.url must lead to its master"),
        "{log}"
    );
}

async fn metrics(port: u16) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else {
        return String::new();
    };
    let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_spool_is_made_or_its_key_is_named() {
    let server = Server::start(&[]).await;
    let url = server.url();
    let log = |spool: &str| format!("[purge_log]\nurl = \"{url}\"\nspool = \"{spool}\"\n");
    for (spool, why) in [
        ("no/spool", "there is no folder"),
        ("proxy.toml", "it is no folder"),
    ] {
        let (code, text) = Site::with(&log(spool)).check();
        assert_eq!(code, USAGE, "{text}");
        assert!(text.contains("proxy.toml:3: purge_log.spool"), "{text}");
        assert!(text.contains(why), "{text}");
    }
    let site = Site::with(&log("spool"));
    assert_eq!(site.check().0, 0);
    assert!(!site.folder.path().join("spool").exists());
    let _running = site.serve();
    eventually("the spool is there", || async {
        site.folder.path().join("spool").is_dir()
    })
    .await;
    let (code, text) = Site::with("[purge_log]\nspool = \"spool\"\n").check();
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("Note: purge_log.spool has no effect"),
        "{text}"
    );
}

#[tokio::test]
async fn a_url_with_a_slip_says_which_and_keeps_the_password_to_itself() {
    for (url, why) in [
        ("redis:/127.0.0.1:6379", "it does not begin with redis://"),
        ("redsi://:hunter2-hunter2@a:1", "it begins with \"redsi\""),
        ("redis://:hunter2-hunter2@a:170000", "its port is no number"),
        ("redis://:hunter2#hunter2@a:1", "# %23"),
        ("hunter2-hunter2@a:1", "it does not begin with redis://"),
    ] {
        let (code, text) = Site::with(&redis(url, "")).check();
        assert_eq!(code, USAGE, "{text}");
        assert!(text.contains("proxy.toml:2: redis.url"), "{text}");
        assert!(text.contains(why), "{url}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let demo = |url: &str| said(&program(&["demo", "--check", "--redis", url]).output());
    let (code, text) = demo("redsi://a");
    assert_eq!(code, 1);
    assert!(text.contains("--redis: it begins with"), "{text}");
    let (code, text) = demo(&format!("redis://127.0.0.1:{}", free_port()));
    assert_eq!(code, 1);
    assert!(text.contains("nothing listens there"), "{text}");
}
