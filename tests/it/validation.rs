//! Conditional requests to the origin, and what its answers make of a stored response.

use std::time::Duration;

use http::StatusCode;

use crate::support::origin::{Origin, Received, Reply};
use crate::support::short::{Field, reply, route, with};
use crate::support::stage::Stage;

const MODIFIED: &str = "Fri, 20 Nov 2026 12:00:00 GMT";

/// Without stale windows: what is stale is validated before it answers.
fn strict() -> String {
    route("stale_while_revalidate = \"0s\"\nstale_if_error = \"0s\"")
}

/// An origin that answers `first`, and conditional requests with a 304 with `then`.
async fn validating(first: &'static [Field], then: &'static [Field]) -> Origin {
    Origin::start(move |request| async move {
        if is_conditional(&request) {
            with(Reply::new(304), then)
        } else {
            reply("content", first)
        }
    })
    .await
}

fn is_conditional(request: &Received) -> bool {
    request.header("if-none-match").is_some() || request.header("if-modified-since").is_some()
}

#[tokio::test]
async fn a_304_freshens_what_is_stored() {
    let origin = validating(
        &[
            ("cache-control", "max-age=60"),
            ("etag", "W/\"a\""),
            ("vary", "accept"),
            ("content-type", "application/json"),
            ("x-version", "1"),
        ],
        &[
            ("cache-control", "max-age=90"),
            // Frameworks send other ones with a 304 than with the 200 it speaks of.
            ("etag", "\"a\""),
            ("vary", "cookie, x-other"),
            ("content-type", "text/html"),
            ("x-version", "2"),
        ],
    )
    .await;
    let stage = Stage::start(&origin, &strict()).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(Duration::from_secs(100));

    let validated = stage.get("/a", &[]).await;
    assert_eq!(
        validated.cache_status(),
        "cms-edge; fwd=stale; fwd-status=304; stored; ttl=90"
    );
    assert_eq!(
        origin.requests()[1].header("if-none-match"),
        Some("W/\"a\"")
    );
    stage.clock.advance(Duration::from_secs(20));
    let hit = stage.get("/a", &[]).await;
    for (answer, age) in [(validated, "0"), (hit, "20")] {
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.text(), "content");
        assert_eq!(answer.field("age"), age);
        assert_eq!(answer.field("cache-control"), "max-age=90");
        assert_eq!(answer.field("x-version"), "2");
        assert_eq!(answer.field("etag"), "W/\"a\"");
        assert_eq!(answer.field("content-type"), "application/json");
        assert_eq!(answer.field("vary"), "accept");
    }
    assert_eq!(origin.hits(), 2);
}

#[tokio::test]
async fn a_304_for_another_entity_tag_is_not_believed() {
    let origin = validating(
        &[("cache-control", "max-age=60"), ("etag", "\"a\"")],
        &[("cache-control", "max-age=60"), ("etag", "\"b\"")],
    )
    .await;
    let stage = Stage::start(&origin, &strict()).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(Duration::from_secs(60));
    let answer = stage.get("/a", &[]).await;
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::OK, "content".into())
    );
    let requests = origin.requests();
    assert_eq!(requests.len(), 3);
    assert!(is_conditional(&requests[1]) && !is_conditional(&requests[2]));
    assert!(stage.get("/a", &[]).await.is_hit());
}

#[tokio::test]
async fn a_modification_date_alone_is_a_validator() {
    let origin = validating(
        &[("cache-control", "max-age=60"), ("last-modified", MODIFIED)],
        &[("cache-control", "max-age=60")],
    )
    .await;
    let stage = Stage::start(&origin, &strict()).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.get("/a", &[]).await.text(), "content");
    let asked = &origin.requests()[1];
    assert_eq!(asked.header("if-modified-since"), Some(MODIFIED));
    assert_eq!(
        asked.header("if-none-match"),
        None,
        "ours is not the origin's"
    );
}

#[tokio::test]
async fn the_edges_own_etag_survives_a_304_and_is_not_sent_to_the_origin() {
    let origin = validating(&[("last-modified", MODIFIED)], &[]).await;
    let settings = route("ttl = \"60s\"\nstale_while_revalidate = \"0s\"");
    let stage = Stage::start(&origin, &settings).await;
    stage.get("/a", &[]).await;
    let etag = stage.get("/a", &[]).await.field("etag");
    assert_ne!(etag, "");
    stage.clock.advance(Duration::from_secs(60));
    let validated = stage.get("/a", &[]).await;
    assert_eq!(validated.field("etag"), etag);
    assert_eq!(
        validated.field("cache-control"),
        "max-age=0, must-revalidate"
    );
    assert_eq!(origin.requests()[1].header("if-none-match"), None);
}

