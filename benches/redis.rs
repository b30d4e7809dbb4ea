//! What a hit costs that Redis serves, beside one of memory and beside the bare command of the same
//! client library: processor time of this process (Redis' own is another process's), 64 requests at
//! a time, without sockets of clients.
//!
//! `cargo bench --bench redis`

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark may stop where it stands"
)]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/origin.rs"]
mod origin;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use cms_edge::app::{App, Surroundings};
use cms_edge::config;
use http::Request;
use http_body_util::{BodyExt, Empty};
use tokio::task::JoinSet;

#[path = "../tests/support"]
mod support {
    pub(crate) mod redis_server;
}

use bench::{connection, runtime};
use support::redis_server::{Server, eventually};

const AT_A_TIME: usize = 64;
/// Requests of one measurement; the best of [`ROUNDS`] counts.
const REQUESTS: usize = 64_000;
const ROUNDS: usize = 5;

fn main() {
    let runtime = runtime();
    // `cargo test` runs benches, too, and only wants to know that they run.
    let requests = if std::env::args().any(|argument| argument == "--bench") {
        REQUESTS
    } else {
        AT_A_TIME
    };
    runtime.block_on(run(requests));
}

async fn run(requests: usize) {
    let server = Server::start(&[]).await;
    println!("microseconds of processor time a request, {AT_A_TIME} at a time");
    for bytes in [1024, 10 * 1024] {
        let memory = hits(&server, "[cache]\nmemory = \"64MiB\"", bytes, requests).await;
        let bare = bare(&server, bytes, requests).await;
        println!("{bytes:6} bytes: memory hit {memory:.2}, bare batched GET {bare:.2}");
        for connections in [1, 2, 4] {
            let settings = format!(
                "[cache]\nmemory = \"0B\"\n[redis]\nurl = \"{}\"\ntimeout = \"10s\"\n\
                 connections = {connections}\n[purge_log]\nenabled = false",
                server.url()
            );
            let redis = hits(&server, &settings, bytes, requests).await;
            let ratio = redis / (memory + 2.0 * bare);
            println!(
                "{bytes:6} bytes: Redis hit, {connections} connections: {redis:.2}, which is \
                 {ratio:.2} of memory hit + 2 bare GETs"
            );
        }
    }
}

/// Of a whole instance, from the request's head to the response's last byte.
async fn hits(server: &Server, settings: &str, bytes: usize, requests: usize) -> f64 {
    let _: String = server.ask(&["FLUSHALL"]).await;
    let origin = origin::origin(bytes, "").await;
    let text = format!(
        "[server]\nhttps = []\nhttp = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [log]\naccess = \"off\"\n{settings}\n[upstream.cms]\nservers = [\"http://{origin}\"]\n\
         [[route]]\nname = \"article\"\npath = \"/api/articles/{{id}}\"\nupstream = \"cms\"\n\
         ttl = \"24h\"\n"
    );
    let config = config::parse(&text, "bench.toml", Path::new(""), []).expect("no mistakes");
    let app = App::bind(&config, Surroundings::default()).await.unwrap();
    let proxy = app.proxy();
    let answer = move |at: usize| {
        let proxy = proxy.clone();
        async move {
            let connection = connection();
            let request = Request::get(format!("/api/articles/{}", at % 100))
                .header("host", "www.example.org")
                .body(Empty::<Bytes>::new())
                .unwrap();
            let response = proxy.handle(request, &connection).await;
            let status = response.headers().get("cache-status").unwrap();
            let is_hit = status.to_str().unwrap().starts_with("cms-edge; hit");
            let content = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(content.len(), bytes);
            is_hit
        }
    };
    let is_shared = settings.contains("redis");
    eventually("all of it is stored", || async {
        let mut all = true;
        for at in 0..100 {
            all &= answer(at).await;
        }
        let keys: usize = server.ask(&["DBSIZE"]).await;
        all && (!is_shared || keys == 100)
    })
    .await;
    // And has left the memory in which it landed.
    tokio::time::sleep(Duration::from_millis(500)).await;
    measure(requests, move |at| {
        let answer = answer(at);
        async move { assert!(answer.await) }
    })
    .await
}

async fn bare(server: &Server, bytes: usize, requests: usize) -> f64 {
    let value = "x".repeat(bytes);
    let _: String = server.ask(&["SET", "bare", &value]).await;
    let client = redis::Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    measure(requests, move |_| {
        let mut connection = connection.clone();
        async move {
            let value: Vec<u8> = redis::cmd("GET")
                .arg("bare")
                .query_async(&mut connection)
                .await
                .unwrap();
            assert_eq!(value.len(), bytes);
        }
    })
    .await
}

/// Microseconds of processor time for each of `requests`.
async fn measure<F>(requests: usize, request: impl Fn(usize) -> F + Clone + Send + 'static) -> f64
where
    F: Future<Output = ()> + Send,
{
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let before = processor_time();
        let mut tasks = JoinSet::new();
        for task in 0..AT_A_TIME {
            let request = request.clone();
            tasks.spawn(async move {
                for at in (task..requests).step_by(AT_A_TIME) {
                    request(at).await;
                }
            });
        }
        tasks.join_all().await;
        let took = processor_time().saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "it is far below 2^52")]
        let each = took.as_secs_f64() * 1e6 / requests as f64;
        best = best.min(each);
    }
    best
}

/// Of all threads of this process.
fn processor_time() -> Duration {
    let mut nanos = 0;
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let file = thread.unwrap().path().join("schedstat");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let first = text.split(' ').next().unwrap_or_default();
        nanos += first.parse::<u64>().unwrap_or(0);
    }
    Duration::from_nanos(nanos)
}
