//! Which request fields make another copy, and which a client is told of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;

use crate::support::origin::{Origin, Reply};
use crate::support::short::{Field, reply, route};
use crate::support::stage::Stage;

/// An origin that varies by these fields; each of its answers has another content.
async fn varying(vary: &'static str) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            reply(
                number.to_string(),
                &[("cache-control", "max-age=60"), ("vary", vary)],
            )
        }
    })
    .await
}

#[tokio::test]
async fn any_nominated_field_selects_by_its_value() {
    let origin = varying("X-Theme, Accept").await;
    let stage = Stage::start(&origin, "").await;
    let clients: [&[Field]; 5] = [
        &[],
        &[("x-theme", "dark")],
        &[("x-theme", "light")],
        &[("x-theme", "dark"), ("accept", "text/html")],
        &[("x-theme", "")],
    ];
    let mut contents = Vec::new();
    for client in clients {
        contents.push(stage.get("/a", client).await.text());
    }
    assert_eq!(origin.hits(), 5, "each is another variant");
    for (client, content) in clients.iter().zip(contents) {
        let hit = stage.get("/a", client).await;
        assert!(hit.is_hit());
        assert_eq!(hit.text(), content);
        assert_eq!(
            hit.field("vary"),
            "X-Theme, Accept",
            "as the origin wrote it"
        );
    }
}

#[tokio::test]
async fn a_variant_that_is_not_there_is_a_vary_miss() {
    let origin = varying("X-Theme").await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[("x-theme", "dark")]).await;
    let miss = stage.get("/a", &[("x-theme", "light")]).await;
    let status = miss.cache_status();
    assert!(status.starts_with("cms-edge; fwd=vary-miss"), "{status}");
}

#[tokio::test]
async fn white_space_and_line_breaks_make_no_other_variant() {
    let origin = varying("Accept").await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[("accept", "text/html,  text/css")]).await;
    let lines = [("accept", "text/html"), ("accept", "text/css")];
    assert!(stage.get("/a", &lines).await.is_hit());
    let other_order = [("accept", "text/css, text/html")];
    assert!(!stage.get("/a", &other_order).await.is_hit());
}

#[tokio::test]
async fn what_varies_on_everything_is_not_stored() {
    for vary in ["*", "accept, *"] {
        let origin = varying(vary).await;
        let stage = Stage::start(&origin, "").await;
        for _ in 0..2 {
            let answer = stage.get("/a", &[]).await;
            assert!(answer.cache_status().contains("detail=vary-star"));
            assert_eq!(answer.field("vary"), vary, "it passes as it came");
        }
        assert_eq!(origin.hits(), 2);
    }
}

#[tokio::test]
async fn a_url_keeps_at_most_variants_max_and_the_newest_of_them() {
    let origin = varying("X-Theme").await;
    let settings = format!("[cache]\nvariants_max = 3\n{}", route(""));
    let stage = Stage::start(&origin, &settings).await;
    for theme in ["1", "2", "3", "4"] {
        stage.get("/a", &[("x-theme", theme)]).await;
    }
    for theme in ["2", "3", "4"] {
        assert!(stage.get("/a", &[("x-theme", theme)]).await.is_hit());
    }
    assert!(!stage.get("/a", &[("x-theme", "1")]).await.is_hit());
}

#[tokio::test]
async fn ignored_fields_make_no_variant_and_are_not_told() {
    let origin = varying("Cache-Control, Accept").await;
    let stage = Stage::start(&origin, &route("vary_ignore = [\"Cache-Control\"]")).await;
    stage.get("/a", &[]).await;
    let hit = stage.get("/a", &[("cache-control", "max-age=100")]).await;
    assert!(hit.is_hit());
    assert_eq!(hit.field("vary"), "accept");
}

