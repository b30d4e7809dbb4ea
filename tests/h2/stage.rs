//! A server, and what becomes of a connection on which a case's frames are sent.

use std::net::SocketAddr;
use std::sync::Arc;

use cms_edge::body::Body;
use cms_edge::connection::Connection;
use cms_edge::server::clients::Clients;
use cms_edge::server::{Handler, HttpMode, Limits, Settings, bind};
use cms_edge::telemetry::server::ServerMetrics;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::net::TcpStream;

use crate::frames::*;

/// Streams that the server lets a client have open at once.
pub(crate) const STREAMS_MAX: u32 = 8;

/// What is otherwise than the case expects, and why it stays.
const KNOWN: &[(&str, &str)] = &[
    (
        "§3.4 the preface and no SETTINGS",
        "h2 takes the settings for what they are by default; nothing depends on them",
    ),
    (
        "§8.1 a pseudo-header field in trailers",
        "h2 drops it: it reaches nobody, and the other trailers are what they were",
    ),
];

/// Where h2 ends the connection, as it should or may, but says PROTOCOL_ERROR for whatever it finds
/// while it takes a frame apart, and not the code that tells more. Nobody acts on the difference.
const LESS_SPECIFIC: &[&str] = &[
    "§4.3 a block that cannot be decoded",
    "§5.1 DATA on a half-closed stream",
    "§5.1 HEADERS on a half-closed stream",
    "§6.3 PRIORITY of 4 bytes",
    "§6.4 RST_STREAM of 3 bytes",
    "§6.5 SETTINGS with ACK and content",
    "§6.5 SETTINGS of 5 bytes",
    "§6.5.2 SETTINGS_INITIAL_WINDOW_SIZE of 2^31",
    "§6.7 PING of 6 bytes",
    "§6.8 GOAWAY of 7 bytes",
    "§6.9 WINDOW_UPDATE of 3 bytes",
    "§8.1 trailers and then content",
    "RFC 7541 §2.3.3 an index beyond both tables",
    "RFC 7541 §2.3.3 a literal whose name is beyond both tables",
    "RFC 7541 §4.2 a change of size behind a field",
    "RFC 7541 §4.3 a field that a smaller table has lost",
    "RFC 7541 §5.1 an integer without an end",
    "RFC 7541 §5.2 EOS in Huffman code",
    "RFC 7541 §5.2 a string that is longer than the block",
    "RFC 7541 §5.2 padding longer than 7 bits",
    "RFC 7541 §5.2 padding of zeros",
    "RFC 7541 §6.1 index 0",
    "RFC 7541 §6.3 a table larger than was allowed",
];

