//! A connection to an instance, which is opened when it is needed and again when it has gone.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fleet::ADMIN_TOKEN;

type Failure = Box<dyn Error + Send + Sync>;

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) content: Bytes,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Line(Option<(SocketAddr, SendRequest<Full<Bytes>>)>);

impl Answer {
    pub(crate) fn is_hit(&self) -> bool {
        self.cache_status().starts_with("cms-edge; hit")
    }

    pub(crate) fn cache_status(&self) -> &str {
        let field = self.fields.get("cache-status");
        field.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

impl Line {
    /// The answer, all of it, within so long; nothing of a connection that fails is used again.
    pub(crate) async fn ask(
        &mut self,
        to: SocketAddr,
        request: Request<Full<Bytes>>,
        most: Duration,
    ) -> Result<Answer, Failure> {
        let kept = self.0.take().filter(|(address, _)| *address == to);
        let exchange = async {
            let mut sender = match kept {
                Some((_, sender)) if !sender.is_closed() => sender,
                _ => connect(to).await?,
            };
            let (head, body) = sender.send_request(request).await?.into_parts();
            let content = body.collect().await?.to_bytes();
            let answer = Answer {
                status: head.status,
                fields: head.headers,
                content,
            };
            Ok::<_, Failure>((answer, sender))
        };
        let (answer, sender) = timeout(most, exchange).await.map_err(|_| "no answer")??;
        self.0 = Some((to, sender));
        Ok(answer)
    }

    /// A request to the admin listener; status and JSON.
    pub(crate) async fn admin(
        &mut self,
        to: SocketAddr,
        request: http::request::Builder,
        content: &str,
        most: Duration,
    ) -> Result<(StatusCode, Value), Failure> {
        let request = request
            .header(HOST, "admin")
            .header(AUTHORIZATION, format!("Bearer {ADMIN_TOKEN}"))
            .body(Full::new(Bytes::copy_from_slice(content.as_bytes())))?;
        let answer = self.ask(to, request, most).await?;
        let value = serde_json::from_slice(&answer.content).unwrap_or(Value::Null);
        Ok((answer.status, value))
    }
}

async fn connect(to: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(sender)
}
