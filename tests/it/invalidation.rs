//! What a successful unsafe request makes of what is stored.

use http::{Method, StatusCode};

use crate::support::origin::{Origin, Reply};
use crate::support::short::{reply, route, with};
use crate::support::stage::Stage;

/// GET is fresh for a minute and varies on `X-Theme`; `POST /…?answer=` answers with that status.
async fn editor() -> Origin {
    Origin::start(|request| async move {
        let fields = [("cache-control", "max-age=60"), ("vary", "x-theme")];
        if request.method == Method::GET {
            return reply("page", &fields);
        }
        let status = request.header("x-answer").unwrap_or("200").parse().unwrap();
        let mut answer = Reply::new(status);
        for name in ["location", "content-location"] {
            let wanted = request.header(&format!("x-{name}")).map(str::to_owned);
            if let Some(value) = wanted {
                answer = answer.header(name, &value);
            }
        }
        answer
    })
    .await
}

async fn is_stored(stage: &Stage, path: &str) -> bool {
    let fields = [("cache-control", "only-if-cached")];
    stage.get(path, &fields).await.status != StatusCode::GATEWAY_TIMEOUT
}

#[tokio::test]
async fn a_successful_unsafe_request_invalidates_its_url_before_it_is_answered() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "QUERY-NOT-KNOWN"] {
        let origin = editor().await;
        let stage = Stage::start(&origin, "").await;
        stage.get("/a", &[]).await;
        stage.get("/b", &[]).await;
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert!(
            stage
                .send(method.clone(), "/a", &[], "x")
                .await
                .status
                .is_success()
        );
        assert!(!is_stored(&stage, "/a").await, "{method}");
        assert!(is_stored(&stage, "/b").await);
    }
}

#[tokio::test]
async fn safe_requests_invalidate_nothing() {
    let origin = editor().await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    for method in [Method::OPTIONS, Method::HEAD] {
        stage
            .send(method, "/a", &[("cache-control", "no-cache")], "")
            .await;
        assert!(is_stored(&stage, "/a").await);
    }
}

#[tokio::test]
async fn failed_requests_invalidate_nothing() {
    let origin = editor().await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    for (status, stays) in [("403", true), ("422", true), ("500", true), ("303", false)] {
        let answer = stage
            .send(Method::POST, "/a", &[("x-answer", status)], "")
            .await;
        assert_eq!(answer.status.as_str(), status);
        assert_eq!(is_stored(&stage, "/a").await, stays, "{status}");
    }
}

#[tokio::test]
async fn all_variants_of_the_url_go() {
    let origin = editor().await;
    let stage = Stage::start(&origin, "").await;
    for theme in ["dark", "light"] {
        stage.get("/a", &[("x-theme", theme)]).await;
    }
    stage
        .send(Method::POST, "/a", &[("x-theme", "none")], "")
        .await;
    for theme in ["dark", "light"] {
        assert!(!stage.get("/a", &[("x-theme", theme)]).await.is_hit());
    }
}

#[tokio::test]
async fn the_query_is_that_of_the_key() {
    let origin = editor().await;
    let stage = Stage::start(&origin, "").await;
    for path in ["/a", "/a?page=1&sort[0]=x", "/a?page=2"] {
        stage.get(path, &[]).await;
    }
    let same = "/a?sort%5B0%5D=x&utm_source=mail&page=1";
    stage.send(Method::POST, same, &[], "").await;
    assert!(!is_stored(&stage, "/a?page=1&sort[0]=x").await);
    assert!(is_stored(&stage, "/a?page=2").await);
    assert!(is_stored(&stage, "/a").await);
}

#[tokio::test]
async fn what_location_names_goes_too_if_it_is_of_the_same_host() {
    let origin = editor().await;
    let stage = Stage::start(&origin, "").await;
    for path in ["/list", "/new", "/other?x=1&y=2"] {
        stage.get(path, &[]).await;
    }
    let fields = [
        ("x-answer", "201"),
        ("x-location", "/new"),
        (
            "x-content-location",
            "http://www.example.test/other?y=2&x=1",
        ),
    ];
    stage.send(Method::POST, "/create", &fields, "").await;
    assert!(!is_stored(&stage, "/new").await);
    assert!(!is_stored(&stage, "/other?x=1&y=2").await);
    let elsewhere = [("x-location", "http://elsewhere.test/list")];
    stage.send(Method::POST, "/create", &elsewhere, "").await;
    assert!(is_stored(&stage, "/list").await);
}

#[tokio::test]
async fn a_route_of_its_own_for_unsafe_methods_invalidates_as_well() {
    let origin = editor().await;
    let settings = format!(
        "[[route]]\nname = \"forms\"\npath = \"/*\"\nmethods = [\"POST\"]\nupstream = \"origin\"\n\
         cache = false\n{}",
        route("methods = [\"GET\", \"HEAD\"]")
    );
    let stage = Stage::start(&origin, &settings).await;
    stage.get("/a?b=1&a=2", &[]).await;
    stage.send(Method::POST, "/a?a=2&b=1", &[], "").await;
    assert!(!is_stored(&stage, "/a?b=1&a=2").await);
}

#[tokio::test]
async fn a_page_fetched_while_it_is_changed_is_not_served_afterwards() {
    let gate = crate::support::short::Gate::shut();
    let waiting = gate.clone();
    let origin = Origin::start(move |request| {
        let gate = waiting.clone();
        async move {
            if request.method == Method::GET {
                gate.pass().await;
            }
            with(Reply::ok("page"), &[("cache-control", "max-age=60")])
        }
    })
    .await;
    let stage = std::sync::Arc::new(Stage::start(&origin, "").await);
    let reader = std::sync::Arc::clone(&stage);
    let reading = tokio::spawn(async move { reader.get("/a", &[]).await });
    origin.saw(1).await;
    stage.send(Method::POST, "/a", &[], "").await;
    gate.open();
    assert_eq!(reading.await.unwrap().text(), "page");
    assert!(!is_stored(&stage, "/a").await);
}
