//! The CMS over real sockets: what its answers carry, and publishing against an edge that records.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{CmsHandle, CmsSettings, start};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(20);
const NOW: Duration = Duration::from_secs(1_700_000_000);

/// A message as it was read from a socket.
struct Message {
    head: String,
    body: String,
}

impl Message {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn cms(edge_port: u16) -> CmsHandle {
    start(CmsSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        webhook_url: format!("http://127.0.0.1:{edge_port}/_cms-edge/webhook/demo"),
        webhook_secret: SECRET.to_owned(),
        now: Arc::new(|| NOW),
    })
    .await
    .unwrap()
}

/// A port nobody listens on: it was free a moment ago.
async fn dead_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Sends one request and reads the answer to the end of the connection.
async fn send(cms: &CmsHandle, line: &str, fields: &str, body: &str) -> Message {
    let mut stream = TcpStream::connect(cms.address()).await.unwrap();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: cms\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Message {
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

async fn get(cms: &CmsHandle, target: &str, accept_language: &str) -> Message {
    let fields = format!("Accept-Language: {accept_language}\r\n");
    send(cms, &format!("GET {target}"), &fields, "").await
}

async fn publish(cms: &CmsHandle, body: &str) -> Message {
    send(cms, "POST /admin/publish", "", body).await
}

/// An edge that takes one webhook, answers it and hands it over.
async fn edge(status: &str, answer: &str) -> (u16, oneshot::Receiver<Message>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = oneshot::channel();
    let length = answer.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{answer}");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        let message = loop {
            let mut piece = [0; 4096];
            let length = stream.read(&mut piece).await.unwrap();
            text.push_str(str::from_utf8(&piece[..length]).unwrap());
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let message = Message {
                head: head.to_owned(),
                body: body.to_owned(),
            };
            if message.field("content-length").unwrap() == body.len().to_string() {
                break message;
            }
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = sender.send(message);
    });
    (port, receiver)
}

const RECEIPT: &str = r#"{"id":"p1","state":"complete","scopes":["tag:a:1:de"]}"#;
const REFUSAL: &str = r#"{"title":"Unauthorized","detail":"The signature is wrong."}"#;

#[tokio::test]
async fn a_publication_changes_the_article_and_hands_on_the_receipt() {
    let (port, webhook) = edge("200 OK", RECEIPT).await;
    let cms = cms(port).await;
    let answer = publish(&cms, r#"{"id":1,"language":"de","title":"Ganz <neu>"}"#).await;
    assert_eq!(answer.status(), 200, "{}", answer.body);
    let expected = json!({
        "id": "p1",
        "state": "complete",
        "article": { "id": 1, "language": "de", "title": "Ganz <neu>", "version": 2 },
        "purge": { "id": "p1", "state": "complete", "scopes": ["tag:a:1:de"] },
    });
    assert_eq!(answer.json(), expected);

    let german = get(&cms, "/api/articles/1", "de").await.json();
    assert_eq!(
        (&german["title"], &german["version"]),
        (&json!("Ganz <neu>"), &json!(2))
    );
    let list = get(&cms, "/api/articles", "de").await.json();
    assert_eq!(list["items"][0]["title"], "Ganz <neu>");
    assert_eq!(
        get(&cms, "/api/articles/1", "en").await.json()["version"],
        1
    );

    let webhook = timeout(PATIENCE, webhook).await.unwrap().unwrap();
    assert!(
        webhook
            .head
            .starts_with("POST /_cms-edge/webhook/demo HTTP/1.1\r\n")
    );
    assert!(webhook.field("webhook-id").unwrap().starts_with("msg_"));
    assert_eq!(webhook.field("webhook-timestamp"), Some("1700000000"));
    assert_eq!(
        webhook.field("webhook-signature"),
        Some(signature(&webhook).as_str())
    );
    assert_eq!(
        webhook.json()["data"],
        json!({ "id": 1, "language": "de", "version": 2 })
    );
    assert_eq!(webhook.json()["type"], "article.published");
}

#[tokio::test]
async fn an_article_stays_published_when_the_edge_is_down() {
    let cms = cms(dead_port().await).await;
    let answer = publish(&cms, "id=41&language=fr&title=Bonjour").await;
    assert_eq!(answer.status(), 502);
    let answer = answer.json();
    assert_eq!(answer["purge"], Value::Null);
    assert_eq!(answer["article"]["version"], 1);
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .starts_with("The edge cannot be reached")
    );
    assert_eq!(
        get(&cms, "/api/articles/41", "fr").await.json()["title"],
        "Bonjour"
    );
    assert_eq!(get(&cms, "/api/articles/41", "de").await.status(), 404);
}

