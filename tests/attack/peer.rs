//! A client of HTTP/2 that sends what it is told to and notes what becomes of it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::hpack::{
    ACK, CONTINUATION, DATA, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, frame, preface,
    status,
};
use crate::support::origin::PATIENCE;

/// One connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// What comes from the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    Head {
        stream: u32,
        status: Option<u16>,
        is_last: bool,
    },
    Data {
        stream: u32,
        content: Vec<u8>,
        is_last: bool,
    },
    Reset {
        stream: u32,
        code: u32,
    },
    Farewell {
        code: u32,
    },
    Other,
}

/// What a request came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Answered(u16, String),
    Reset(u32),
    Farewell(u32),
    Closed,
}

impl Peer {
    pub(crate) async fn connect(target: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        Self::begin(stream, &[]).await
    }

    pub(crate) async fn begin(mut stream: TcpStream, settings: &[(u16, u32)]) -> io::Result<Self> {
        stream.write_all(&preface(settings)).await?;
        let buffer = Vec::new();
        Ok(Self { stream, buffer })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// What comes next; nothing when the server has closed.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        while self.buffer.len() < 9 || self.buffer.len() < 9 + self.length() {
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(count) if count > 0 => {}
                _ => return None,
            }
        }
        let rest = self.buffer.split_off(9 + self.length());
        let whole = std::mem::replace(&mut self.buffer, rest);
        let (kind, flags, payload) = (whole[3], whole[4], &whole[9..]);
        let word = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().unwrap());
        let stream = word(&whole[5..]) & (u32::MAX >> 1);
        let is_last = flags & END_STREAM != 0;
        Some(match kind {
            SETTINGS if flags & ACK == 0 => {
                // A server that has gone needs none.
                let _gone = self.send(&frame(SETTINGS, ACK, 0, &[])).await;
                Event::Other
            }
            HEADERS | CONTINUATION => Event::Head {
                stream,
                status: status(payload),
                is_last,
            },
            DATA => Event::Data {
                stream,
                content: payload.to_vec(),
                is_last,
            },
            RST_STREAM => Event::Reset {
                stream,
                code: word(payload),
            },
            GOAWAY => Event::Farewell {
                code: word(&payload[4..]),
            },
            _ => Event::Other,
        })
    }

    /// What the first request of the connection, on stream 1, comes to.
    pub(crate) async fn outcome(&mut self) -> Outcome {
        let outcome = async {
            let (mut known, mut text) = (None, Vec::new());
            while let Some(event) = self.next().await {
                let is_over = match event {
                    Event::Head {
                        stream: 1,
                        status,
                        is_last,
                    } => {
                        known = status;
                        is_last
                    }
                    Event::Data {
                        stream: 1,
                        content,
                        is_last,
                    } => {
                        text.extend(content);
                        is_last
                    }
                    Event::Reset { stream: 1, code } => match known {
                        // An answer that was given before the request had ended.
                        Some(_) if code == 0 => true,
                        _ => return Outcome::Reset(code),
                    },
                    Event::Farewell { code } if code != 0 => return Outcome::Farewell(code),
                    _ => false,
                };
                if let (true, Some(status)) = (is_over, known) {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Outcome::Answered(status, text);
                }
            }
            Outcome::Closed
        };
        timeout(PATIENCE, outcome).await.expect("an answer")
    }

    /// Reads what is there without waiting long for more.
    pub(crate) async fn sip(&mut self) {
        let _quiet = timeout(Duration::from_millis(1), async {
            while self.next().await.is_some() {}
        })
        .await;
    }

    fn length(&self) -> usize {
        let byte = |at: usize| usize::from(self.buffer[at]);
        byte(0) << 16 | byte(1) << 8 | byte(2)
    }
}
