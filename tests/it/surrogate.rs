//! `Surrogate-Control`, where the route hears it.

use std::time::Duration;

use crate::support::origin::Origin;
use crate::support::short::{Field, reply, route};
use crate::support::stage::Stage;

async fn saying(fields: &'static [Field]) -> Origin {
    Origin::start(move |_| async move { reply("content", fields) }).await
}

#[tokio::test]
async fn it_counts_before_cache_control_where_the_route_hears_it() {
    let origin = saying(&[
        ("cache-control", "max-age=5"),
        ("surrogate-control", "max-age=60+600"),
    ])
    .await;
    let stage = Stage::start(&origin, &route("surrogate_control = true")).await;
    let first = stage
        .get("/a", &[("surrogate-capability", "x=\"ESI/1.0\"")])
        .await;
    assert_eq!(first.field("surrogate-control"), "", "it is for surrogates");
    assert_eq!(first.field("cache-control"), "max-age=5");
    let asked = origin.requests();
    let capability = asked[0].header("surrogate-capability");
    assert_eq!(capability, Some("cms-edge=\"Surrogate/1.0\""));
    stage.clock.advance(Duration::from_secs(59));
    assert_eq!(
        stage.get("/a", &[]).await.cache_status(),
        "cms-edge; hit; ttl=1"
    );
    stage.clock.advance(Duration::from_secs(10));
    let stale = stage.get("/a", &[]).await;
    assert_eq!(stale.cache_status(), "cms-edge; hit; ttl=-9");
}

#[tokio::test]
async fn a_route_that_does_not_hear_it_passes_it_on() {
    let origin = saying(&[
        ("cache-control", "max-age=5"),
        ("surrogate-control", "no-store"),
    ])
    .await;
    let stage = Stage::start(&origin, "").await;
    let first = stage.get("/a", &[]).await;
    assert_eq!(first.field("surrogate-control"), "no-store");
    assert_eq!(origin.requests()[0].header("surrogate-capability"), None);
    assert!(stage.get("/a", &[]).await.is_hit());
}

#[tokio::test]
async fn what_is_private_stays_so_unless_the_profile_is_that_of_the_rfc() {
    let origin = saying(&[
        ("cache-control", "private, no-store"),
        ("surrogate-control", "max-age=60"),
    ])
    .await;
    for (keys, is_stored) in [
        ("surrogate_control = true", false),
        ("surrogate_control = true\nprofile = \"rfc\"", true),
    ] {
        let stage = Stage::start(&origin, &route(keys)).await;
        stage.get("/a", &[]).await;
        assert_eq!(stage.get("/a", &[]).await.is_hit(), is_stored, "{keys}");
    }
}

#[tokio::test]
async fn it_forbids_what_cache_control_allows() {
    let origin = saying(&[
        ("cache-control", "max-age=60"),
        ("surrogate-control", "no-store"),
    ])
    .await;
    let stage = Stage::start(&origin, &route("surrogate_control = true")).await;
    stage.get("/a", &[]).await;
    assert!(!stage.get("/a", &[]).await.is_hit());
    assert_eq!(origin.hits(), 2);
}
