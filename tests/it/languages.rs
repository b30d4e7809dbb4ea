//! One copy per language instead of one per browser: negotiation over HTTP, and what the origin
//! and caches behind the edge are told.

use std::collections::BTreeSet;

use http::Method;

use crate::support::origin::{Origin, Reply};
use crate::support::stage::{Answer, Stage};

/// `sources`, and what else the language table has.
fn route(language: &str) -> String {
    format!(
        "[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n[route.language]\n\
         supported = [\"en\", \"de\", \"fr\", \"pt-BR\"]\ndefault = \"en\"\n{language}\n"
    )
}

const HEADER: &str = "sources = [\"header\"]";

/// A CMS that answers in exactly the language it is asked for, and says so nowhere.
async fn literal() -> Origin {
    Origin::start(|request| async move {
        let language = request.header("accept-language").unwrap_or("none");
        Reply::ok(language.to_owned())
    })
    .await
}

async fn ask(stage: &Stage, path: &str, accept_language: &str) -> Answer {
    stage
        .get(path, &[("accept-language", accept_language)])
        .await
}

#[tokio::test]
async fn browsers_get_their_language_and_share_its_copy() {
    let origin = literal().await;
    let stage = Stage::start(&origin, &route(HEADER)).await;
    for (browser, language) in [
        // Chrome, Firefox, Safari, Edge; then travellers, tools and the odd ones.
        ("de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "de"),
        ("de,en-US;q=0.7,en;q=0.3", "de"),
        ("de-de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8,en-GB;q=0.7,en-US;q=0.6", "de"),
        ("de-CH-1996;q=0.9,fr-CH;q=0.8", "de"),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr"),
        ("en-US,en;q=0.9", "en"),
        ("pt-BR,pt;q=0.9,en-US;q=0.8", "pt-BR"),
        ("pt-PT,pt;q=0.9", "pt-BR"),
        ("PT-br", "pt-BR"),
        ("tlh,x-klingon;q=0.8", "en"),
        ("de;q=0.2,fr;q=0.9", "fr"),
        ("de;q=0,fr;q=0.1", "fr"),
        ("*", "en"),
        ("", "en"),
        (";;;,,,q=1", "en"),
    ] {
        let answer = ask(&stage, "/a", browser).await;
        assert_eq!(answer.text(), language, "{browser}");
        assert_eq!(answer.field("content-language"), language, "{browser}");
    }
    assert_eq!(stage.get("/a", &[]).await.text(), "en", "without the field");
    let two_lines = [("accept-language", "tlh"), ("accept-language", "fr;q=0.5")];
    assert_eq!(stage.get("/a", &two_lines).await.text(), "fr");
    let asked: Vec<_> = origin
        .requests()
        .iter()
        .map(|request| request.header("accept-language").unwrap().to_owned())
        .collect();
    assert_eq!(
        asked,
        ["de", "fr", "en", "pt-BR"],
        "canonical, and each once"
    );
}

#[tokio::test]
async fn three_hundred_different_browsers_make_four_requests() {
    let origin = literal().await;
    let stage = Stage::start(&origin, &route(HEADER)).await;
    let tags = [
        "de",
        "de-DE",
        "de-AT",
        "en",
        "en-US",
        "en-GB",
        "fr",
        "fr-CA",
        "pt",
        "pt-BR",
        "pt-PT",
        "it",
        "es-419",
        "zh-Hant-TW",
        "*",
    ];
    let mut seed = 0x5eed_u64;
    let mut below = |bound: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % bound
    };
    let mut browsers = BTreeSet::new();
    while browsers.len() < 300 {
        let ranges: Vec<String> = (0..=below(5))
            .map(|_| format!("{};q=0.{}", tags[below(tags.len())], below(10)))
            .collect();
        browsers.insert(ranges.join(if below(2) == 0 { "," } else { ", " }));
    }
    let mut seen = BTreeSet::new();
    for browser in &browsers {
        seen.insert(ask(&stage, "/a", browser).await.text());
    }
    assert_eq!(seen.len(), 4, "all four were asked for: {seen:?}");
    assert_eq!(origin.hits(), 4);
}

