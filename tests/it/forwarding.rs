//! Which requests are forwarded, and what of them the origin sees.

use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::origin::{Origin, PATIENCE, Received, Reply};
use crate::support::short::{raw, reply, route};
use crate::support::stage::Stage;

async fn fresh() -> Origin {
    Origin::start(|_| async { reply("a", &[("cache-control", "max-age=60")]) }).await
}

/// What the origin sees of a GET with these fields.
async fn seen(settings: &str, path: &str, fields: &[(&str, &str)]) -> Received {
    let origin = fresh().await;
    let stage = Stage::start(&origin, settings).await;
    stage.get(path, fields).await;
    origin.requests().remove(0)
}

#[tokio::test]
async fn a_request_that_no_route_takes_does_not_reach_the_origin() {
    let origin = fresh().await;
    let settings = route("hosts = [\"www.example.test\"]\nmethods = [\"GET\"]")
        .replace("\"/*\"", "\"/api/*\"");
    let stage = Stage::start(&origin, &settings).await;
    for (method, host, path, status) in [
        ("GET", "www.example.test", "/api/a", 200),
        ("GET", "other.example.test", "/api/a", 421),
        ("GET", "www.example.test", "/other", 404),
        ("POST", "www.example.test", "/api/a", 405),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = stage.send(method, path, &[("host", host)], "").await;
        assert_eq!(answer.status, status, "{host}{path}");
    }
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn methods_for_proxies_and_for_debugging_are_refused() {
    let origin = fresh().await;
    let stage = Stage::start(&origin, "").await;
    for (line, status) in [
        ("TRACE / HTTP/1.1", "405"),
        ("CONNECT www.example.test:80 HTTP/1.1", "405"),
    ] {
        let request = format!("{line}\r\nhost: www.example.test:80\r\nconnection: close\r\n\r\n");
        let answer = raw(&stage, request.as_bytes()).await;
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&expected), "{line}: {answer}");
    }
    assert_eq!(origin.hits(), 0);
}