#[tokio::test]
async fn accept_encoding_never_makes_a_variant() {
    let origin = varying("Accept-Encoding").await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[]).await;
    for coding in ["gzip", "br", "identity", "zstd"] {
        let hit = stage.get("/a", &[("accept-encoding", coding)]).await;
        assert!(hit.is_hit(), "{coding}");
        assert_eq!(hit.field("vary"), "Accept-Encoding");
    }
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn cookies_do_not_reach_the_origin_so_vary_on_them_makes_no_variant() {
    let origin = varying("Cookie").await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[("cookie", "_ga=1")]).await;
    assert_eq!(origin.requests()[0].header("cookie"), None);
    let hit = stage.get("/a", &[("cookie", "_ga=2")]).await;
    assert!(hit.is_hit());
    assert_eq!(hit.field("vary"), "");
}

#[tokio::test]
async fn kept_cookies_reach_the_origin_and_make_copies_of_their_own() {
    let origin = varying("Cookie").await;
    let keys = "[route.cookies]\nkeep = [\"lang\"]";
    let stage = Stage::start(&origin, &route(keys)).await;
    stage.get("/a", &[("cookie", "lang=de; _ga=1")]).await;
    assert_eq!(origin.requests()[0].header("cookie"), Some("lang=de"));
    let hit = stage.get("/a", &[("cookie", "_ga=2; lang=de")]).await;
    assert!(hit.is_hit());
    assert_eq!(hit.field("vary"), "Cookie");
    assert!(!stage.get("/a", &[("cookie", "lang=fr")]).await.is_hit());
}

#[tokio::test]
async fn with_forward_all_cookies_count_where_the_origin_varies_on_them() {
    let origin = varying("Cookie").await;
    let stage = Stage::start(&origin, &route("[route.cookies]\nforward = true")).await;
    stage.get("/a", &[("cookie", "_ga=1")]).await;
    assert_eq!(origin.requests()[0].header("cookie"), Some("_ga=1"));
    assert!(stage.get("/a", &[("cookie", "_ga=1")]).await.is_hit());
    let other = stage.get("/a", &[("cookie", "_ga=2")]).await;
    assert!(!other.is_hit());
    assert_eq!(other.field("vary"), "Cookie");
}

#[tokio::test]
async fn vary_names_what_was_consulted_and_no_other_field_also_on_304() {
    let origin = Origin::start(|_| async {
        reply(
            "<p>content</p>",
            &[
                ("cache-control", "max-age=60"),
                ("content-type", "text/html"),
                ("vary", "Accept, Accept-Language, Cookie"),
                ("etag", "\"1\""),
            ],
        )
    })
    .await;
    let keys = "vary_ignore = [\"Accept\"]\n[route.language]\nsupported = [\"en\", \"de\"]\n\
                default = \"en\"\nsources = [\"cookie:lang\", \"header\"]";
    let stage = Stage::start(&origin, &route(keys)).await;
    let consulted = "accept-language, cookie";
    for fields in [&[][..], &[("if-none-match", "\"1\"")]] {
        for _ in 0..2 {
            let answer = stage.get("/a", fields).await;
            assert_eq!(answer.field("vary"), consulted, "{}", answer.status);
        }
    }
    let answer = stage.get("/a", &[("if-none-match", "\"1\"")]).await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_language_in_the_path_consults_no_field() {
    let origin = varying("Accept-Language").await;
    let keys =
        "[route.language]\nsupported = [\"en\", \"de\"]\ndefault = \"en\"\nsources = [\"path\"]";
    let stage = Stage::start(&origin, &route(keys)).await;
    stage.get("/de/a", &[("accept-language", "en")]).await;
    let hit = stage.get("/de/a", &[("accept-language", "fr")]).await;
    assert!(hit.is_hit());
    assert_eq!(hit.field("vary"), "");
    assert_eq!(origin.requests()[0].header("accept-language"), Some("de"));
}

#[tokio::test]
async fn an_origin_that_begins_to_vary_is_followed() {
    let count = Arc::new(AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            let reply = Reply::ok(number.to_string()).header("cache-control", "max-age=60");
            if number == 0 {
                reply
            } else {
                reply.header("vary", "x-theme")
            }
        }
    })
    .await;
    let stage = Stage::start(&origin, &route("stale_while_revalidate = \"0s\"")).await;
    stage.get("/a", &[("x-theme", "dark")]).await;
    assert!(stage.get("/a", &[("x-theme", "light")]).await.is_hit());
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.get("/a", &[("x-theme", "dark")]).await.text(), "1");
    assert_eq!(stage.get("/a", &[("x-theme", "light")]).await.text(), "2");
    assert_eq!(stage.get("/a", &[("x-theme", "dark")]).await.text(), "1");
}