#[tokio::test]
async fn each_source_decides_in_its_turn_and_vary_names_what_was_consulted() {
    let sources = "sources = [\"path\", \"query:locale\", \"cookie:lang\", \"host\", \"header\"]\n\
                   hosts = { \"fr.example.test\" = \"fr\" }";
    let origin = literal().await;
    let stage = Stage::start(&origin, &route(sources)).await;
    let german = ("accept-language", "de");
    let all = "accept-encoding, accept-language, cookie";
    for (path, fields, language, vary) in [
        // The URL itself says it: the response depends on no field.
        ("/fr/a", &[german][..], "fr", "accept-encoding"),
        ("/FR/a", &[german], "fr", "accept-encoding"),
        ("/a?locale=fr-CA", &[german], "fr", "accept-encoding"),
        (
            "/fr/b?locale=de",
            &[("cookie", "lang=de")],
            "fr",
            "accept-encoding",
        ),
        // A cookie may; so it is consulted for all of this URL.
        ("/c", &[german, ("cookie", "a=b; lang=fr")], "fr", all),
        ("/d?locale=xx", &[german], "de", all),
        ("/e", &[], "en", all),
        // The host decides, unless a cookie does.
        (
            "/f",
            &[german, ("host", "fr.example.test")],
            "fr",
            "accept-encoding, cookie",
        ),
    ] {
        let answer = stage.get(path, fields).await;
        assert_eq!(answer.text(), language, "{path} {fields:?}");
        let mut found: Vec<String> = answer
            .field("vary")
            .to_lowercase()
            .split(", ")
            .map(str::to_owned)
            .collect();
        found.sort();
        // Plain text may be compressed.
        found.retain(|name| !name.is_empty());
        let vary: Vec<&str> = vary
            .split(", ")
            .filter(|name| *name != "accept-encoding")
            .collect();
        found.retain(|name| name != "accept-encoding");
        assert_eq!(found, vary, "{path} {fields:?}");
        assert!(stage.get(path, fields).await.is_hit(), "{path} {fields:?}");
    }
    // The cookie that chose is not passed on; the language it chose is.
    let chosen = &origin.requests()[4];
    assert_eq!(chosen.header("cookie"), None);
    assert_eq!(chosen.header("accept-language"), Some("fr"));
}

#[tokio::test]
async fn vary_of_a_304_is_that_of_the_200() {
    let origin = literal().await;
    let stage = Stage::start(&origin, &route(HEADER)).await;
    let whole = ask(&stage, "/a", "de").await;
    let etag = whole.field("etag");
    let fields = [("accept-language", "de-DE"), ("if-none-match", &*etag)];
    let short = stage.get("/a", &fields).await;
    assert_eq!(short.status.as_u16(), 304);
    assert_eq!(short.field("vary"), whole.field("vary"));
    assert!(
        short
            .field("vary")
            .to_lowercase()
            .contains("accept-language")
    );
    // Another language is another representation, and has another tag.
    let fields = [("accept-language", "fr"), ("if-none-match", &*etag)];
    let other = stage.get("/a", &fields).await;
    assert_eq!((other.status.as_u16(), &*other.text()), (200, "fr"));
}

#[tokio::test]
async fn content_language_is_kept_where_the_origin_gives_one() {
    let origin = Origin::start(|request| async move {
        let asked = request.header("accept-language").unwrap().to_owned();
        Reply::ok("a").header("content-language", &format!("{asked}-x-own"))
    })
    .await;
    let stage = Stage::start(&origin, &route(HEADER)).await;
    for _ in 0..2 {
        let answer = ask(&stage, "/a", "de").await;
        assert_eq!(answer.field("content-language"), "de-x-own");
    }
    assert_eq!(
        origin.hits(),
        1,
        "a narrower form of what was asked for is stored"
    );
}

/// A CMS that has no German yet, and says what it shows instead.
async fn untranslated() -> Origin {
    Origin::start(|_| async { Reply::ok("hello").header("content-language", "en") }).await
}