#[tokio::test]
async fn ambiguous_targets_are_refused() {
    let origin = fresh().await;
    let stage = Stage::start(&origin, "").await;
    let host = "host: www.example.test\r\n";
    for (target, hosts) in [
        ("/a/../b", host),
        ("/a/%2e%2e/b", host),
        ("/./a", host),
        ("/a%00", host),
        ("/a%0d%0aX: y", host),
        ("/%zz", host),
        ("/%2", host),
        ("*", host),
        ("/a", ""),
        ("/a", "host: a.test\r\nhost: b.test\r\n"),
        ("/a", "host: a.test, b.test\r\n"),
        ("/a", "host: user@a.test\r\n"),
        ("/a", "host: \r\n"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        let answer = raw(&stage, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 400"),
            "{target} {hosts}: {answer}"
        );
    }
    assert_eq!(origin.hits(), 0);
}

#[tokio::test]
async fn the_authority_of_an_absolute_target_counts_and_host_does_not() {
    // RFC 9112 §3.2.2.
    let origin = fresh().await;
    let stage = Stage::start(&origin, "").await;
    let request =
        "GET http://other.test/a HTTP/1.1\r\nhost: www.example.test\r\nconnection: close\r\n\r\n";
    let answer = raw(&stage, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(origin.requests()[0].header("host"), Some("other.test"));
    assert!(stage.get("/a", &[("host", "other.test")]).await.is_hit());
    assert!(!stage.get("/a", &[]).await.is_hit());
}

#[tokio::test]
async fn paths_that_origins_read_differently_pass_and_are_never_stored() {
    let origin = fresh().await;
    let stage = Stage::start(&origin, "").await;
    for (number, path) in ["//a", "/a//b", "/a%2Fb", "/a%5cb"].into_iter().enumerate() {
        for _ in 0..2 {
            assert!(!stage.get(path, &[]).await.is_hit(), "{path}");
        }
        assert_eq!(origin.hits(), 2 * (number + 1));
    }
}

#[tokio::test]
async fn different_spellings_of_one_path_are_one_response() {
    let origin = fresh().await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/~a/%c3%bc", &[]).await;
    assert!(stage.get("/%7Ea/%C3%BC", &[]).await.is_hit());
    assert_eq!(origin.requests()[0].target, "/~a/%C3%BC");
}

#[tokio::test]
async fn fields_that_poison_caches_do_not_reach_the_origin() {
    let poison = [
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-http-method-override", "DELETE"),
        ("x-host", "evil.test"),
        ("x-forwarded-scheme", "http"),
        ("x-forwarded-port", "1"),
        ("x_forwarded_host", "evil.test"),
        ("x-middleware-subrequest", "1"),
        ("true-client-ip", "1.2.3.4"),
        ("x-real-ip", "1.2.3.4"),
        ("x-harmless", "1"),
    ];
    // Also where nothing is stored: the origin's own cache may sit behind it.
    for keys in ["", "cache = false"] {
        let request = seen(&route(keys), "/a", &poison).await;
        for (name, _) in &poison[..poison.len() - 1] {
            assert_eq!(request.header(name), None, "{name}");
        }
        assert_eq!(request.header("x-harmless"), Some("1"));
    }
}

#[tokio::test]
async fn who_asked_is_said_anew() {
    let claims = [
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=1.2.3.4;host=evil.test"),
        ("via", "1.1 somebody"),
    ];
    let request = seen("", "/a", &claims).await;
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.header("x-forwarded-host"), Some("www.example.test"));
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    let forwarded = "for=127.0.0.1;host=www.example.test;proto=http";
    assert_eq!(request.header("forwarded"), Some(forwarded));
    assert_eq!(request.header("host"), Some("www.example.test"));
    let via: Vec<_> = request.headers.get_all("via").iter().collect();
    let via: Vec<&str> = via.iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(via.join(", "), "1.1 somebody, 1.1 cms-edge");
}

#[tokio::test]
async fn fields_between_neighbours_stay_between_them() {
    let origin = Origin::start(|_| async {
        Reply::ok("a")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-authenticate", "Basic")
            .header("x-end", "1")
    })
    .await;
    for keys in ["", "cache = false"] {
        let stage = Stage::start(&origin, &route(keys)).await;
        let fields = [
            ("connection", "close, x-mine"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic eDp5"),
            ("x-kept", "1"),
        ];
        let answer = stage.get("/a", &fields).await;
        for name in ["x-hop", "keep-alive", "proxy-authenticate"] {
            assert_eq!(answer.field(name), "", "{name}");
        }
        assert_eq!(answer.field("x-end"), "1");
        let request = origin.requests().pop().unwrap();
        for name in ["x-mine", "te", "upgrade", "proxy-authorization"] {
            assert_eq!(request.header(name), None, "{name}");
        }
        assert_eq!(request.header("x-kept"), Some("1"));
    }
}

#[tokio::test]
async fn an_allow_list_is_all_that_the_origin_sees() {
    let fields = [
        ("x-theme", "dark"),
        ("x-other", "1"),
        ("user-agent", "x"),
        ("accept", "text/html"),
    ];
    let settings = route("forward_headers = [\"X-Theme\", \"Accept\"]");
    let request = seen(&settings, "/a", &fields).await;
    assert_eq!(request.header("x-theme"), Some("dark"));
    assert_eq!(request.header("accept"), Some("text/html"));
    assert_eq!(request.header("x-other"), None);
    assert_eq!(request.header("user-agent"), None);
    assert_eq!(request.header("host"), Some("www.example.test"));
}

#[tokio::test]
async fn parameters_that_make_no_difference_are_neither_keyed_nor_forwarded() {
    let origin = fresh().await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a?utm_source=mail&id=1&gclid=x", &[]).await;
    assert_eq!(origin.requests()[0].target, "/a?id=1");
    assert!(stage.get("/a?id=1&fbclid=y", &[]).await.is_hit());
    stage.get("/b?utm_source=mail", &[]).await;
    assert_eq!(origin.requests()[1].target, "/b");

    let settings = route("[route.query]\nforward_dropped = true");
    let request = seen(&settings, "/a?utm_source=mail&id=1", &[]).await;
    assert_eq!(request.target, "/a?utm_source=mail&id=1");
}

#[tokio::test]
async fn the_query_rule_says_which_queries_are_one() {
    let sorted = "";
    let unsorted = "[route.query]\nsort = false";
    let kept = "[route.query]\nkeep = [\"page\", \"filter*\"]";
    for (keys, first, second, is_one) in [
        (sorted, "b=1&a=2", "a=2&b=1", true),
        (sorted, "a=1&a=2", "a=2&a=1", false),
        (sorted, "sort[0]=x", "sort%5B0%5D=x", true),
        (sorted, "sort[0]=x", "sort%5b0%5d=x", true),
        (sorted, "locale=pt-BR", "locale=pt-br", false),
        (sorted, "a=1", "a=1&", true),
        (sorted, "a", "a=", false),
        (unsorted, "b=1&a=2", "a=2&b=1", false),
        (kept, "page=1&x=2", "page=1&x=3", true),
        (kept, "page=1", "page=2", false),
        (kept, "filters[a]=1", "filters[a]=2", false),
    ] {
        let origin = fresh().await;
        let stage = Stage::start(&origin, &route(keys)).await;
        stage.get(&format!("/a?{first}"), &[]).await;
        let hit = stage.get(&format!("/a?{second}"), &[]).await.is_hit();
        assert_eq!(hit, is_one, "{first} and {second} with {keys}");
    }
}

#[tokio::test]
async fn content_passes_to_the_origin_and_back() {
    let origin = Origin::start(|request| async move { Reply::ok(request.content) }).await;
    let stage = Stage::start(&origin, "").await;
    let answer = stage.send(Method::POST, "/a", &[], "what was typed").await;
    assert_eq!(answer.text(), "what was typed");
    assert!(answer.cache_status().contains("fwd=method"));
    // A GET with content has no key.
    let answer = stage.send(Method::GET, "/a", &[], "a query").await;
    assert_eq!(answer.text(), "a query");
    assert!(answer.cache_status().contains("fwd=bypass"));
}

#[tokio::test]
async fn content_that_says_it_is_too_large_does_not_reach_the_origin() {
    let origin = fresh().await;
    let stage = Stage::start(&origin, "").await;
    let length = (16 << 20) + 1;
    let head =
        format!("POST /a HTTP/1.1\r\nhost: www.example.test\r\ncontent-length: {length}\r\n\r\n");
    let answer = raw(&stage, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(origin.hits(), 0);
}

#[tokio::test]
async fn content_that_turns_out_too_large_is_a_413_too() {
    let origin = fresh().await;
    let stage = Stage::start(&origin, "").await;
    let (mut reading, mut writing) = TcpStream::connect(stage.http).await.unwrap().into_split();
    let upload = tokio::spawn(async move {
        let head =
            b"POST /a HTTP/1.1\r\nhost: www.example.test\r\ntransfer-encoding: chunked\r\n\r\n";
        writing.write_all(head).await?;
        let chunk = [
            b"100000\r\n".to_vec(),
            vec![b'x'; 1 << 20],
            b"\r\n".to_vec(),
        ]
        .concat();
        for _ in 0..18 {
            writing.write_all(&chunk).await?;
        }
        writing.write_all(b"0\r\n\r\n").await
    });
    let mut answer = Vec::new();
    let head = async {
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(reading.read_u8().await.unwrap());
        }
    };
    timeout(PATIENCE, head).await.expect("an answer");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    upload.abort();
    let metric = r#"cms_edge_cache_limits_total{reason="request-body"}"#;
    assert_eq!(stage.metric(metric).await, 1);
    assert_eq!(origin.hits(), 0, "never as a whole request");
}

#[tokio::test]
async fn previews_are_never_looked_up_nor_stored_and_are_marked_private() {
    let origin = fresh().await;
    let stage = Stage::start(&origin, &route("[route.bypass]\nheader = [\"X-Preview\"]")).await;
    stage.get("/a", &[]).await;
    for (path, fields) in [
        ("/a?preview=1", &[][..]),
        ("/a?status=draft", &[]),
        ("/a", &[("x-preview", "1")]),
        ("/a", &[("cookie", "sessionid=1")]),
    ] {
        for _ in 0..2 {
            let answer = stage.get(path, fields).await;
            assert!(
                answer.cache_status().contains("fwd=bypass"),
                "{path} {fields:?}"
            );
            assert_eq!(answer.field("cache-control"), "private, no-store");
        }
    }
    assert_eq!(origin.hits(), 9);
    assert_eq!(stage.get("/a", &[]).await.status, StatusCode::OK);
    assert_eq!(origin.hits(), 9);
}
