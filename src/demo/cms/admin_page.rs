//! `GET /admin`: the page to publish from.

use serde_json::{Value, json};

use super::{Cms, language::Language, pages, texts::texts};

const PAGE: &str = include_str!("admin.html");

/// The page with the titles of all articles in it.
pub(super) fn render(cms: &Cms) -> String {
    let languages: Vec<Value> = Language::ALL
        .into_iter()
        .map(|language| {
            let articles: Vec<Value> = cms
                .articles
                .all(language)
                .into_iter()
                .map(|article| json!({ "id": article.id, "title": article.title, "version": article.version }))
                .collect();
            json!({ "tag": language.tag(), "name": texts(language).name, "articles": articles })
        })
        .collect();
    let edge = cms.webhook.edge();
    let data = script_data(&json!({ "edge": edge, "languages": languages }));
    // The titles go in last, so that nothing in them is taken for a placeholder.
    PAGE.replace("{{edge}}", &pages::escaped(&edge))
        .replacen("{{data}}", &data, 1)
}

/// JSON that cannot end the script element it stands in.
fn script_data(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_script_element() {
        let value = json!({ "title": "</script><b>" });
        let data = script_data(&value);
        assert!(!data.contains('<'));
        assert_eq!(serde_json::from_str::<Value>(&data).unwrap(), value);
    }
}
