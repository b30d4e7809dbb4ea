//! `POST /admin/publish`: changes an article, then announces it to the edge and passes on the purge's receipt.

use std::time::{Duration, SystemTime};

use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    Cms,
    answer::{self, Answer},
    articles::{Article, IDS},
    language::Language,
};

/// Bytes of a publish request's body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long the body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of a title.
const TITLE_CHARS_MAX: usize = 300;

/// What is to be published.
#[derive(Debug, PartialEq)]
struct Publication {
    id: u16,
    language: Language,
    title: String,
}

/// Why a publish request changes nothing.
#[derive(Debug, thiserror::Error, PartialEq)]
enum PublishError {
    #[error("The request body did not arrive within {} seconds.", BODY_TIMEOUT.as_secs())]
    Late,
    #[error("The request body is longer than 64 KiB.")]
    TooLong,
    #[error("The request body broke off.")]
    BrokeOff,
    #[error("The request body is neither a JSON object nor a form with id, language and title.")]
    Malformed,
    #[error("The id has to be a whole number.")]
    Id,
    #[error("There is no article {0}: ids run from {start} to {end}.", start = IDS.start(), end = IDS.end())]
    NoArticle(u64),
    #[error("The language has to be one of en, de, fr and pt-BR.")]
    Language,
    #[error("The title has to be 1 to 300 characters of text without control characters.")]
    Title,
}

/// Publishes. The article stays published when the edge cannot be told: that is a 502 without a receipt.
pub(super) async fn publish(cms: &Cms, request: Request<Incoming>) -> Answer {
    let publication = match read(request.into_body())
        .await
        .and_then(|body| parse(&body))
    {
        Ok(publication) => publication,
        Err(error) => return answer::error(error.status(), &error.to_string()),
    };
    let Publication {
        id,
        language,
        title,
    } = publication;
    let article = cms.articles.publish(id, language, title);
    let shown = json!({
        "id": article.id,
        "language": article.language.tag(),
        "title": article.title,
        "version": article.version,
    });
    let now = (cms.now)();
    match cms.webhook.deliver(now, payload(&article, now)).await {
        Ok(receipt) => {
            let (id, state) = (receipt["id"].clone(), receipt["state"].clone());
            let value = json!({ "id": id, "state": state, "article": shown, "purge": receipt });
            answer::json(StatusCode::OK, &value)
        }
        Err(error) => answer::json(
            StatusCode::BAD_GATEWAY,
            &json!({ "article": shown, "error": error.to_string(), "purge": null }),
        ),
    }
}

impl PublishError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BrokeOff | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::NoArticle(_) => StatusCode::NOT_FOUND,
            Self::Id | Self::Language | Self::Title => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

async fn read(body: Incoming) -> Result<Vec<u8>, PublishError> {
    let whole = Limited::new(body, BODY_BYTES_MAX).collect();
    match timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(PublishError::TooLong),
        Ok(Err(_)) => Err(PublishError::BrokeOff),
        Err(_) => Err(PublishError::Late),
    }
}

/// Tells JSON from a form by its first character, because `curl -d` calls everything a form.
fn parse(body: &[u8]) -> Result<Publication, PublishError> {
    let text = str::from_utf8(body).map_err(|_| PublishError::Malformed)?;
    let fields = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|_| PublishError::Malformed)?
    } else {
        form(text)
    };
    let field = |name| fields.get(name).ok_or(PublishError::Malformed);
    let id = field("id")?.as_u64().ok_or(PublishError::Id)?;
    let language = field("language")?.as_str().and_then(Language::from_tag);
    let title = field("title")?.as_str().ok_or(PublishError::Title)?.trim();
    Ok(Publication {
        id: known_id(id)?,
        language: language.ok_or(PublishError::Language)?,
        title: readable(title).ok_or(PublishError::Title)?.to_owned(),
    })
}

