//! What Wagtail, Directus and Strapi really send, through routes as their operators would write
//! them: what may be shared is stored and hit by the next browser, and nothing else is.

use std::sync::Arc;
use std::time::Duration;

use crate::support::decode::decoded;
use crate::support::origin::{Origin, Reply};
use crate::support::recording::Recording;
use crate::support::script::script;
use crate::support::stage::{Answer, Stage};

const WAGTAIL: &str = r#"
[[route]]
name = "api"
path = "/api/v2/*"
upstream = "origin"
vary_ignore = ["Accept"]
[route.language]
supported = ["en", "de", "fr", "pt-br"]
default = "en"
sources = ["query:locale", "header"]
drift_guard = false

[[route]]
name = "media"
path = "/media/*"
upstream = "origin"
[route.language]
supported = ["en"]
default = "en"
sources = ["header"]
drift_guard = false

[[route]]
name = "documents"
path = "/documents/*"
upstream = "origin"
[route.language]
supported = ["en"]
default = "en"
sources = ["header"]
drift_guard = false

[[route]]
name = "pages"
path = "/*"
upstream = "origin"
[route.language]
supported = ["en", "de", "fr", "pt-br"]
default = "en"
sources = ["path", "header"]
"#;

const DIRECTUS: &str = r#"
[[route]]
name = "admin"
path = "/admin/*"
upstream = "origin"
cache = false

[[route]]
name = "api"
path = "/*"
upstream = "origin"
ttl_mode = "override"
vary_ignore = ["Cache-Control"]
[route.cookies]
bypass = ["directus_session_token"]
[route.bypass]
query = ["access_token"]
header = ["Authorization"]
"#;

const STRAPI: &str = r#"
[[route]]
name = "uploads"
path = "/uploads/*"
upstream = "origin"
ttl_mode = "override"

[[route]]
name = "api"
path = "/api/*"
upstream = "origin"
[route.bypass]
query = ["status=draft"]
header = ["Authorization"]
"#;

