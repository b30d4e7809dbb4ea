//! Certificates that follow their files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cms_edge::clock::{ManualClock, Timestamp};
use cms_edge::server::tls::{Certificate, KeepCurrent, MinVersion, Pem, keep_current};
use rustls::version::TLS13;
use rustls_pki_types::CertificateDer;
use tokio::task::JoinHandle;

use crate::support::*;

struct Pair {
    cert: String,
    key: String,
    root: CertificateDer<'static>,
}

fn pair(not_after: i32) -> Pair {
    let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(not_after, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    Pair {
        cert: made.pem(),
        key: key.serialize_pem(),
        root: made.der().clone(),
    }
}

/// 1 January of the years, in seconds since the Unix epoch.
const YEAR_2100: i64 = 4_102_444_800;
const YEAR_2200: i64 = 7_258_118_400;

fn write(folder: &Path, pair: &Pair) {
    std::fs::write(folder.join("cert.pem"), &pair.cert).unwrap();
    std::fs::write(folder.join("key.pem"), &pair.key).unwrap();
}

fn certificate_in(folder: &Path) -> Certificate {
    Certificate {
        cert_pem: Pem::File(folder.join("cert.pem")),
        key_pem: Pem::File(folder.join("key.pem")),
        hosts: Vec::new(),
    }
}

fn follow(server: &Running, every: Duration) -> JoinHandle<()> {
    let settings = KeepCurrent {
        every,
        listeners: "public",
        clock: Arc::new(ManualClock::starting_at(Timestamp::from_secs(0))),
        metrics: Arc::clone(&server.metrics),
    };
    tokio::spawn(keep_current(server.certificates.clone().unwrap(), settings))
}

async fn connects(server: &Running, root: &CertificateDer<'static>) -> bool {
    let config = client_config(std::slice::from_ref(root), &[&TLS13], &[]);
    connect_tls(server.https[0], "a.example", config)
        .await
        .is_ok()
}

const OFTEN: Duration = Duration::from_millis(5);

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (old, new) = (pair(2100), pair(2200));
    write(folder, &old);
    let settings = https_settings(vec![certificate_in(folder)], MinVersion::Tls12);
    let server = start(settings).await;
    let task = follow(&server, OFTEN);
    let not_after = server.metrics.certificates_not_after("public");
    let reloaded = |outcome, count| {
        server.until(move |metrics| metrics.certificates_reloaded_count(outcome) == count)
    };
    server.until(|_| not_after.get() == YEAR_2100).await;

    // The key is missing yet: the old pair stays.
    std::fs::write(folder.join("cert.pem"), &new.cert).unwrap();
    reloaded("failed", 1).await;
    assert!(connects(&server, &old.root).await);
    assert_eq!(not_after.get(), YEAR_2100);

    std::fs::write(folder.join("key.pem"), &new.key).unwrap();
    reloaded("ok", 1).await;
    assert!(connects(&server, &new.root).await);
    assert!(!connects(&server, &old.root).await);
    server.until(|_| not_after.get() == YEAR_2200).await;

    std::fs::remove_file(folder.join("key.pem")).unwrap();
    reloaded("failed", 2).await;
    assert!(connects(&server, &new.root).await);
    assert_eq!(server.metrics.certificates_reloaded_count("ok"), 1);
    task.abort();
}

#[tokio::test]
async fn a_link_that_is_turned_is_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pairs = [("first", pair(2100)), ("second", pair(2100))];
    for (name, pair) in &pairs {
        let of_pair = folder.join(name);
        std::fs::create_dir(&of_pair).unwrap();
        write(&of_pair, pair);
    }
    // As a volume of Kubernetes: ..data is a link to a folder, and is replaced by another.
    let link = |name: &str| {
        let new = folder.join("..data_tmp");
        std::os::unix::fs::symlink(name, &new).unwrap();
        std::fs::rename(new, folder.join("..data")).unwrap();
    };
    link("first");
    for file in ["cert.pem", "key.pem"] {
        let target = Path::new("..data").join(file);
        std::os::unix::fs::symlink(target, folder.join(file)).unwrap();
    }
    let settings = https_settings(vec![certificate_in(folder)], MinVersion::Tls12);
    let server = start(settings).await;
    let task = follow(&server, OFTEN);
    assert!(connects(&server, &pairs[0].1.root).await);
    link("second");
    server
        .until(|metrics| metrics.certificates_reloaded_count("ok") == 1)
        .await;
    assert!(connects(&server, &pairs[1].1.root).await);
    task.abort();
}

#[tokio::test]
async fn what_was_replaced_by_hand_is_followed_from_then_on() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pairs = [pair(2100), pair(2100), pair(2100)];
    write(first.path(), &pairs[0]);
    write(second.path(), &pairs[1]);
    let settings = https_settings(vec![certificate_in(first.path())], MinVersion::Tls12);
    let server = start(settings).await;
    let certificates = server.certificates.clone().unwrap();
    let replacement = [certificate_in(second.path())];
    certificates.replace(&replacement).await.unwrap();
    let task = follow(&server, OFTEN);
    assert!(connects(&server, &pairs[1].root).await);
    write(second.path(), &pairs[2]);
    server
        .until(|metrics| metrics.certificates_reloaded_count("ok") >= 1)
        .await;
    soon(async { while !connects(&server, &pairs[2].root).await {} }).await;
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn zero_is_never() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &pair(2100));
    let settings = https_settings(vec![certificate_in(folder.path())], MinVersion::Tls12);
    let server = start(settings).await;
    let task = follow(&server, Duration::ZERO);
    let not_after = server.metrics.certificates_not_after("public");
    server.until(|_| not_after.get() == YEAR_2100).await;
    write(folder.path(), &pair(2200));
    tokio::time::advance(Duration::from_secs(100 * 3600)).await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(not_after.get(), YEAR_2100);
    assert_eq!(server.metrics.certificates_reloaded_count("ok"), 0);
    task.abort();
}
