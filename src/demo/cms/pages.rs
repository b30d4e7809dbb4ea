//! The web pages for readers.

use super::{
    articles::{Article, ListPage},
    compose,
    language::Language,
    texts::texts,
};

const STYLE: &str = include_str!("pages.css");

/// The page at `/`: where everything is.
pub(super) fn entrance() -> String {
    let languages: String = Language::ALL
        .into_iter()
        .map(|language| {
            format!(
                r#"<li><a href="/{tag}/" hreflang="{tag}" lang="{tag}">{name}</a>"#,
                tag = language.tag(),
                name = texts(language).name,
            )
        })
        .collect();
    let content = format!(
        r#"<h1>The Valbruck Courier</h1>
<p class="lead">A small multilingual CMS: the origin of the cms-edge demo.</p>
<h2>Read</h2><ul>{languages}</ul>
<h2>Fetch</h2><ul>
<li><a href="/api/articles">/api/articles</a>: the list, in the language of Accept-Language
<li><a href="/api/articles/1">/api/articles/1</a>: one article
</ul>
<h2>Publish</h2><ul>
<li><a href="/admin">/admin</a>: publish an article and watch the purge
<li><a href="/admin/requests">/admin/requests</a>: how many requests the CMS has answered
</ul>"#
    );
    document(Language::En, "The Valbruck Courier", "", &content)
}

/// The list of a language.
pub(super) fn list(list: &ListPage) -> String {
    let texts = texts(list.language);
    let tag = list.language.tag();
    let items: String = list
        .articles
        .iter()
        .map(|article| {
            format!(
                r#"<li><span class="section">{section}</span>
<a href="/{tag}/articles/{id}">{title}</a><p>{summary}</p>
"#,
                section = escaped(texts.sections[compose::section(article.id)]),
                id = article.id,
                title = escaped(&article.title),
                summary = escaped(article.summary),
            )
        })
        .collect();
    let heading = texts.all_articles;
    let content = format!(r#"<h1>{heading}</h1><ul class="articles">{items}</ul>"#);
    document(list.language, heading, "", &content)
}

/// One article.
pub(super) fn detail(article: &Article) -> String {
    let texts = texts(article.language);
    let paragraphs: String = article
        .body
        .split("\n\n")
        .map(|paragraph| format!("<p>{}</p>\n", escaped(paragraph)))
        .collect();
    let title = escaped(&article.title);
    let content = format!(
        r#"<p class="section">{section}</p><h1>{title}</h1>
<p class="lead">{summary}</p>
{paragraphs}<footer>{version_word} {version} · <a href="/{tag}/">{all}</a></footer>"#,
        section = escaped(texts.sections[compose::section(article.id)]),
        summary = escaped(article.summary),
        version_word = texts.version,
        version = article.version,
        tag = article.language.tag(),
        all = texts.all_articles,
    );
    let tail = format!("articles/{}", article.id);
    document(article.language, &title, &tail, &content)
}

/// A whole page; `title` is HTML already, `tail` follows the language in the addresses of the translations.
fn document(language: Language, title: &str, tail: &str, content: &str) -> String {
    let switch: String = Language::ALL
        .into_iter()
        .map(|other| {
            let tag = other.tag();
            let current = if other == language {
                r#" aria-current="true""#
            } else {
                ""
            };
            format!(r#"<a href="/{tag}/{tail}" hreflang="{tag}"{current}>{tag}</a> "#)
        })
        .collect();
    format!(
        r#"<!doctype html>
<html lang="{tag}">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="data:,">
<style>{STYLE}</style>
<header><a href="/{tag}/">The Valbruck Courier</a><nav>{switch}</nav></header>
<main>{content}</main>
</html>
"#,
        tag = language.tag(),
    )
}

/// Text as HTML text or attribute value.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::cms::articles::Articles;

    const SCRIPT: &str = "<script>alert('1')</script>";

    #[test]
    fn a_title_cannot_bring_markup() {
        let articles = Articles::new();
        let article = articles.publish(1, Language::De, SCRIPT.to_owned());
        let list = articles.list(Language::De, 1).unwrap();
        for page in [detail(&article), super::list(&list)] {
            assert!(!page.contains("<script"));
            assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)"));
        }
    }

    #[test]
    fn a_page_names_its_language_and_links_to_the_others() {
        let article = Articles::new().find(2, Language::PtBr).unwrap();
        let page = detail(&article);
        assert!(page.contains(r#"<html lang="pt-BR">"#));
        assert!(page.contains(r#"<a href="/fr/articles/2" hreflang="fr">"#));
        assert!(
            page.contains(r#"<a href="/pt-BR/articles/2" hreflang="pt-BR" aria-current="true">"#)
        );
    }
}
