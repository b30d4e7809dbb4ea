//! The name that the origin is told.

use cms_edge::fetch::HostRule;
use http::HeaderValue;

use crate::stage::{Stage, request};
use crate::support::origin::{Origin, Reply};

#[tokio::test]
async fn the_origin_is_told_the_name_that_the_rule_says() {
    let origin = Origin::start(|_| async { Reply::new(204) }).await;
    let own = origin.address().to_string();
    for (rule, expected) in [
        (HostRule::Preserve, "www.example.org"),
        (HostRule::Upstream, own.as_str()),
        (
            HostRule::Literal(HeaderValue::from_static("cms.example.org")),
            "cms.example.org",
        ),
    ] {
        let mut stage = Stage::new(&[origin.uri()]);
        stage.settings.host = rule;
        stage.upstream().send(request("/")).await.unwrap();
        let last = origin.requests().pop().unwrap();
        assert_eq!(last.header("host"), Some(expected));
        assert_eq!(last.headers.get_all("host").iter().count(), 1);
    }
}