#[tokio::test]
async fn a_200_replaces_what_is_stored() {
    let origin = Origin::start(|request| async move {
        let etag = if is_conditional(&request) {
            "\"new\""
        } else {
            "\"old\""
        };
        reply(etag, &[("cache-control", "max-age=60"), ("etag", etag)])
    })
    .await;
    let stage = Stage::start(&origin, &strict()).await;
    assert_eq!(stage.get("/a", &[]).await.text(), "\"old\"");
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.get("/a", &[]).await.text(), "\"new\"");
    let hit = stage.get("/a", &[]).await;
    assert!(hit.is_hit());
    assert_eq!(
        (hit.text(), hit.field("etag")),
        ("\"new\"".into(), "\"new\"".into())
    );
}

#[tokio::test]
async fn an_empty_entity_tag_is_no_validator_and_is_replaced_by_ours() {
    let origin = validating(&[("cache-control", "max-age=60"), ("etag", "\"\"")], &[]).await;
    let stage = Stage::start(&origin, &strict()).await;
    stage.get("/a", &[]).await;
    assert!(stage.get("/a", &[]).await.field("etag").len() > 10);
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.get("/a", &[]).await.text(), "content");
    assert!(!is_conditional(&origin.requests()[1]));
}

#[tokio::test]
async fn an_answer_to_a_condition_nobody_made_is_an_error_of_the_origins() {
    let origin = Origin::start(|request| async move {
        match request.target.as_str() {
            "/304" => Reply::new(304).header("etag", "\"a\""),
            _ => with(
                Reply::new(206).content("part"),
                &[
                    ("content-range", "bytes 0-3/10"),
                    ("cache-control", "max-age=60"),
                ],
            ),
        }
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    for path in ["/304", "/206"] {
        let answer = stage.get(path, &[("if-none-match", "\"x\"")]).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{path}");
        assert!(answer.field("proxy-status").contains("http_protocol_error"));
    }
    assert!(
        !is_conditional(&origin.requests()[0]),
        "the client's conditions stay here"
    );
}

#[tokio::test]
async fn no_cache_is_stored_with_a_validator_and_validated_each_time() {
    let origin = validating(
        &[("cache-control", "no-cache"), ("etag", "\"a\"")],
        &[("cache-control", "no-cache")],
    )
    .await;
    let stage = Stage::start(&origin, &strict()).await;
    stage.get("/a", &[]).await;
    for asked in 2..4 {
        let answer = stage.get("/a", &[]).await;
        assert_eq!(answer.text(), "content");
        assert!(answer.cache_status().contains("fwd-status=304"));
        assert_eq!(origin.hits(), asked);
    }
}

#[tokio::test]
async fn a_replacement_that_breaks_off_does_not_cost_what_is_stored() {
    let origin = Origin::start(|request| async move {
        let fields: &[Field] = &[("cache-control", "max-age=60"), ("etag", "\"a\"")];
        if is_conditional(&request) {
            reply("a new version of it", fields).cut_after(4)
        } else {
            reply("content", fields)
        }
    })
    .await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"0s\"")).await;
    stage.get("/a", &[]).await;
    stage.clock.advance(Duration::from_secs(60));
    // It may come stale, or break off, by how quickly it breaks off.
    drop(stage.begin(http::Method::GET, "/a", &[], "").await);
    origin.saw(2).await;
    origin.lost(1).await;
    let fields = [("cache-control", "max-stale=100")];
    let kept = stage.get("/a", &fields).await;
    assert!(kept.is_hit(), "{}", kept.cache_status());
    assert_eq!(kept.text(), "content");
}

#[tokio::test]
async fn tags_that_come_with_a_304_are_purged_by_as_well() {
    for purged in ["before", "with-the-304"] {
        let origin = validating(
            &[
                ("cache-control", "max-age=60"),
                ("etag", "\"a\""),
                ("surrogate-key", "before"),
            ],
            &[
                ("cache-control", "max-age=60"),
                ("surrogate-key", "with-the-304"),
            ],
        )
        .await;
        let stage = Stage::start(&origin, &strict()).await;
        stage.get("/a", &[]).await;
        stage.clock.advance(Duration::from_secs(60));
        stage.get("/a", &[]).await;
        assert!(stage.get("/a", &[]).await.is_hit());
        stage.purge(&format!("{{\"tags\":[\"{purged}\"]}}")).await;
        assert!(!stage.get("/a", &[]).await.is_hit(), "{purged}");
    }
}

#[tokio::test]
async fn a_304_leaves_the_response_as_fit_for_ranges_as_it_was() {
    let fields: &[Field] = &[("cache-control", "max-age=60"), ("etag", "\"a\"")];
    let origin = validating(fields, fields).await;
    let stage = Stage::start(&origin, &strict()).await;
    stage.get("/a", &[]).await;
    assert_eq!(stage.get("/a", &[]).await.field("accept-ranges"), "bytes");
    stage.clock.advance(Duration::from_secs(60));
    stage.get("/a", &[]).await;
    assert_eq!(stage.get("/a", &[]).await.field("accept-ranges"), "bytes");
}