/// What has to come of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    /// The connection ends, with one of these codes (§5.4.1).
    Connection(&'static [u32]),
    /// The stream or the connection ends, with one of these codes (§5.4.2: "An endpoint MAY choose
    /// to treat a stream error as a connection error").
    Stream(&'static [u32]),
    /// §8.1.1: a stream error PROTOCOL_ERROR, or a response with 400 before the stream is closed.
    Malformed,
    /// The stream is answered with 200.
    Answer(u32),
    /// The connection goes on.
    Ignored,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    GoAway(u32),
    Reset(u32),
    Answered(u32),
    Refused,
    OtherStatus,
    Ended,
    GoesOn,
}

pub(crate) struct Case {
    name: &'static str,
    before: Vec<u8>,
    waits: bool,
    bytes: Vec<u8>,
    expected: Expected,
    is_followed: bool,
}

/// A case that sends `parts` after the preface. Its name begins with its section.
pub(crate) fn case(name: &'static str, parts: &[Vec<u8>], expected: Expected) -> Case {
    Case {
        name,
        before: [PREFACE, &settings(&[])].concat(),
        waits: false,
        bytes: parts.concat(),
        expected,
        is_followed: true,
    }
}

impl Case {
    /// First sends `bytes` and waits for the end of what stream 1 is answered.
    pub(crate) fn after(mut self, bytes: &[u8]) -> Self {
        self.before.extend(bytes);
        self.waits = true;
        self
    }

    /// Sends nothing else than what it says, not even the preface.
    pub(crate) fn alone(mut self) -> Self {
        self.before.clear();
        self.is_followed = false;
        self
    }

    /// Nothing can follow: the case ends within a header block.
    pub(crate) fn open(mut self) -> Self {
        self.is_followed = false;
        self
    }
}

/// Runs each case on a connection of its own, and tells all that went otherwise.
pub(crate) async fn run(cases: Vec<Case>) {
    let server = start().await;
    let mut wrong = Vec::new();
    for case in cases {
        let outcome = outcome(server, &case).await;
        let is_right = case.expected.accepts(outcome);
        let is_known = match outcome {
            Outcome::GoAway(PROTOCOL_ERROR) => LESS_SPECIFIC.contains(&case.name),
            _ => KNOWN.iter().any(|(name, _)| *name == case.name),
        };
        match (is_right, is_known) {
            (true, false) | (false, true) => {}
            (true, true) => wrong.push(format!("{}: is right now", case.name)),
            (false, false) => {
                wrong.push(format!(
                    "{}: {outcome:?}, not {:?}",
                    case.name, case.expected
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Expected {
    fn accepts(self, outcome: Outcome) -> bool {
        match (self, outcome) {
            (Self::Connection(codes), Outcome::GoAway(code))
            | (Self::Stream(codes), Outcome::GoAway(code) | Outcome::Reset(code)) => {
                codes.contains(&code)
            }
            (Self::Malformed, Outcome::GoAway(code) | Outcome::Reset(code)) => {
                code == PROTOCOL_ERROR
            }
            (Self::Answer(stream), Outcome::Answered(answered)) => stream == answered,
            (Self::Malformed, Outcome::Refused) | (Self::Ignored, Outcome::GoesOn) => true,
            // §3.4: "A GOAWAY frame MAY be omitted in this case, since an invalid preface indicates
            // that the peer is not using HTTP/2."
            (Self::Connection(&[]), Outcome::Ended) => true,
            _ => false,
        }
    }
}

async fn outcome(server: SocketAddr, case: &Case) -> Outcome {
    let mut stream = TcpStream::connect(server).await.unwrap();
    send(&mut stream, &case.before).await;
    if case.waits {
        loop {
            let frame = next(&mut stream).await.expect(case.name);
            if frame.stream == 1 && frame.is_last() {
                break;
            }
        }
    }
    send(&mut stream, &case.bytes).await;
    // What is queued when the first is answered has been sent when the second is.
    let awaits_answer = matches!(case.expected, Expected::Answer(_));
    let mut pings = if case.is_followed && !awaits_answer {
        2
    } else {
        0
    };
    if pings > 0 {
        send(&mut stream, &frame(PING, 0, 0, b"are you?")).await;
    }
    while let Some(came) = next(&mut stream).await {
        match came.kind {
            GOAWAY if came.code() != 0 => return Outcome::GoAway(came.code()),
            RST_STREAM => return Outcome::Reset(came.code()),
            HEADERS if came.has_status(200) && (awaits_answer || !case.is_followed) => {
                return Outcome::Answered(came.stream);
            }
            HEADERS if came.has_status(200) => {}
            HEADERS if came.has_status(400) => return Outcome::Refused,
            HEADERS => return Outcome::OtherStatus,
            PING if came.flags & ACK != 0 && came.payload == b"are you?" => {
                pings -= 1;
                if pings == 0 {
                    return Outcome::GoesOn;
                }
                send(&mut stream, &frame(PING, 0, 0, b"are you?")).await;
            }
            _ => {}
        }
    }
    Outcome::Ended
}

/// A server that runs until the test ends.
pub(crate) async fn start() -> SocketAddr {
    let limits = Limits {
        streams_max: STREAMS_MAX,
        ..Limits::default()
    };
    let settings = Settings {
        https: vec![],
        http: vec!["127.0.0.1:0".parse().unwrap()],
        http_mode: HttpMode::Serve,
        tls: None,
        hsts: None,
        clients: Clients::default(),
        limits,
    };
    let metrics = Arc::new(ServerMetrics::unregistered());
    let listeners = bind(settings, metrics).await.unwrap();
    let address = listeners.http()[0];
    tokio::spawn(listeners.serve(Arc::new(Echo), std::future::pending()));
    address
}

/// A connection on which the preface and `values` have been sent.
pub(crate) async fn connect(values: &[(u16, u32)]) -> TcpStream {
    let mut stream = TcpStream::connect(start().await).await.unwrap();
    send(&mut stream, &[PREFACE, &settings(values)].concat()).await;
    stream
}

/// Reads all content, then says what was asked for; of `/hold` it never says a word.
struct Echo;

impl Handler for Echo {
    async fn handle(&self, request: Request<Incoming>, _: &Arc<Connection>) -> Response<Body> {
        let (head, content) = request.into_parts();
        let content = content.collect().await;
        if head.uri.path() == "/hold" {
            std::future::pending::<()>().await;
        }
        Response::new(Body::full(match content {
            Ok(content) => {
                let trailers = content.trailers().map_or(0, |trailers| trailers.len());
                let length = content.to_bytes().len();
                format!("{} {} {length} {trailers}", head.method, head.uri.path())
            }
            Err(error) => error.to_string(),
        }))
    }
}