/// Two people who read German, with different browsers and different trackers.
const FIREFOX: [(&str, &str); 4] = [
    ("accept-language", "de,en-US;q=0.7,en;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("user-agent", "Mozilla/5.0 Firefox/145.0"),
    ("cookie", "_ga=GA1.1.1; theme=dark"),
];
const CHROME: [(&str, &str); 4] = [
    ("accept-language", "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7"),
    ("accept-encoding", "gzip, deflate, br"),
    ("user-agent", "Mozilla/5.0 Chrome/142.0.0.0"),
    ("cookie", "_ga=GA1.1.2; _fbp=fb.1"),
];

/// An origin that has recorded answers, whoever asks.
async fn replaying(recording: &Recording) -> Origin {
    let recording = recording.clone();
    Origin::start(move |_| {
        let reply = recording.reply();
        async move { reply }
    })
    .await
}

async fn ask(stage: &Stage, recording: &Recording, browser: &[(&str, &str)]) -> Answer {
    let own = recording.fields.iter().map(|(n, v)| (&**n, &**v));
    let is_own = |name: &str| recording.fields.iter().any(|(own, _)| own == name);
    let others = browser.iter().copied().filter(|(name, _)| !is_own(name));
    let fields: Vec<(&str, &str)> = own.chain(others).collect();
    stage.get(&recording.target, &fields).await
}

/// Two browsers ask for a recorded response. Both get it whole; whether the second gets it from
/// the store is what is returned, with the second's answer.
async fn shared(cms: &str, name: &str, routes: &str) -> (bool, Answer) {
    let recording = Recording::read(&format!("{cms}/{name}"));
    let origin = replaying(&recording).await;
    let stage = Stage::start(&origin, routes).await;
    let mut second = None;
    for browser in [FIREFOX, CHROME] {
        let answer = ask(&stage, &recording, &browser).await;
        assert_eq!(answer.status.as_u16(), recording.status, "{name}");
        assert_eq!(decoded(&answer), recording.content, "{name}");
        second = Some(answer);
    }
    let second = second.unwrap();
    assert_eq!(second.is_hit(), origin.hits() == 1, "{name}");
    (second.is_hit(), second)
}

async fn assert_shared(cms: &str, routes: &str, names: &[(&str, bool)]) {
    for (name, expected) in names {
        let (is_shared, answer) = shared(cms, name, routes).await;
        assert_eq!(
            is_shared,
            *expected,
            "{cms}/{name}: {}",
            answer.cache_status()
        );
    }
}

#[tokio::test]
async fn wagtails_answers_are_shared_where_they_may_be() {
    let expected = [
        ("api-detail", true),
        ("api-detail-gzip", true),
        ("api-detail-accept-language-fr", true),
        ("api-list", true),
        ("api-image", true),
        ("api-no-slash", true),
        ("html-article", true),
        ("html-404", true),
        ("media-file", true),
        ("document", true),
        // Set-Cookie and a token for one visitor in the body.
        ("api-browsable-html", false),
        ("html-index-with-form", false),
        // Redirects by language, and errors of one request.
        ("api-unknown-id", false),
        ("html-root", false),
        ("api-unknown-parameter", false),
    ];
    assert_shared("wagtail", WAGTAIL, &expected).await;
}

#[tokio::test]
async fn directuss_answers_are_shared_where_they_may_be() {
    let expected = [
        ("api-detail", true),
        ("api-list", true),
        ("api-with-origin", true),
        ("graphql-get", true),
        ("asset", true),
        ("asset-transformed", true),
        ("admin-app", false),
        // What only some may see, and those who may not.
        ("api-draft-access-token-in-query", false),
        ("api-bad-token", false),
        ("asset-authorized", false),
        // Publishing makes a 200 of it.
        ("api-draft-anonymous", false),
    ];
    assert_shared("directus", DIRECTUS, &expected).await;
}

#[tokio::test]
async fn strapis_answers_are_shared_where_they_may_be() {
    let expected = [
        ("api-detail", true),
        ("api-detail-default-locale", true),
        ("api-accept-language-ignored", true),
        ("api-list", true),
        ("api-populate", true),
        ("single-type", true),
        ("api-with-origin", true),
        ("api-404", true),
        ("api-locale-wrong-case", true),
        ("upload", true),
        ("api-detail-draft-anonymous", false),
        ("api-bad-token", false),
    ];
    assert_shared("strapi", STRAPI, &expected).await;
}

#[tokio::test]
async fn a_draft_that_anybody_may_ask_for_is_told_apart_and_kept_by_nobody() {
    let (_, answer) = shared("strapi", "api-detail-draft-anonymous", STRAPI).await;
    assert_eq!(answer.field("cache-control"), "private, no-store");
    assert_eq!(
        answer.cache_status(),
        "cms-edge; fwd=bypass; detail=bypass-query"
    );
}

#[tokio::test]
async fn an_authorized_asset_is_not_stored_even_where_the_authorization_went_unseen() {
    // `private, max-age`, and through a route that would replace the lifetime.
    let mut recording = Recording::read("directus/asset-authorized");
    recording.fields.clear();
    let origin = replaying(&recording).await;
    let stage = Stage::start(&origin, DIRECTUS).await;
    for browser in [FIREFOX, CHROME] {
        let answer = ask(&stage, &recording, &browser).await;
        assert_eq!(
            answer.cache_status(),
            "cms-edge; fwd=uri-miss; detail=private"
        );
    }
}

#[tokio::test]
async fn junk_in_wagtails_fields_is_neither_stored_nor_passed_on() {
    let (_, answer) = shared("wagtail", "document", WAGTAIL).await;
    // `Content-Encoding: None` and `ETag: ""` came.
    assert_eq!(
        answer.field("content-disposition"),
        "attachment; filename=\"document-0.txt\""
    );
    assert!(matches!(
        &*answer.field("content-encoding"),
        "" | "br" | "gzip"
    ));
    assert!(
        answer.field("etag").len() > 10,
        "one of our own: {}",
        answer.field("etag")
    );
    let recording = Recording::read("wagtail/document");
    let origin = replaying(&recording).await;
    let stage = Stage::start(&origin, WAGTAIL).await;
    let first = ask(&stage, &recording, &[]).await;
    assert_eq!(first.field("content-encoding"), "");
    let etag = first.field("etag");
    let again = ask(&stage, &recording, &[("if-none-match", &etag)]).await;
    assert_eq!(again.status.as_u16(), 304);
}

#[tokio::test]
async fn an_empty_chunked_redirect_passes_through() {
    let recording = Recording::read("wagtail/api-unknown-id");
    let origin = replaying(&recording).await;
    let stage = Stage::start(&origin, WAGTAIL).await;
    let answer = ask(&stage, &recording, &FIREFOX).await;
    assert_eq!(answer.status.as_u16(), 302);
    assert_eq!(answer.field("location"), "/en/api/v2/pages/99999/");
    assert!(answer.body.is_empty());
    // An operator may ask for redirects to be kept; an empty one is whole too.
    let routes = WAGTAIL.replace(
        "drift_guard = false",
        "drift_guard = false\n[route.ttl_by_status]\n302 = \"1m\"",
    );
    let stage = Stage::start(&origin, &routes).await;
    ask(&stage, &recording, &FIREFOX).await;
    let hit = ask(&stage, &recording, &CHROME).await;
    assert!(hit.is_hit() && hit.status.as_u16() == 302 && hit.body.is_empty());
}

#[tokio::test]
async fn no_cache_is_replaced_where_the_route_says_so_and_otherwise_validated_each_time() {
    let recording = Recording::read("directus/api-detail");
    let (is_shared, answer) = shared("directus", "api-detail", DIRECTUS).await;
    assert!(is_shared);
    // Browsers cannot be purged: they ask each time, and get a 304 from the edge.
    assert_eq!(answer.field("cache-control"), "max-age=0, must-revalidate");

    let not_modified = Recording::read("directus/api-if-none-match");
    let validator = not_modified.fields[0].1.clone();
    let (full, short) = (recording.clone(), not_modified.clone());
    let origin = Origin::start(move |request| {
        let is_known = request.header("if-none-match") == Some(&*validator);
        let reply = if is_known {
            short.reply()
        } else {
            full.reply()
        };
        async move { reply }
    })
    .await;
    let plain = DIRECTUS.replace("ttl_mode = \"override\"\n", "");
    let stage = Stage::start(&origin, &plain).await;
    for asked in 1..=3 {
        let answer = ask(&stage, &recording, &FIREFOX).await;
        assert_eq!(decoded(&answer), recording.content);
        assert_eq!(origin.hits(), asked, "each time");
        assert_eq!(answer.field("cache-control"), "no-cache");
    }
    let conditional = |at: usize| origin.requests()[at].header("if-none-match").is_some();
    assert!(!conditional(0) && conditional(1) && conditional(2));

    // And where it was replaced, the recorded 304 makes it fresh again after its time.
    let stage = Stage::start(&origin, DIRECTUS).await;
    ask(&stage, &recording, &FIREFOX).await;
    stage.clock.advance(Duration::from_secs(7200 + 60));
    let before = origin.hits();
    let validated = ask(&stage, &recording, &CHROME).await;
    assert_eq!(validated.status.as_u16(), 200);
    assert!(
        validated.cache_status().contains("fwd-status=304"),
        "{}",
        validated.cache_status()
    );
    assert!(ask(&stage, &recording, &FIREFOX).await.is_hit());
    assert_eq!(origin.hits(), before + 1);
}

#[tokio::test]
async fn a_304_with_another_vary_and_a_stronger_tag_does_not_change_what_is_selected() {
    // Wagtail behind its gzip middleware: the 200 and its 304 disagree.
    let (origin, mut script) = script().await;
    let stage = Arc::new(Stage::start(&origin, WAGTAIL).await);
    let ask = |browser: [(&'static str, &'static str); 4]| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.get("/api/v2/pages/8/", &browser).await })
    };
    let vary = "Accept, Accept-Language, Cookie, Accept-Encoding";
    let first = ask(FIREFOX);
    let whole = Reply::ok("x".repeat(5000))
        .header("content-type", "application/json")
        .header("etag", "W/\"x\"")
        .header("vary", vary);
    script.asked().await.answer(whole);
    let first = first.await.unwrap();
    stage.clock.advance(Duration::from_secs(7200 + 60));
    let validating = ask(CHROME);
    let asked = script.asked().await;
    assert_eq!(asked.request.header("if-none-match"), Some("W/\"x\""));
    asked.answer(
        Reply::new(304)
            .header("etag", "\"x\"")
            .header("vary", "Accept, Accept-Language, Cookie"),
    );
    let validated = validating.await.unwrap();
    assert_eq!(decoded(&validated), decoded(&first));
    for (browser, coding) in [(FIREFOX, "br"), (CHROME, "br")] {
        let hit = ask(browser).await.unwrap();
        assert!(hit.is_hit());
        assert_eq!(hit.field("content-encoding"), coding);
        assert!(hit.field("vary").to_lowercase().contains("accept-encoding"));
        assert_eq!(decoded(&hit).len(), 5000);
    }
    let plain = stage
        .get("/api/v2/pages/8/", &[("accept-language", "de")])
        .await;
    assert!(plain.is_hit() && plain.body.len() == 5000);
    script.is_quiet();
}

