//! Whose certificate is believed.

use cms_edge::fetch::Kind;
use http::StatusCode;

use crate::stage::{Stage, failure, get, pool_settles};
use crate::support::authority::Authority;
use crate::support::origin::{Origin, Reply};

#[tokio::test]
async fn a_server_certificate_of_the_given_authority_is_accepted() {
    let authority = Authority::new();
    let handler = |_| async { Reply::ok("secret") };
    let origin = Origin::start_tls(authority.server("localhost"), handler).await;
    let mut stage = Stage::new(&[origin.uri()]);
    stage.settings.ca = Some(vec![authority.certificate()]);
    let upstream = stage.upstream();
    for _ in 0..2 {
        assert_eq!(get(&upstream, "/").await.unwrap(), "secret");
        pool_settles().await;
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn another_authority_or_another_name_is_refused() {
    let authority = Authority::new();
    for (trusted, name) in [
        (Authority::new().certificate(), "localhost"),
        (authority.certificate(), "elsewhere.example"),
    ] {
        let handler = |_| async { Reply::ok("secret") };
        let origin = Origin::start_tls(authority.server(name), handler).await;
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.ca = Some(vec![trusted]);
        let error = failure(&stage.upstream(), "/").await;
        assert_eq!(error.kind, Kind::Tls);
        assert_eq!(error.kind.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(origin.hits(), 0);
    }
}
