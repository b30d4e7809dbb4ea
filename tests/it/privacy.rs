//! Nothing private is shared: not stored, not handed to whoever asked at the same time, and not
//! found under a path that only looks public.

use std::sync::Arc;

use http::Method;

use crate::support::origin::{Origin, Received, Reply};
use crate::support::script::script;
use crate::support::stage::{HOST_NAME, Stage};

/// A CMS that answers everybody by name and, as real ones do, says nothing about it.
async fn greeting() -> Origin {
    Origin::start(|request| async move { Reply::ok(format!("for {}", who(&request))) }).await
}

/// Everything by which a CMS may know somebody.
fn who(request: &Received) -> String {
    let mut who = Vec::new();
    for name in [
        "authorization",
        "cookie",
        "x-forwarded-host",
        "x-original-url",
    ] {
        // The edge says by itself which host was asked for.
        who.extend(request.header(name).filter(|value| *value != HOST_NAME));
    }
    let query = request.target.split_once('?').map(|(_, query)| query);
    who.extend(query);
    who.join(" ")
}

#[tokio::test]
async fn what_the_origin_marks_as_private_is_neither_stored_nor_handed_to_those_who_wait() {
    for (name, value) in [
        ("set-cookie", "sid=alice"),
        ("cache-control", "private, max-age=60"),
        ("cache-control", "private, max-age=60, s-maxage=600"),
        ("cache-control", "private=\"x-name\", max-age=60"),
        ("cache-control", "no-store"),
        ("vary", "*"),
    ] {
        let (origin, mut script) = script().await;
        let stage = Arc::new(Stage::start(&origin, "").await);
        let ask = || {
            let stage = Arc::clone(&stage);
            tokio::spawn(async move { stage.get("/me", &[]).await.text() })
        };
        // All three are under way before the first is answered; two of them wait.
        let clients = [ask(), ask(), ask()];
        let alice = script.asked().await;
        alice.answer(Reply::ok("alice").header(name, value));
        // They do not wait for each other again.
        let (bob, carol) = (script.asked().await, script.asked().await);
        carol.answer(Reply::ok("carol").header(name, value));
        bob.answer(Reply::ok("bob").header(name, value));
        let mut got = Vec::new();
        for client in clients {
            got.push(client.await.unwrap());
        }
        got.sort();
        assert_eq!(got, ["alice", "bob", "carol"], "{name}: {value}");
        // Nor later; and the mark that says so lets them through side by side.
        let (late, later) = (ask(), ask());
        let (first, second) = (script.asked().await, script.asked().await);
        first.answer(Reply::ok("dave").header(name, value));
        second.answer(Reply::ok("erin").header(name, value));
        let mut got = [late.await.unwrap(), later.await.unwrap()];
        got.sort();
        assert_eq!(got, ["dave", "erin"], "{name}: {value}");
    }
}