#[tokio::test]
async fn an_answer_for_no_origin_is_not_given_to_a_page_of_another_origin() {
    let without = Recording::read("strapi/api-detail-default-locale");
    let with = Recording::read("strapi/api-with-origin");
    assert_eq!(without.target, with.target);
    let (a, b) = (without.clone(), with.clone());
    let origin = Origin::start(move |request| {
        let reply = if request.header("origin").is_some() {
            b.reply()
        } else {
            a.reply()
        };
        async move { reply }
    })
    .await;
    let stage = Stage::start(&origin, STRAPI).await;
    for round in 0..2 {
        let plain = ask(&stage, &without, &FIREFOX).await;
        let cross = ask(&stage, &with, &CHROME).await;
        assert_eq!(plain.headers["access-control-allow-origin"], "", "{round}");
        assert_eq!(
            cross.headers["access-control-allow-origin"], "https://a.example",
            "{round}"
        );
        for answer in [&plain, &cross] {
            assert_eq!(answer.is_hit(), round == 1, "{round}");
            assert!(answer.field("vary").to_lowercase().contains("origin"));
        }
    }
    // One purge is for both.
    stage
        .purge(r#"{"urls":["/api/articles/ibyqbphrxxketj2z0ygha9p5"]}"#)
        .await;
    assert!(!ask(&stage, &without, &FIREFOX).await.is_hit());
    assert!(!ask(&stage, &with, &FIREFOX).await.is_hit());
}

#[tokio::test]
async fn the_edge_answers_a_date_that_strapi_ignores() {
    // Recorded: If-Modified-Since in the far future, and a 200 all the same.
    let recording = Recording::read("strapi/upload-if-modified-since");
    assert_eq!(
        (recording.status, &*recording.fields[0].0),
        (200, "if-modified-since")
    );
    let origin = replaying(&recording).await;
    let stage = Stage::start(&origin, STRAPI).await;
    for _ in 0..2 {
        let answer = ask(&stage, &recording, &FIREFOX).await;
        assert_eq!(answer.status.as_u16(), 304);
        assert!(answer.body.is_empty());
    }
    assert_eq!(origin.hits(), 1);
}

#[tokio::test]
async fn somebody_who_is_signed_in_at_the_cms_is_never_answered_from_the_store() {
    for (cms, name, routes, cookie) in [
        (
            "wagtail",
            "html-article",
            WAGTAIL,
            "sessionid=editor; _ga=1",
        ),
        (
            "directus",
            "api-detail",
            DIRECTUS,
            "directus_session_token=editor",
        ),
    ] {
        let recording = Recording::read(&format!("{cms}/{name}"));
        let origin = replaying(&recording).await;
        let stage = Stage::start(&origin, routes).await;
        ask(&stage, &recording, &FIREFOX).await;
        let editor = ask(&stage, &recording, &[("cookie", cookie)]).await;
        assert_eq!(editor.field("cache-control"), "private, no-store", "{cms}");
        assert_eq!(origin.requests()[1].header("cookie"), Some(cookie), "{cms}");
        assert!(ask(&stage, &recording, &CHROME).await.is_hit(), "{cms}");
        assert_eq!(origin.hits(), 2, "{cms}");
    }
}
