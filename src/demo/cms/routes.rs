//! Which request gets which answer.

use std::time::Duration;

use http::{Method, Request, StatusCode, Uri, header::ACCEPT_LANGUAGE};
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::sleep;

use super::{
    Cms, admin, admin_page,
    answer::{self, Answer},
    language::Language,
    pages,
    texts::texts,
};

/// The longest delay a request may ask for, in milliseconds.
const DELAY_MS_MAX: u64 = 5000;

/// Answers one request and counts it. `HEAD` is answered as `GET`: the HTTP layer leaves the body out.
pub(super) async fn answer(cms: &Cms, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).take(4).collect();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let writes = *request.method() == Method::POST;
    let answer = match segments.as_slice() {
        [""] if reads => answer::html(Language::En, pages::entrance()),
        ["api", "articles"] if reads => list(cms, &request),
        ["api", "articles", id] if reads => detail(cms, &request, id).await,
        ["admin"] if reads => answer::html(Language::En, admin_page::render(cms)),
        ["admin", "requests"] if reads => answer::json(StatusCode::OK, &cms.tally.to_json()),
        ["admin", "publish"] if writes => admin::publish(cms, request).await,
        [tag, ""] if reads => page(tag, |language| {
            cms.articles.list(language, 1).as_ref().map(pages::list)
        }),
        [tag, "articles", id] if reads => page(tag, |language| {
            let article = cms.articles.find(article_id(id)?, language)?;
            Some(pages::detail(&article))
        }),
        _ => nothing_here(),
    };
    if segments.first() != Some(&"admin") {
        cms.tally.add(&path);
    }
    answer
}

/// `GET /api/articles?page=1`; other parameters change nothing.
fn list(cms: &Cms, request: &Request<Incoming>) -> Answer {
    let language = accepted(request);
    let Ok(page) = parameter(request.uri(), "page")
        .unwrap_or("1")
        .parse::<usize>()
    else {
        return api_error(
            StatusCode::BAD_REQUEST,
            language,
            "The parameter page takes a whole number from 1.",
        );
    };
    match cms.articles.list(language, page) {
        Some(list) => answer::api(StatusCode::OK, language, list.to_json()),
        None => api_error(
            StatusCode::NOT_FOUND,
            language,
            "The list has no such page.",
        ),
    }
}

/// `GET /api/articles/{id}?delay_ms=200`; the delay shows what happens to requests that come meanwhile.
async fn detail(cms: &Cms, request: &Request<Incoming>, id: &str) -> Answer {
    let language = accepted(request);
    let delay = parameter(request.uri(), "delay_ms").unwrap_or("0").parse();
    let Some(delay_ms) = delay.ok().filter(|delay_ms| *delay_ms <= DELAY_MS_MAX) else {
        return api_error(
            StatusCode::BAD_REQUEST,
            language,
            "The parameter delay_ms takes a whole number from 0 to 5000.",
        );
    };
    if delay_ms > 0 {
        sleep(Duration::from_millis(delay_ms)).await;
    }
    match article_id(id).and_then(|id| cms.articles.find(id, language)) {
        Some(article) => answer::api(StatusCode::OK, language, article.to_json()),
        None => api_error(
            StatusCode::NOT_FOUND,
            language,
            &texts(language).no_article.replace("{id}", id),
        ),
    }
}

/// A web page in the language its path names.
fn page(tag: &str, render: impl FnOnce(Language) -> Option<String>) -> Answer {
    // The tag's usual spelling alone, so that a page has one address.
    let language = Language::from_tag(tag).filter(|language| language.tag() == tag);
    language
        .and_then(|language| Some(answer::html(language, render(language)?)))
        .unwrap_or_else(nothing_here)
}

fn nothing_here() -> Answer {
    answer::error(StatusCode::NOT_FOUND, "There is nothing at this address.")
}

fn api_error(status: StatusCode, language: Language, sentence: &str) -> Answer {
    answer::api(status, language, json!({ "error": sentence }).to_string())
}

/// The language of an API request. Several field lines are one list (RFC 9110 section 5.3).
fn accepted(request: &Request<Incoming>) -> Language {
    let lines: Vec<&str> = request
        .headers()
        .get_all(ACCEPT_LANGUAGE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    Language::accepted(&lines.join(","))
}

/// An id in its one spelling: `7`, neither `07` nor `+7`.
fn article_id(text: &str) -> Option<u16> {
    let id: u16 = text.parse().ok()?;
    (id.to_string() == text).then_some(id)
}

fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    uri.query()?
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        assert_eq!(article_id("7"), Some(7));
        for other in ["07", "+7", "-7", "", "7 ", "70000", "%37"] {
            assert_eq!(article_id(other), None, "{other}");
        }
    }

    #[test]
    fn a_parameter_is_found_by_its_whole_name() {
        let uri: Uri = "/api/articles?xpage=3&page2=4&page=5&page=6"
            .parse()
            .unwrap();
        assert_eq!(parameter(&uri, "page"), Some("5"));
        assert_eq!(parameter(&uri, "language"), None);
    }
}