/// An origin that answers as it is asked, and knows these values only as they are.
async fn exact(field: &'static str, vary: &'static str) -> Origin {
    Origin::start(move |request| async move {
        let known = request.header(field).unwrap_or("none").to_owned();
        reply(known, &[("cache-control", "max-age=60"), ("vary", vary)])
    })
    .await
}

#[tokio::test]
async fn what_an_origin_may_take_for_another_value_is_another_variant() {
    // Only of lists it is known that empty elements and white space mean nothing.
    let origin = exact("origin", "Origin").await;
    let stage = Stage::start(&origin, "").await;
    for odd in ["https://a.example,", ",https://a.example"] {
        stage.get("/a", &[("origin", odd)]).await;
        let other = stage.get("/a", &[("origin", "https://a.example")]).await;
        assert_eq!(other.text(), "https://a.example", "{odd}");
    }
    let origin = exact("user-agent", "User-Agent").await;
    let stage = Stage::start(&origin, "").await;
    stage
        .get("/a", &[("user-agent", "(KHTML,like Gecko)")])
        .await;
    let other = [("user-agent", "(KHTML, like Gecko)")];
    assert_eq!(stage.get("/a", &other).await.text(), "(KHTML, like Gecko)");
}

#[tokio::test]
async fn a_kept_cookie_reaches_the_origin_as_it_is_in_the_key() {
    let origin = exact("cookie", "accept").await;
    let keys = "[route.cookies]\nkeep = [\"currency\"]";
    let stage = Stage::start(&origin, &route(keys)).await;
    // Some servers take the space for a part of the name.
    let odd = stage.get("/a", &[("cookie", "currency =EUR")]).await;
    assert_eq!(odd.text(), "currency=EUR");
}

#[tokio::test]
async fn a_coding_of_ours_does_not_narrow_what_varies_on_everything() {
    let origin = Origin::start(|_| async {
        let fields = [("vary", "*"), ("content-type", "text/html")];
        reply("text ".repeat(1000), &fields)
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    let answer = stage.get("/a", &[("accept-encoding", "br")]).await;
    assert_eq!(answer.field("content-encoding"), "br");
    assert_eq!(answer.field("vary"), "*");
}

#[tokio::test]
async fn a_superseded_variant_does_not_come_back_when_the_newer_one_is_purged() {
    let version = std::sync::atomic::AtomicU64::new(0);
    let origin = Origin::start(move |_| {
        let version = version.fetch_add(1, Ordering::SeqCst);
        async move {
            let reply = Reply::ok(format!("version {version}"));
            match version {
                // Stored under a Vary of its own, and by another tag.
                0 => reply.header("vary", "x-theme").header("cache-tag", "old"),
                _ => reply.header("cache-tag", "new"),
            }
        }
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    let dark = [("x-theme", "dark")];
    assert_eq!(stage.get("/a", &dark).await.text(), "version 0");
    // Another visitor's answer has no Vary any more: it is everybody's.
    assert_eq!(stage.get("/a", &[]).await.text(), "version 1");
    assert_eq!(stage.get("/a", &dark).await.text(), "version 1");
    stage.purge(r#"{"tags":["new"]}"#).await;
    assert_eq!(stage.get("/a", &dark).await.text(), "version 2");
    assert_eq!(stage.get("/a", &dark).await.text(), "version 2");
}