/// `id=1&language=de&title=Ein+Titel` as the JSON object it stands for.
fn form(text: &str) -> Value {
    let decode = |piece: &str| {
        percent_decode_str(&piece.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decode(name), decode(value)))
        .map(|(name, value)| match value.parse::<u64>() {
            Ok(id) if name == "id" => (name, Value::from(id)),
            _ => (name, Value::from(value)),
        })
        .collect()
}

fn known_id(id: u64) -> Result<u16, PublishError> {
    u16::try_from(id)
        .ok()
        .filter(|id| IDS.contains(id))
        .ok_or(PublishError::NoArticle(id))
}

fn readable(title: &str) -> Option<&str> {
    let fits = (1..=TITLE_CHARS_MAX).contains(&title.chars().count());
    (fits && !title.chars().any(char::is_control)).then_some(title)
}

/// The webhook's body; `now` is the time since the Unix epoch.
fn payload(article: &Article, now: Duration) -> String {
    let timestamp = SystemTime::UNIX_EPOCH + now;
    json!({
        "type": "article.published",
        "timestamp": humantime::format_rfc3339_seconds(timestamp).to_string(),
        "data": {
            "id": article.id,
            "language": article.language.tag(),
            "version": article.version,
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::cms::articles::Articles;

    fn publication(title: &str) -> Publication {
        Publication {
            id: 1,
            language: Language::De,
            title: title.to_owned(),
        }
    }

    #[test]
    fn json_and_forms_say_the_same() {
        let json = r#" {"id": 1, "language": "de", "title": " Müller & Söhne + 1 "}"#;
        assert_eq!(
            parse(json.as_bytes()),
            Ok(publication("Müller & Söhne + 1"))
        );
        let form = "id=1&language=de&title=M%C3%BCller+%26+S%C3%B6hne+%2B+1";
        assert_eq!(
            parse(form.as_bytes()),
            Ok(publication("Müller & Söhne + 1"))
        );
    }

    #[test]
    fn a_title_made_of_digits_is_a_title() {
        assert_eq!(
            parse(b"title=2026&language=de&id=1"),
            Ok(publication("2026"))
        );
    }

    #[test]
    fn each_mistake_has_its_own_answer() {
        let long = format!(
            r#"{{"id":1,"language":"de","title":"{}"}}"#,
            "x".repeat(301)
        );
        for (body, expected) in [
            ("", PublishError::Malformed),
            ("{", PublishError::Malformed),
            ("{}", PublishError::Malformed),
            ("[1]", PublishError::Malformed),
            ("id=1&language=de", PublishError::Malformed),
            (
                r#"{"id":"1","language":"de","title":"x"}"#,
                PublishError::Id,
            ),
            (r#"{"id":-1,"language":"de","title":"x"}"#, PublishError::Id),
            (
                r#"{"id":0,"language":"de","title":"x"}"#,
                PublishError::NoArticle(0),
            ),
            (
                r#"{"id":65537,"language":"de","title":"x"}"#,
                PublishError::NoArticle(65_537),
            ),
            ("id=1001&language=de&title=x", PublishError::NoArticle(1001)),
            ("id=1&language=it&title=x", PublishError::Language),
            (
                r#"{"id":1,"language":null,"title":"x"}"#,
                PublishError::Language,
            ),
            ("id=1&language=de&title=+", PublishError::Title),
            ("id=1&language=de&title=a%0Ab", PublishError::Title),
            (long.as_str(), PublishError::Title),
        ] {
            assert_eq!(parse(body.as_bytes()), Err(expected), "{body}");
        }
    }

    #[test]
    fn the_payload_names_article_language_version_and_time() {
        let articles = Articles::new();
        let article = articles.publish(3, Language::PtBr, "Título".to_owned());
        let payload: Value =
            serde_json::from_str(&payload(&article, Duration::from_millis(1_700_000_000_900)))
                .unwrap();
        let expected = json!({
            "type": "article.published",
            "timestamp": "2023-11-14T22:13:20Z",
            "data": { "id": 3, "language": "pt-BR", "version": 2 },
        });
        assert_eq!(payload, expected);
    }
}
