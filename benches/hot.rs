//! What a memory hit is made of, and the whole of it without sockets.
//!
//! `cargo bench --bench hot`

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark may stop where it stands"
)]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/origin.rs"]
mod origin;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cms_edge::app::{App, Surroundings};
use cms_edge::clock::{ManualClock, Timestamp};
use cms_edge::config;
use cms_edge::fields::cache_control::RequestControl;
use cms_edge::key::language::{LanguageRule, LanguageSettings, Source};
use cms_edge::key::{KeyRule, QueryRule, TargetUri};
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HOST, USER_AGENT};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Empty};

use bench::{connection, runtime};

const CHROME: &str = "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7";

fn presented() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, "www.example.org".parse().unwrap());
    headers.insert(ACCEPT, "*/*".parse().unwrap());
    headers.insert(ACCEPT_LANGUAGE, CHROME.parse().unwrap());
    headers.insert(ACCEPT_ENCODING, "gzip, deflate, br, zstd".parse().unwrap());
    headers.insert(
        USER_AGENT,
        "Mozilla/5.0 (X11; Linux x86_64)".parse().unwrap(),
    );
    headers
}

fn language() -> LanguageRule {
    LanguageRule::new(LanguageSettings {
        supported: ["en", "de", "fr", "pt-BR"].map(Into::into).into(),
        sources: vec![Source::Header],
        ..LanguageSettings::default()
    })
    .unwrap()
}

fn target() -> TargetUri {
    TargetUri::parse(
        "https",
        "www.example.org",
        "/api/articles/17",
        Some("page=2&utm_source=x"),
    )
    .unwrap()
}

fn pieces(c: &mut Criterion) {
    let (headers, target, language) = (presented(), target(), language());
    c.bench_function("target", |b| {
        b.iter(|| {
            let path = black_box("/api/articles/17");
            TargetUri::parse("https", black_box("www.example.org"), path, None)
        });
    });
    c.bench_function("negotiate", |b| {
        b.iter(|| language.negotiate(black_box(&target), black_box(&headers)));
    });
    let rule = KeyRule {
        language: Some(language.clone()),
        query: QueryRule {
            sort: true,
            ..QueryRule::default()
        },
        ..KeyRule::default()
    };
    c.bench_function("key with language and query", |b| {
        b.iter(|| rule.key(black_box(&target), black_box(&headers)));
    });
    c.bench_function("request directives", |b| {
        b.iter(|| RequestControl::parse(black_box(&headers)));
    });
}

/// From the request's head to the response's, for a response of 1 KiB in memory.
fn hit(c: &mut Criterion) {
    let runtime = runtime();
    let app = runtime.block_on(async {
        let origin = origin::origin(1024, "vary: accept-language\r\n").await;
        let text = format!(
            "[server]\nhttps = []\nhttp = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [log]\naccess = \"off\"\n[upstream.cms]\nservers = [\"http://{origin}\"]\n\
             [[route]]\nname = \"article\"\npath = \"/api/articles/{{id}}\"\nupstream = \"cms\"\n\
             ttl = \"24h\"\ntags = [\"article:{{id}}:{{language}}\"]\n\
             language = {{ supported = [\"en\", \"de\", \"fr\", \"pt-BR\"], default = \"en\", \
             sources = [\"header\"] }}\n"
        );
        let config = config::parse(&text, "bench.toml", Path::new(""), []).expect("no mistakes");
        let clock = ManualClock::starting_at(Timestamp::from_secs(1_795_262_400));
        let surroundings = Surroundings {
            clock: Arc::new(clock),
            ..Surroundings::default()
        };
        App::bind(&config, surroundings).await.unwrap()
    });
    let proxy = app.proxy();
    let connection = connection();
    let mut request = Request::get("/api/articles/17")
        .body(Empty::<Bytes>::new())
        .unwrap();
    *request.headers_mut() = presented();
    request.headers_mut().remove(ACCEPT_ENCODING);
    for (name, coding) in [("identity", None), ("brotli", Some("gzip, deflate, br"))] {
        if let Some(coding) = coding {
            let headers = request.headers_mut();
            headers.insert(ACCEPT_ENCODING, coding.parse().unwrap());
        }
        runtime.block_on(async {
            for _ in 0..3 {
                let response = proxy.handle(request.clone(), &connection).await;
                response.into_body().collect().await.unwrap();
            }
        });
        c.bench_function(&format!("memory hit, {name}"), |b| {
            b.to_async(&runtime)
                .iter(|| proxy.handle(request.clone(), &connection));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3));
    targets = pieces, hit
}
criterion_main!(benches);