#[tokio::test]
async fn a_refusal_of_the_edge_is_told() {
    let (port, _webhook) = edge("401 Unauthorized", REFUSAL).await;
    let cms = cms(port).await;
    let answer = publish(&cms, "id=1&language=fr&title=Bonjour").await;
    assert_eq!(answer.status(), 502);
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert_eq!(
        error,
        "The edge refused the webhook with 401 Unauthorized: The signature is wrong."
    );
}

#[tokio::test]
async fn an_answer_that_is_no_receipt_is_an_error() {
    let (port, _webhook) = edge("200 OK", "ok").await;
    let cms = cms(port).await;
    let answer = publish(&cms, "id=1&language=fr&title=Bonjour").await;
    assert_eq!(answer.status(), 502);
    assert!(
        answer.json()["error"]
            .as_str()
            .unwrap()
            .contains("not a receipt")
    );
}

#[tokio::test]
async fn bad_publications_change_nothing() {
    let cms = cms(dead_port().await).await;
    for (body, status) in [
        ("nonsense", 400),
        (r#"{"id":5000,"language":"de","title":"x"}"#, 404),
        (r#"{"id":1,"language":"it","title":"x"}"#, 422),
        (
            &format!("id=1&language=de&title={}", "x".repeat(65 * 1024)),
            413,
        ),
    ] {
        let answer = publish(&cms, body).await;
        assert_eq!(answer.status(), status);
        assert!(answer.json()["error"].as_str().unwrap().ends_with('.'));
    }
    assert_eq!(
        get(&cms, "/api/articles/1", "de").await.json()["version"],
        1
    );
}

#[tokio::test]
async fn answers_say_what_they_are_and_nothing_to_caches() {
    let cms = cms(dead_port().await).await;
    for (target, media_type, language, vary) in [
        (
            "/api/articles",
            "application/json; charset=utf-8",
            "pt-BR",
            Some("Accept-Language"),
        ),
        (
            "/api/articles/40",
            "application/json; charset=utf-8",
            "pt-BR",
            Some("Accept-Language"),
        ),
        (
            "/api/articles/999",
            "application/json; charset=utf-8",
            "pt-BR",
            Some("Accept-Language"),
        ),
        ("/fr/", "text/html; charset=utf-8", "fr", None),
        ("/fr/articles/3", "text/html; charset=utf-8", "fr", None),
        ("/", "text/html; charset=utf-8", "en", None),
        (
            "/admin/requests",
            "application/json; charset=utf-8",
            "en",
            None,
        ),
        ("/nothing", "application/json; charset=utf-8", "en", None),
        ("/admin", "text/html; charset=utf-8", "en", None),
    ] {
        let answer = get(&cms, target, "pt-PT, fr;q=0.5").await;
        assert_eq!(answer.field("content-type"), Some(media_type), "{target}");
        assert_eq!(answer.field("content-language"), Some(language), "{target}");
        assert_eq!(answer.field("vary"), vary, "{target}");
        assert_eq!(
            answer.field("content-length"),
            Some(answer.body.len().to_string().as_str())
        );
        for silent in [
            "cache-control",
            "etag",
            "expires",
            "last-modified",
            "surrogate-key",
        ] {
            assert_eq!(answer.field(silent), None, "{target}");
        }
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let cms = cms(dead_port().await).await;
    for target in [
        "/api/articles",
        "/api/articles/9",
        "/de/articles/9",
        "/admin/requests",
        "/nothing",
    ] {
        let whole = get(&cms, target, "de").await;
        let head = send(
            &cms,
            &format!("HEAD {target}"),
            "Accept-Language: de\r\n",
            "",
        )
        .await;
        assert_eq!(head.status(), whole.status(), "{target}");
        assert_eq!(head.field("content-type"), whole.field("content-type"));
        if target != "/admin/requests" {
            assert_eq!(
                head.field("content-length"),
                whole.field("content-length"),
                "{target}"
            );
        }
        assert_eq!(head.body, "");
    }
}

#[tokio::test]
async fn requests_are_counted_by_path_and_the_admin_pages_are_not() {
    let cms = cms(dead_port().await).await;
    for target in [
        "/api/articles/1",
        "/api/articles/1?x=1",
        "/api/articles",
        "/admin",
        "/nothing",
    ] {
        get(&cms, target, "en").await;
    }
    let counted = get(&cms, "/admin/requests", "en").await.json();
    let expected = json!({
        "total": 4,
        "paths": { "/api/articles/1": 2, "/api/articles": 1, "/nothing": 1 },
    });
    assert_eq!(counted, expected);
}

#[tokio::test]
async fn unknown_addresses_and_parameters_are_refused_in_json() {
    let cms = cms(dead_port().await).await;
    for (target, status) in [
        ("/nothing", 404),
        ("/pt-br/", 404),
        ("/de/articles/999", 404),
        ("/api/articles/01", 404),
        ("/api/articles/1/", 404),
        ("/admin/publish", 404),
        ("/api/articles?page=2", 404),
        ("/api/articles?page=x", 400),
        ("/api/articles/1?delay_ms=5001", 400),
    ] {
        let answer = get(&cms, target, "en").await;
        assert_eq!(answer.status(), status, "{target}");
        assert!(answer.json()["error"].is_string(), "{target}");
    }
    assert_eq!(
        send(&cms, "POST /api/articles/1", "", "").await.status(),
        404
    );
}

#[tokio::test]
async fn a_delayed_answer_comes_late() {
    let cms = cms(dead_port().await).await;
    let start = Instant::now();
    let answer = get(&cms, "/api/articles/1?delay_ms=150", "en").await;
    assert_eq!(answer.status(), 200);
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn stopping_ends_open_connections_after_their_answers_and_frees_the_port() {
    let cms = cms(dead_port().await).await;
    let address = cms.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /api/articles/1 HTTP/1.1\r\nHost: cms\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 16];
    stream.read_exact(&mut first).await.unwrap();
    timeout(PATIENCE, cms.stop()).await.unwrap();
    let mut rest = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(rest.ends_with('}'), "the whole answer arrived");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn unusable_settings_are_refused_at_the_start() {
    let settings = CmsSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        webhook_url: "https://127.0.0.1/hook".to_owned(),
        webhook_secret: SECRET.to_owned(),
        now: Arc::new(|| NOW),
    };
    let error = start(settings).await.err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

/// The signature a receiver computes from what it got.
fn signature(webhook: &Message) -> String {
    use aws_lc_rs::hmac;
    use base64::{Engine, engine::general_purpose::STANDARD};

    let secret = STANDARD
        .decode(SECRET.strip_prefix("whsec_").unwrap())
        .unwrap();
    let id = webhook.field("webhook-id").unwrap();
    let timestamp = webhook.field("webhook-timestamp").unwrap();
    let signed = format!("{id}.{timestamp}.{}", webhook.body);
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, &secret),
        signed.as_bytes(),
    );
    format!("v1,{}", STANDARD.encode(tag))
}
