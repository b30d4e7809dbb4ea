//! `cms-edge drill` at an admin listener with TLS, which may demand client certificates.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::program::{Program, command};
use crate::support::redis_server::{Server, tls_files};
use crate::support::stage::ADMIN_TOKEN;

/// `cert.pem`, `key.pem` and `ca.pem` of an authority.
struct Files([PathBuf; 3]);

struct Scene {
    edge: Program,
    ours: Files,
    _folder: TempDir,
}

impl Files {
    fn new(folder: &Path) -> Self {
        Self(tls_files(folder))
    }

    fn cert(&self) -> &str {
        self.0[0].to_str().unwrap()
    }

    fn key(&self) -> &str {
        self.0[1].to_str().unwrap()
    }

    fn ca(&self) -> &str {
        self.0[2].to_str().unwrap()
    }
}

impl Scene {
    /// `admin` gets more keys of `[admin]` from the files, `more` follows the routes.
    async fn start(admin: impl Fn(&Files) -> String, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ours = Files::new(folder.path());
        let text = format!(
            "[server]\nhttp = [\"127.0.0.1:0\"]\nhttps = []\n\
             [admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{ADMIN_TOKEN}\"\n{}\
             [upstream.origin]\nservers = [\"http://127.0.0.1:9\"]\n\
             [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n{more}",
            admin(&ours)
        );
        let edge = Program::serve(folder.path(), &text).await;
        Self {
            edge,
            ours,
            _folder: folder,
        }
    }

    /// The exit code, and what it says.
    async fn drill(&self, scheme: &str, arguments: &[&str]) -> (Option<i32>, String) {
        self.run(&["drill", "redis-down"], scheme, arguments).await
    }

    async fn run(
        &self,
        command_line: &[&str],
        scheme: &str,
        arguments: &[&str],
    ) -> (Option<i32>, String) {
        let admin = format!("{scheme}://localhost:{}", self.edge.admin.port());
        let all = [command_line, &["--admin", &admin], arguments].concat();
        let output = command(&all)
            .env("CMS_EDGE_ADMIN__TOKEN", ADMIN_TOKEN)
            .output()
            .await
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    async fn fails(&self, scheme: &str, arguments: &[&str], why: &str) {
        let (code, text) = self.drill(scheme, arguments).await;
        assert_ne!(code, Some(0), "{text}");
        assert!(text.contains(why), "{why}: {text}");
    }
}

#[tokio::test]
async fn a_listener_with_tls_is_asked_how_it_stands() {
    let scene = Scene::start(secured, "").await;
    let ca = scene.ours.ca();
    let (code, text) = scene.run(&["status"], "https", &["--ca", ca]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("in memory alone"), "{text}");
    let (code, text) = scene.run(&["status"], "https", &[]).await;
    assert_eq!(code, Some(1), "{text}");
}

fn secured(files: &Files) -> String {
    let (cert, key) = (files.cert(), files.key());
    format!("tls_cert = \"{cert}\"\ntls_key = \"{key}\"\n")
}

fn guarded(files: &Files) -> String {
    format!("{}client_ca = \"{}\"\n", secured(files), files.ca())
}

/// It was asked, and answered.
const ANSWERED: &str = "uses no Redis";

#[tokio::test(flavor = "multi_thread")]
async fn it_drills_over_tls_with_a_client_certificate() {
    let redis = Server::start(&[]).await;
    let url = redis.url();
    let more =
        format!("[redis]\nurl = \"{url}\"\ntimeout = \"1s\"\n[purge_log]\nenabled = false\n");
    let scene = Scene::start(guarded, &more).await;
    let ours = &scene.ours;
    let identity = [
        "--ca",
        ours.ca(),
        "--cert",
        ours.cert(),
        "--key",
        ours.key(),
    ];
    let spans = ["--for", "2s", "--watch", "1s", "--yes"];
    let (_, text) = scene
        .drill("https", &[&identity[..], &spans].concat())
        .await;
    for said in ["Redis is gone, for 2s", "As before"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_listener_of_a_known_authority_is_asked() {
    let scene = Scene::start(secured, "").await;
    let ours = &scene.ours;
    scene.fails("https", &["--ca", ours.ca()], ANSWERED).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let theirs = Files::new(elsewhere.path());
    let unknown = "not of an authority that is trusted here";
    scene.fails("https", &["--ca", theirs.ca()], unknown).await;
    // Those of the system do not know it either, if there are any.
    scene.fails("https", &[], "authorit").await;
    scene
        .fails("https", &["--ca", ours.key()], "no certificate")
        .await;
    scene
        .fails("https", &["--ca", "/no/such/file"], "/no/such/file")
        .await;
    scene.fails("http", &[], "https:// may be meant").await;
    let plain = "are for https://";
    scene.fails("http", &["--ca", ours.ca()], plain).await;
    scene
        .fails("https", &["--cert", ours.cert()], "--key")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_that_is_demanded_is_asked_for() {
    let scene = Scene::start(guarded, "").await;
    let ours = &scene.ours;
    let ca = ["--ca", ours.ca()];
    scene
        .fails("https", &ca, "--cert FILE and --key FILE")
        .await;
    let elsewhere = tempfile::tempdir().unwrap();
    let theirs = Files::new(elsewhere.path());
    let with = |files: &Files| {
        let [cert, key] = [files.cert(), files.key()].map(str::to_owned);
        ["--cert".to_owned(), cert, "--key".to_owned(), key]
    };
    let strange = with(&theirs);
    let strange: Vec<&str> = strange.iter().map(String::as_str).collect();
    scene
        .fails("https", &[&ca[..], &strange].concat(), "cannot be asked")
        .await;
    let known = with(ours);
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    scene
        .fails("https", &[&ca[..], &known].concat(), ANSWERED)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_a_listener_without_it_says_so() {
    let scene = Scene::start(|_| String::new(), "").await;
    let ca = ["--ca", scene.ours.ca()];
    scene.fails("https", &ca, "http:// may be meant").await;
    scene.fails("http", &[], ANSWERED).await;
}
