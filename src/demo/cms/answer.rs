//! The CMS's answers. Like those of most CMSs they say nothing to caches: no `Cache-Control`, no `ETag`, no tags.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, VARY},
};
use http_body_util::Full;
use serde_json::{Value, json};

use super::language::Language;

/// A whole answer.
pub(super) type Answer = Response<Full<Bytes>>;

/// JSON of the public API, in a language chosen by `Accept-Language`.
pub(super) fn api(status: StatusCode, language: Language, json: String) -> Answer {
    let mut answer = whole(status, "application/json; charset=utf-8", json);
    in_language(&mut answer, language);
    set(&mut answer, VARY, "Accept-Language");
    answer
}

/// JSON of everything else, in English.
pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    let mut answer = whole(status, "application/json; charset=utf-8", value.to_string());
    in_language(&mut answer, Language::En);
    answer
}

/// A web page.
pub(super) fn html(language: Language, page: String) -> Answer {
    let mut answer = whole(StatusCode::OK, "text/html; charset=utf-8", page);
    in_language(&mut answer, language);
    answer
}

/// `{"error": "one sentence"}`
pub(super) fn error(status: StatusCode, sentence: &str) -> Answer {
    json(status, &json!({ "error": sentence }))
}

fn whole(status: StatusCode, media_type: &'static str, text: String) -> Answer {
    let length = HeaderValue::from(text.len());
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    set(&mut answer, CONTENT_TYPE, media_type);
    answer.headers_mut().insert(CONTENT_LENGTH, length);
    answer
}

fn in_language(answer: &mut Answer, language: Language) {
    set(answer, CONTENT_LANGUAGE, language.tag());
}

fn set(answer: &mut Answer, name: HeaderName, value: &'static str) {
    answer
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}
