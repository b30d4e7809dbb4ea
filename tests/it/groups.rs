//! Cache groups (RFC 9875).

use http::Method;

use crate::support::origin::{Origin, Reply};
use crate::support::short::{reply, route};
use crate::support::stage::Stage;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// `/a` and `/b` are of the group "one", `/B` of "One", `/c` of two others. What is posted names the
/// groups to invalidate.
async fn grouped() -> Origin {
    Origin::start(|request| async move {
        let group = match request.target.as_str() {
            "/a" | "/b" => "\"one\"",
            "/B" => "\"One\"",
            _ => "\"two\", \"with, comma\"",
        };
        match request.method {
            Method::GET | Method::HEAD => reply("read", &[FRESH]).header("cache-groups", group),
            _ => {
                let groups = String::from_utf8_lossy(&request.content).into_owned();
                Reply::new(204).header("cache-group-invalidation", &groups)
            }
        }
    })
    .await
}

async fn are_stored(stage: &Stage) -> [bool; 4] {
    let mut stored = [false; 4];
    for (stored, path) in stored.iter_mut().zip(["/a", "/b", "/B", "/c"]) {
        *stored = stage.get(path, &[]).await.is_hit();
    }
    stored
}

#[tokio::test]
async fn groups_that_a_response_to_an_unsafe_method_names_are_invalidated() {
    let origin = grouped().await;
    for keys in ["", "profile = \"rfc\""] {
        let stage = Stage::start(&origin, &route(keys)).await;
        for (named, expected) in [
            ("\"one\"", [false, false, true, true]),
            ("\"One\";a=1", [true, true, false, true]),
            ("\"two\", \"one\"", [false, false, true, false]),
            ("\"with, comma\"", [true, true, true, false]),
            ("\"none\"", [true; 4]),
            ("one", [true; 4]),
        ] {
            are_stored(&stage).await;
            assert_eq!(are_stored(&stage).await, [true; 4]);
            stage.send(Method::POST, "/form", &[], named).await;
            assert_eq!(are_stored(&stage).await, expected, "{named}");
        }
    }
}

#[tokio::test]
async fn groups_are_of_one_origin() {
    let origin = grouped().await;
    let stage = Stage::start(&origin, "").await;
    are_stored(&stage).await;
    let elsewhere = [("host", "other.example.test")];
    stage
        .send(Method::POST, "/form", &elsewhere, "\"one\"")
        .await;
    assert_eq!(are_stored(&stage).await, [true; 4]);
}

#[tokio::test]
async fn the_fields_reach_the_client() {
    let origin = grouped().await;
    let stage = Stage::start(&origin, "").await;
    for _ in 0..2 {
        let answer = stage.get("/c", &[]).await;
        assert_eq!(answer.field("cache-groups"), "\"two\", \"with, comma\"");
    }
    let changed = stage.send(Method::PUT, "/c", &[], "\"one\"").await;
    assert_eq!(changed.field("cache-group-invalidation"), "\"one\"");
}

#[tokio::test]
async fn a_safe_method_invalidates_no_group() {
    // RFC 9875 §3.
    let origin = grouped().await;
    let stage = Stage::start(&origin, "").await;
    are_stored(&stage).await;
    stage.send(Method::OPTIONS, "/form", &[], "\"one\"").await;
    assert_eq!(are_stored(&stage).await, [true; 4]);
}
