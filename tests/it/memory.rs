//! What is done with little memory left: misses go before hits, and everything comes back.

use std::time::Duration;

use bytes::Bytes;
use cms_edge::budget::{Charge, Shed, Use};
use http::header::HOST;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::support::origin::Origin;
use crate::support::short::{Field, next_tap, piecewise, read, reply, route, until};
use crate::support::stage::{Answer, HOST_NAME, Stage, whole};

const SMALL: &str = "server.work_memory = \"16MiB\"\n";
const MIB: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);

async fn origin(fields: &'static [Field]) -> Origin {
    Origin::start(move |_| async move { reply("content", fields) }).await
}

/// Takes memory until `left` bytes are there.
fn take(stage: &Stage, left: u64) -> Charge {
    let used: u64 = Use::ALL.iter().map(|what| stage.budget.used(*what)).sum();
    stage
        .budget
        .take(Use::Held, stage.budget.max() - used - left)
}

/// A connection that was there before.
struct Kept(SendRequest<Full<Bytes>>);

impl Kept {
    async fn to(stage: &Stage) -> Self {
        let stream = TcpStream::connect(stage.http).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn send(&mut self, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(HOST, HOST_NAME).body(Full::default());
        whole(self.0.send_request(request.unwrap()).await.unwrap()).await
    }
}

async fn shed(stage: &Stage, kind: Shed) -> u64 {
    let series = format!(
        "cms_edge_work_memory_shed_total{{kind=\"{}\"}}",
        kind.as_str()
    );
    stage.metric(&series).await
}

#[tokio::test]
async fn with_little_memory_hits_are_served_and_misses_are_not_stored() {
    let origin = origin(&[("cache-control", "max-age=60")]).await;
    let stage = Stage::start(&origin, SMALL).await;
    stage.get("/kept", &[]).await;
    let charge = take(&stage, MIB);
    assert!(stage.get("/kept", &[]).await.is_hit());
    for _ in 0..2 {
        let answer = stage.get("/new", &[]).await;
        assert_eq!(answer.text(), "content");
        assert_eq!(answer.cache_status(), "cms-edge; fwd=uri-miss");
    }
    assert_eq!(shed(&stage, Shed::Unstored).await, 2);
    let used = "cms_edge_work_memory_bytes{use=\"held\"}";
    assert!(stage.metric(used).await > 14 * MIB);
    assert_eq!(
        stage.metric("cms_edge_work_memory_max_bytes").await,
        16 * MIB
    );
    drop(charge);
    stage.get("/new", &[]).await;
    assert!(stage.get("/new", &[]).await.is_hit());
}

#[tokio::test]
async fn with_little_memory_stale_is_better_than_a_fetch() {
    let origin = origin(&[(
        "cache-control",
        "max-age=60, stale-while-revalidate=60, stale-if-error=600",
    )])
    .await;
    let stage = Stage::start(&origin, SMALL).await;
    stage.get("/a", &[]).await;
    let charge = take(&stage, MIB);
    stage.clock.advance(MINUTE + MINUTE / 2);
    assert_eq!(
        stage.get("/a", &[]).await.cache_status(),
        "cms-edge; hit; ttl=-30"
    );
    assert_eq!(shed(&stage, Shed::Validation).await, 1);
    stage.clock.advance(MINUTE * 2);
    let answer = stage.get("/a", &[]).await;
    assert_eq!(
        answer.cache_status(),
        "cms-edge; hit; ttl=-150; detail=memory"
    );
    assert_eq!(shed(&stage, Shed::Stale).await, 1);
    assert_eq!(origin.hits(), 1);
    drop(charge);
    assert!(!stage.get("/a", &[]).await.is_hit());
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn without_memory_hits_are_served_and_the_origin_is_not_asked() {
    let origin = origin(&[("cache-control", "max-age=60")]).await;
    let stage = Stage::start(&origin, SMALL).await;
    let mut client = Kept::to(&stage).await;
    client.send(Method::GET, "/kept").await;
    let charge = take(&stage, 0);
    assert!(client.send(Method::GET, "/kept").await.is_hit());
    for (method, path) in [(Method::GET, "/new"), (Method::POST, "/kept")] {
        let answer = client.send(method, path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.field("retry-after"), "1");
        assert!(answer.cache_status().ends_with("detail=memory"));
    }
    assert_eq!(origin.hits(), 1);
    assert_eq!(shed(&stage, Shed::Request).await, 2);
    assert_eq!(
        stage
            .metric("cms_edge_cache_limits_total{reason=\"memory\"}")
            .await,
        3
    );
    drop(charge);
    let answer = client.send(Method::GET, "/new").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_fill_that_uses_up_the_memory_goes_to_its_client_alone() {
    let (origin, mut taps) = piecewise(&[("cache-control", "max-age=60")]).await;
    let keys = route("max_object_size = \"64MiB\"");
    let stage = Stage::start(&origin, &format!("{SMALL}{keys}")).await;
    let request = stage.begin(Method::GET, "/film", &[], "");
    let (response, tap) = tokio::join!(request, next_tap(&mut taps));
    let mut body = response.into_body();
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    for count in 1..=24 {
        tap.send(piece.clone()).await.unwrap();
        read(&mut body, piece.len()).await;
        let fills = stage.budget.used(Use::Fills);
        assert!(fills <= 16 * MIB, "{fills} after {count}");
    }
    drop(tap);
    until("the memory is given back", || async {
        stage.budget.used(Use::Fills) + stage.budget.used(Use::Exchanges) == 0
    })
    .await;
    assert_eq!(shed(&stage, Shed::Fill).await, 1);
    let request = stage.begin(Method::GET, "/film", &[], "");
    let (response, _tap) = tokio::join!(request, next_tap(&mut taps));
    assert_eq!(
        response.headers()["cache-status"],
        "cms-edge; fwd=uri-miss; stored; ttl=60"
    );
}

#[tokio::test]
async fn what_a_slow_client_has_not_taken_of_a_fill_is_counted() {
    let (origin, mut taps) = piecewise(&[("cache-control", "max-age=60")]).await;
    let stage = Stage::start(&origin, &route("max_object_size = \"64MiB\"")).await;
    let request = stage.begin(Method::GET, "/a", &[], "");
    let (response, tap) = tokio::join!(request, next_tap(&mut taps));
    // More than the sockets between here and there hold.
    for _ in 0..32 {
        tap.send(Bytes::from(vec![b'x'; 1 << 20])).await.unwrap();
    }
    until("the fill is counted", || async {
        stage.budget.used(Use::Fills) >= 32 * MIB
    })
    .await;
    drop(tap);
    until("the fill has ended", || async {
        stage.budget.used(Use::Fills) == 0
    })
    .await;
    assert!(stage.budget.used(Use::Responses) >= 16 * MIB);
    drop(response);
    until("everything is given back", || async {
        stage.budget.used(Use::Responses) + stage.budget.used(Use::Exchanges) == 0
    })
    .await;
}

#[tokio::test]
async fn a_route_may_allow_larger_content_than_the_others() {
    let origin = origin(&[]).await;
    let settings = "server.request_body_max = \"1KiB\"\n\
        [[route]]\nname = \"media\"\npath = \"/media\"\nupstream = \"origin\"\n\
        request_body_max = \"4KiB\"\n\
        [[route]]\nname = \"forms\"\npath = \"/forms\"\nupstream = \"origin\"\n\
        request_body_max = \"100B\"\n\
        [[route]]\nname = \"rest\"\npath = \"/*\"\nupstream = \"origin\"\n";
    let stage = Stage::start(&origin, settings).await;
    for (path, most) in [("/media", 4096), ("/forms", 100), ("/other", 1024)] {
        for (bytes, status) in [(most, 200), (most + 1, 413)] {
            let answer = stage.send(Method::POST, path, &[], vec![b'x'; bytes]).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {bytes}");
        }
    }
}
