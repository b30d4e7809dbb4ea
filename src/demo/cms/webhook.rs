//! Announces publications: a webhook signed as Standard Webhooks 1.0 has it, and the receipt that comes back.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::{
    Method, Request, StatusCode, Uri,
    header::{CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::{net::TcpStream, time::timeout};

/// From the connection to the last byte of the receipt.
const DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of a receipt.
const RECEIPT_BYTES_MAX: usize = 64 * 1024;
/// Characters of a refusal that are passed on.
const REFUSAL_CHARS_MAX: usize = 300;
/// Random bytes in a message id.
const ID_BYTES: usize = 16;
const SECRET_PREFIX: &str = "whsec_";
const HTTP_PORT: u16 = 80;

/// What the edge says about a purge; passed on as it is.
pub(super) type Receipt = Map<String, Value>;

/// Where and how publications are announced.
pub(super) struct Webhook {
    host: String,
    port: u16,
    authority: String,
    path: String,
    key: hmac::Key,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookError {
    #[error("The webhook URL {0:?} is not an absolute http:// URL.")]
    Url(String),
    #[error("The webhook secret is not whsec_ followed by base64.")]
    Secret,
}

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    #[error("The edge cannot be reached: {0}.")]
    Unreachable(std::io::Error),
    #[error("The edge did not answer the webhook within {} seconds.", DEADLINE.as_secs())]
    Late,
    #[error("The connection to the edge broke off: {0}.")]
    BrokeOff(#[from] hyper::Error),
    #[error("The edge refused the webhook with {status}: {reason}")]
    Refused { status: StatusCode, reason: String },
    #[error("The edge's receipt is longer than 64 KiB or broke off.")]
    Unreadable,
    #[error("The edge accepted the webhook, but its answer is not a receipt in JSON.")]
    NoReceipt,
    #[error("The webhook request cannot be built: {0}.")]
    Request(#[from] http::Error),
    #[error("The system gave no random bytes for a message id: {0}.")]
    Random(getrandom::Error),
}

impl Webhook {
    /// # Errors
    /// When `url` is not an absolute `http://` URL or `secret` is not `whsec_` and base64.
    pub(super) fn new(url: &str, secret: &str) -> Result<Self, WebhookError> {
        let malformed = || WebhookError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        if uri.scheme_str() != Some("http") {
            return Err(malformed());
        }
        let authority = uri.authority().ok_or_else(malformed)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let secret = secret
            .strip_prefix(SECRET_PREFIX)
            .ok_or(WebhookError::Secret)?;
        let secret = BASE64.decode(secret).map_err(|_| WebhookError::Secret)?;
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(HTTP_PORT),
            authority: authority.as_str().to_owned(),
            path: path.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
        })
    }

    /// The edge's scheme and authority, for links to it.
    pub(super) fn edge(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// Sends `payload` once and waits for the receipt; `now` is the time since the Unix epoch.
    ///
    /// # Errors
    /// When the edge cannot be reached, is late, refuses, or answers something that is not a receipt.
    pub(super) async fn deliver(
        &self,
        now: Duration,
        payload: String,
    ) -> Result<Receipt, DeliveryError> {
        let request = self.signed(&message_id()?, now.as_secs(), payload)?;
        timeout(DEADLINE, self.exchange(request))
            .await
            .map_err(|_| DeliveryError::Late)?
    }

    fn signed(
        &self,
        id: &str,
        timestamp: u64,
        payload: String,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let signature = self.signature(id, timestamp, &payload);
        Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(Full::new(Bytes::from(payload)))
    }

    /// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.payload`.
    fn signature(&self, id: &str, timestamp: u64, payload: &str) -> String {
        let signed = format!("{id}.{timestamp}.{payload}");
        let tag = hmac::sign(&self.key, signed.as_bytes());
        format!("v1,{}", BASE64.encode(tag))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Receipt, DeliveryError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(DeliveryError::Unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let exchange = async {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), RECEIPT_BYTES_MAX)
                .collect()
                .await
                .map_err(|_| DeliveryError::Unreadable)?;
            receipt(status, &body.to_bytes())
        };
        tokio::pin!(exchange, connection);
        // The connection is driven here and not in a task of its own: it ends with the exchange or its deadline.
        tokio::select! {
            biased;
            outcome = &mut exchange => outcome,
            _ = &mut connection => exchange.await,
        }
    }
}

fn receipt(status: StatusCode, body: &[u8]) -> Result<Receipt, DeliveryError> {
    if !status.is_success() {
        return Err(DeliveryError::Refused {
            status,
            reason: refusal(body),
        });
    }
    serde_json::from_slice(body).map_err(|_| DeliveryError::NoReceipt)
}

/// What a refusal says: the detail of a problem document (RFC 9457 section 3.1.4), else its text.
fn refusal(body: &[u8]) -> String {
    let problem: Option<Value> = serde_json::from_slice(body).ok();
    let detail = problem
        .as_ref()
        .and_then(|problem| problem.get("detail")?.as_str());
    let text = detail.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    let text = text.trim();
    if text.is_empty() {
        return "it gave no reason.".to_owned();
    }
    text.chars().take(REFUSAL_CHARS_MAX).collect()
}

fn message_id() -> Result<String, DeliveryError> {
    let mut bytes = [0; ID_BYTES];
    getrandom::fill(&mut bytes).map_err(DeliveryError::Random)?;
    Ok(format!("msg_{}", hex::encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_signature_is_that_of_the_specification() {
        let webhook = Webhook::new("http://127.0.0.1:8080/hook", SECRET).unwrap();
        let signature = webhook.signature(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_url_is_taken_apart() {
        let webhook = Webhook::new("http://[::1]:8080/_cms-edge/webhook/demo?x=1", SECRET).unwrap();
        assert_eq!((webhook.host.as_str(), webhook.port), ("::1", 8080));
        assert_eq!(webhook.path, "/_cms-edge/webhook/demo?x=1");
        assert_eq!(webhook.edge(), "http://[::1]:8080");
    }

    #[test]
    fn unusable_settings_are_refused() {
        for url in ["", "/hook", "https://127.0.0.1/hook", "127.0.0.1:8080"] {
            assert!(
                matches!(Webhook::new(url, SECRET), Err(WebhookError::Url(_))),
                "{url}"
            );
        }
        for secret in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_?"] {
            assert!(matches!(
                Webhook::new("http://a/", secret),
                Err(WebhookError::Secret)
            ));
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_its_problem_document() {
        assert_eq!(
            refusal(br#"{"title":"no","detail":"The signature is wrong."}"#),
            "The signature is wrong."
        );
        assert_eq!(refusal(b" plain \n"), "plain");
        assert_eq!(refusal(b""), "it gave no reason.");
        assert_eq!(
            refusal("é".repeat(1000).as_bytes()).chars().count(),
            REFUSAL_CHARS_MAX
        );
    }

    #[test]
    fn message_ids_differ() {
        assert_ne!(message_id().unwrap(), message_id().unwrap());
    }
}
