//! What operators write for the senders of these tests.

use cms_edge::purge::webhook::rule::{Rule, UrlTemplate};
use cms_edge::purge::webhook::settings::{Dialect, Settings};

use crate::support::{
    Answer, NEW_KEY, NOW, Stage, deliver, rule, settings, signed, standard_dialect, token_rule,
};

pub(crate) const DETAIL: &str = r#"{"type":"article.published","data":{"id":1,"language":"de"}}"#;

pub(crate) fn demo() -> Settings {
    let rule = rule(
        "article.*",
        &[
            "article:{data.id}:{data.language}",
            "articles:{data.language}",
        ],
        &[],
    );
    settings("demo", standard_dialect(), vec![rule])
}

pub(crate) fn strapi() -> Settings {
    let rule = token_rule("x-purge-token");
    settings("strapi", Dialect::Strapi(rule), Vec::new())
}

/// What an operator writes for a Directus with a collection `articles` and its translations.
pub(crate) fn directus() -> Settings {
    let files = Rule {
        prefixes: vec![UrlTemplate::prefix("/assets/{key}/*").unwrap()],
        ..rule("files.*", &["directus_files:{key}"], &[])
    };
    let translations = rule(
        "articles_translations.items.*",
        &["articles:{payload.articles_id}"],
        &["articles"],
    );
    let articles = rule("articles.items.*", &["articles:{keys[*]}", "articles"], &[]);
    let rules = vec![articles, translations, files];
    settings(
        "directus",
        Dialect::Token(token_rule("x-purge-token")),
        rules,
    )
}

pub(crate) async fn believed(stage: &Stage, settings: Settings, body: &str) -> Answer {
    let webhook = stage.webhook(settings);
    let id = format!("msg_{}", body.len());
    deliver(&webhook, &signed(NEW_KEY, &id, NOW, body), body.to_owned()).await
}