#[tokio::test]
async fn another_language_than_was_asked_for_is_counted_and_not_stored_under_it() {
    let origin = untranslated().await;
    let stage = Stage::start(&origin, &route(HEADER)).await;
    for _ in 0..2 {
        let answer = ask(&stage, "/a", "de").await;
        assert_eq!(answer.text(), "hello", "it is passed on all the same");
        assert_eq!(answer.field("content-language"), "en");
        assert!(
            answer.cache_status().ends_with("detail=language-drift"),
            "{}",
            answer.cache_status()
        );
    }
    assert_eq!(origin.hits(), 2);
    assert_eq!(stage.metric("cms_edge_language_drift_total").await, 2);
    ask(&stage, "/a", "en").await;
    assert!(ask(&stage, "/a", "en-GB").await.is_hit());
}

#[tokio::test]
async fn a_fallback_and_a_guard_that_is_off_let_it_be_stored() {
    for more in [
        "fallback = { de = [\"fr\", \"en\"] }",
        "drift_guard = false",
    ] {
        let origin = untranslated().await;
        let stage = Stage::start(&origin, &route(&format!("{HEADER}\n{more}"))).await;
        ask(&stage, "/a", "de").await;
        let hit = ask(&stage, "/a", "de-AT").await;
        assert!(hit.is_hit(), "{more}");
        assert_eq!(hit.field("content-language"), "en");
        assert_eq!(stage.metric("cms_edge_language_drift_total").await, 0);
    }
}

#[tokio::test]
async fn given_aliases_count_before_anything_derived() {
    let origin = literal().await;
    let aliases = format!("{HEADER}\naliases = {{ nds = \"de\", pt-PT = \"fr\", no = \"en\" }}");
    let stage = Stage::start(&origin, &route(&aliases)).await;
    for (browser, language) in [
        ("nds-NL,fr;q=0.9", "de"),
        ("pt-PT,pt;q=0.9", "fr"),
        ("pt", "pt-BR"),
        ("no,de;q=0.5", "en"),
    ] {
        assert_eq!(
            ask(&stage, "/a", browser).await.text(),
            language,
            "{browser}"
        );
    }
}

#[tokio::test]
async fn what_is_passed_on_is_asked_for_in_the_same_language() {
    let origin = literal().await;
    let stage = Stage::start(&origin, &route(HEADER)).await;
    let fields = [
        ("accept-language", "de-AT,de;q=0.9"),
        ("cookie", "sessionid=1"),
    ];
    let own = stage.get("/a", &fields).await;
    assert_eq!(
        (&*own.text(), &*own.field("content-language")),
        ("de", "de")
    );
    stage.send(Method::HEAD, "/b", &fields[..1], "").await;
    assert_eq!(origin.requests()[1].header("accept-language"), Some("de"));
    // What changes something is forwarded as it came.
    stage.send(Method::POST, "/c", &fields[..1], "x").await;
    let posted = origin.requests()[2].clone();
    assert_eq!(posted.header("accept-language"), Some("de-AT,de;q=0.9"));
}

#[tokio::test]
async fn without_a_language_table_vary_means_what_it_says() {
    let origin = Origin::start(|request| async move {
        let language = request.header("accept-language").unwrap_or("none");
        Reply::ok(language.to_owned()).header("vary", "Accept-Language")
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    for browser in ["de", "fr", "de;q=0.9", "de", "fr"] {
        assert_eq!(ask(&stage, "/a", browser).await.text(), browser);
    }
    // The same wish in other words may be the same variant; another order of wishes never is.
    assert_eq!(ask(&stage, "/b", "de,en").await.text(), "de,en");
    assert_eq!(ask(&stage, "/b", "en,de").await.text(), "en,de");
}

#[tokio::test]
async fn a_purge_of_one_language_leaves_the_others() {
    let origin = literal().await;
    let tagged = route(HEADER).replace(
        "upstream = \"origin\"",
        "upstream = \"origin\"\ntags = [\"lang:{language}\"]",
    );
    let stage = Stage::start(&origin, &tagged).await;
    for language in ["de", "fr", "pt-BR", "en"] {
        ask(&stage, "/a", language).await;
    }
    stage.purge(r#"{"tags":["lang:pt-BR"]}"#).await;
    for language in ["de", "fr", "en"] {
        assert!(ask(&stage, "/a", language).await.is_hit(), "{language}");
    }
    assert!(!ask(&stage, "/a", "pt").await.is_hit());
}