#[tokio::test]
async fn set_cookie_reaches_the_client_it_is_for() {
    let origin = Origin::start(|_| async {
        Reply::ok("form")
            .header("set-cookie", "csrftoken=1; Path=/")
            .header("set-cookie", "lang=de")
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    for _ in 0..2 {
        let answer = stage.get("/form", &[]).await;
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
        assert!(!answer.is_hit());
    }
}

/// Requests that say who asks, or that ask for what is not published.
const MARKED: [(&str, &str, &str); 8] = [
    ("/page", "authorization", "Bearer alice"),
    ("/page", "cookie", "sessionid=alice"),
    ("/page", "cookie", "a=b; sessionid=alice; c=d"),
    ("/page?preview", "x-none", ""),
    ("/page?preview=true", "x-none", ""),
    ("/page?a=b&%70review=1", "x-none", ""),
    ("/page?status=draft", "x-none", ""),
    ("/page?access_token=alice", "x-none", ""),
];

#[tokio::test]
async fn a_marked_request_is_not_answered_from_the_store_and_its_answer_is_nobody_elses() {
    let origin = greeting().await;
    let stage = Stage::start(&origin, "").await;
    let public = stage.get("/page", &[]).await;
    assert_eq!(public.text(), "for ");
    for (path, name, value) in MARKED {
        let fields = [(name, value)];
        for _ in 0..2 {
            let before = origin.hits();
            let own = stage.get(path, &fields).await;
            assert_eq!(origin.hits(), before + 1, "{path} {value}");
            assert!(
                own.cache_status().starts_with("cms-edge; fwd=bypass"),
                "{path} {value}"
            );
            assert_ne!(own.text(), "for ", "{path} {value}: it has its own answer");
            // What has Authorization is kept out of shared caches by RFC 9111 §3.5.
            let expected = match name {
                "authorization" => "",
                _ => "private, no-store",
            };
            assert_eq!(own.field("cache-control"), expected, "{path} {value}");
        }
        // Everybody else has what is public, from the store.
        let other = stage.get("/page", &[]).await;
        assert!(other.is_hit(), "{path} {value}");
        assert_eq!(other.text(), "for ");
    }
}

#[tokio::test]
async fn no_cache_behind_this_one_is_told_to_keep_the_answer_to_a_marked_request() {
    let origin = Origin::start(|_| async {
        Reply::ok("draft")
            .header("cache-control", "public, max-age=60")
            .header("expires", "Sun, 22 Nov 2026 12:00:00 GMT")
            .header("cdn-cache-control", "max-age=60")
            .header("surrogate-control", "max-age=60")
            .header("cms-edge-cache-control", "max-age=60")
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    let draft = stage.get("/page?preview=1", &[]).await;
    let is_about_caching = |name: &str| name.ends_with("-control") || name == "expires";
    let names = draft.headers.keys().map(http::HeaderName::as_str);
    let found: Vec<&str> = names.filter(|name| is_about_caching(name)).collect();
    assert_eq!(found, ["cache-control"]);
    assert_eq!(draft.field("cache-control"), "private, no-store");
}

#[tokio::test]
async fn a_marked_request_does_not_wait_for_a_public_one_nor_the_other_way_round() {
    let (origin, mut script) = script().await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    let ask = |cookie: &'static str| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.get("/page", &[("cookie", cookie)]).await.text() })
    };
    let alice = ask("sessionid=alice");
    let for_alice = script.asked().await;
    let public = ask("_ga=1");
    let for_all = script.asked().await;
    let bob = ask("sessionid=bob");
    let for_bob = script.asked().await;
    assert_eq!(for_alice.request.header("cookie"), Some("sessionid=alice"));
    assert_eq!(for_bob.request.header("cookie"), Some("sessionid=bob"));
    assert_eq!(for_all.request.header("cookie"), None);
    for_bob.answer(Reply::ok("bob"));
    for_all.answer(Reply::ok("all"));
    for_alice.answer(Reply::ok("alice"));
    assert_eq!(alice.await.unwrap(), "alice");
    assert_eq!(bob.await.unwrap(), "bob");
    assert_eq!(public.await.unwrap(), "all");
    assert_eq!(ask("").await.unwrap(), "all");
    script.is_quiet();
}

#[tokio::test]
async fn cookies_do_not_reach_the_origin_on_a_cached_route_unless_they_are_kept() {
    let origin = greeting().await;
    let route = "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n\
                 [route.cookies]\nkeep = [\"theme\"]\n";
    let stage = Stage::start(&origin, route).await;
    let ask = async |cookie: &str| stage.get("/page", &[("cookie", cookie)]).await;
    let dark = ask("_ga=1; theme=dark; visitor=alice").await;
    assert_eq!(dark.text(), "for theme=dark");
    assert!(
        dark.field("vary").to_lowercase().contains("cookie"),
        "the key has a cookie"
    );
    let other = ask("theme=dark; _ga=2; visitor=bob").await;
    assert!(other.is_hit());
    assert_eq!(ask("theme=light").await.text(), "for theme=light");
    assert_eq!(ask("visitor=bob").await.text(), "for ");
}

#[tokio::test]
async fn vary_on_cookies_means_what_it_says_where_cookies_are_forwarded() {
    let origin = Origin::start(|request| async move {
        Reply::ok(format!("for {}", who(&request))).header("vary", "Cookie")
    })
    .await;
    let route = "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n\
                 [route.cookies]\nforward = true\n";
    let stage = Stage::start(&origin, route).await;
    for name in ["alice", "bob", "alice", "bob"] {
        let cookie = format!("visitor={name}");
        let answer = stage.get("/page", &[("cookie", &cookie)]).await;
        assert_eq!(answer.text(), format!("for visitor={name}"));
    }
    assert_eq!(origin.hits(), 2);
}

/// An application that shows the account to any path that begins like it, as frameworks with
/// lenient routing do, and public files to others. It says nothing about caching.
async fn lenient() -> Origin {
    Origin::start(|request| async move {
        let path = request.target.to_lowercase();
        let decoded = path.replace("%2f", "/").replace("%3b", ";");
        let is_account = decoded.contains("account");
        Reply::ok(if is_account {
            "secret of alice"
        } else {
            "public"
        })
    })
    .await
}

#[tokio::test]
async fn no_path_that_only_looks_like_a_file_makes_the_account_public() {
    let origin = lenient().await;
    // The operator caches files and nothing else.
    let routes = r#"
[[route]]
name = "files"
path = "/static/*"
upstream = "origin"
[[route]]
name = "rest"
path = "/*"
upstream = "origin"
cache = false
"#;
    let stage = Stage::start(&origin, routes).await;
    for path in [
        "/account/x.css",
        "/account;x.css",
        "/account%3bx.css",
        "/account%2fx.css",
        "/account%00.css",
        "/account%0a.css",
        "/account%23.css",
        "/account%3f.css",
        "/account\\x.css",
        "/static/../account",
        "/static/..%2faccount",
        "/static/%2e%2e/account",
        "/static/%2e%2e%2faccount",
        "/static/..%5caccount",
        "//static/../account",
        "/static//account",
        "/static/a%2f..%2f..%2faccount",
        "/account/%2e%2e/static/x.css",
    ] {
        for _ in 0..2 {
            let answer = raw(&stage, path).await;
            assert!(!answer.contains("cms-edge; hit"), "{path}: {answer}");
            assert!(!answer.contains("; stored"), "{path}: {answer}");
        }
    }
    // It is a test only if files are stored.
    stage.get("/static/x.css", &[]).await;
    assert!(stage.get("/static/x.css", &[]).await.is_hit());
}

/// A GET whose target goes over the wire byte for byte.
async fn raw(stage: &Stage, target: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(stage.http).await.unwrap();
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: {HOST_NAME}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let deadline = crate::support::origin::PATIENCE;
    let _reset = tokio::time::timeout(deadline, reading)
        .await
        .expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 "), "{target}: {answer}");
    answer
}

#[tokio::test]
async fn hosts_have_copies_of_their_own() {
    let origin =
        Origin::start(
            |request| async move { Reply::ok(request.header("host").unwrap().to_owned()) },
        )
        .await;
    let stage = Stage::start(&origin, "").await;
    let hosts = ["a.example.test", "b.example.test", "a.example.test:8443"];
    for _ in 0..2 {
        for host in hosts {
            let answer = stage.get("/", &[("host", host)]).await;
            assert_eq!(answer.text(), host);
        }
    }
    assert_eq!(origin.hits(), hosts.len());
    // The same host in other spellings is the same host.
    for host in ["A.Example.TEST", "a.example.test.", "a.example.test:80"] {
        let answer = stage.get("/", &[("host", host)]).await;
        assert!(
            answer.is_hit() && answer.text() == "a.example.test",
            "{host}"
        );
    }
}

#[tokio::test]
async fn what_a_stranger_claims_about_host_target_or_method_does_not_reach_the_origin() {
    let origin = greeting().await;
    let stage = Stage::start(&origin, "").await;
    let vectors = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-scheme", "nothttps"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-port", "9999"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-for", "203.0.113.9"),
        ("forwarded", "host=evil.example"),
        ("x-host", "evil.example"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "DELETE"),
        ("x_forwarded_host", "evil.example"),
        ("proxy", "evil.example:80"),
        ("x-middleware-subrequest", "middleware"),
    ];
    for (at, (name, value)) in vectors.iter().enumerate() {
        let path = format!("/{at}");
        // The stranger comes first, and fills.
        let poisoned = stage.get(&path, &[(name, value)]).await;
        let clean = stage.get(&path, &[]).await;
        assert!(clean.is_hit());
        assert_eq!(poisoned.text(), clean.text(), "{name}");
        assert!(!clean.text().contains("evil"), "{name}");
        let asked = origin.requests().pop().unwrap();
        for (asked_name, asked_value) in &asked.headers {
            let asked_value = asked_value.to_str().unwrap();
            assert!(!asked_value.contains(value), "{asked_name}: {asked_value}");
        }
    }
    // The edge says itself who asks, and for what.
    let asked = origin.requests().pop().unwrap();
    assert_eq!(asked.header("x-forwarded-host"), Some(HOST_NAME));
    assert_eq!(asked.header("x-forwarded-proto"), Some("http"));
    assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_request_that_a_stranger_spoilt_does_not_spoil_the_page_for_others() {
    // Cache-poisoned denial of service: an error that one request's fields caused.
    let origin = Origin::start(|request| async move {
        let is_spoilt = request.header("x-odd").is_some() || request.header("range").is_some();
        if is_spoilt {
            Reply::new(400).content("bad")
        } else {
            Reply::ok("good")
        }
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    let spoilt = stage.get("/a", &[("x-odd", "1")]).await;
    assert_eq!(spoilt.status.as_u16(), 400);
    let clean = stage.get("/a", &[]).await;
    assert_eq!((clean.status.as_u16(), &*clean.text()), (200, "good"));
    // A range is made from the whole.
    let part = stage.get("/b", &[("range", "bytes=0-1")]).await;
    assert_eq!((part.status.as_u16(), &*part.text()), (206, "go"));
    assert_eq!(stage.get("/b", &[]).await.text(), "good");
}

#[tokio::test]
async fn a_request_with_content_is_no_key() {
    let origin = greeting().await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    let with_content = stage.send(Method::GET, "/a", &[], "x").await;
    assert!(
        with_content
            .cache_status()
            .starts_with("cms-edge; fwd=bypass")
    );
    assert_eq!(origin.requests()[1].content, "x");
    assert!(stage.get("/a", &[]).await.is_hit());
}

#[tokio::test]
async fn authorization_that_is_no_mark_is_stored_only_where_the_origin_allows_it() {
    let route = "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n\
                 [route.bypass]\nheader = []\n";
    for (control, stored) in [
        ("max-age=60", false),
        ("public, max-age=60", true),
        ("s-maxage=60", true),
        ("must-revalidate, max-age=60", true),
    ] {
        let origin =
            Origin::start(move |_| async move { Reply::ok("a").header("cache-control", control) })
                .await;
        let stage = Stage::start(&origin, route).await;
        stage.get("/a", &[("authorization", "Bearer alice")]).await;
        let other = stage.get("/a", &[]).await;
        assert_eq!(other.is_hit(), stored, "{control}");
    }
}

#[tokio::test]
async fn what_one_request_may_not_leave_behind_costs_the_others_nothing() {
    let origin = Origin::start(|_| async { Reply::ok("a").header("cache-control", "max-age=60") });
    let origin = origin.await;
    let settings = "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n\
                    [route.bypass]\nheader = []\n";
    for field in [
        ("cache-control", "no-cache, no-store"),
        ("authorization", "Bearer alice"),
    ] {
        let stage = Stage::start(&origin, settings).await;
        stage.get("/a", &[]).await;
        let own = stage
            .get("/a", &[("cache-control", "no-cache"), field])
            .await;
        assert!(!own.is_hit());
        assert!(stage.get("/a", &[]).await.is_hit(), "after {field:?}");
    }
}

#[tokio::test]
async fn a_request_that_asks_not_to_be_stored_leads_nobody() {
    let (origin, mut script) = script().await;
    let stage = Arc::new(Stage::start(&origin, "").await);
    let get = |fields: &'static [(&str, &str)]| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.get("/a", fields).await })
    };
    let alone = get(&[("cache-control", "no-store")]);
    let first = script.asked().await;
    let public = get(&[]);
    script
        .asked()
        .await
        .answer(Reply::ok("shared").header("cache-control", "max-age=60"));
    assert_eq!(public.await.unwrap().text(), "shared");
    first.answer(Reply::ok("own").header("cache-control", "max-age=60"));
    assert_eq!(alone.await.unwrap().text(), "own");
    let hit = stage.get("/a", &[]).await;
    assert!(hit.is_hit() && hit.text() == "shared");
}

#[tokio::test]
async fn an_error_that_speaks_of_the_request_is_neither_stored_nor_replaces_anything() {
    // An origin that gives whatever it sends a lifetime.
    let origin = Origin::start(|request| async move {
        let reply = match request.header("x-odd") {
            Some(status) => Reply::new(status.parse().unwrap()).content("bad"),
            None => Reply::ok("good"),
        };
        reply.header("cache-control", "public, max-age=600")
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    for status in ["400", "413", "429", "431"] {
        let path = format!("/{status}");
        let spoilt = stage.get(&path, &[("x-odd", status)]).await;
        assert_eq!(spoilt.status.as_str(), status);
        assert_eq!(stage.get(&path, &[]).await.text(), "good");
        let again = [("x-odd", status), ("cache-control", "no-cache")];
        assert_eq!(stage.get(&path, &again).await.status.as_str(), status);
        assert!(stage.get(&path, &[]).await.is_hit(), "{status}");
    }
    for status in ["401", "403"] {
        let path = format!("/{status}");
        stage.get(&path, &[("x-odd", status)]).await;
        assert_eq!(stage.get(&path, &[]).await.text(), "good", "{status}");
    }
}
