//! Requests of HTTP/2 with what would be something else in HTTP/1 (RFC 9113 §8.2, §10.3). The table
//! says what becomes of each: refused, or passed on as one request that nobody can read in two ways.

use std::time::Duration;

use crate::kit::arena::{Arena, Setup};
use crate::kit::hpack::{Block, DATA, END_STREAM, frame};
use crate::kit::peer::{Outcome, Peer};
use crate::kit::recorder::{Reply, Seen};
use crate::kit::scene::{Terms, assert_none, play};

/// What must become of a case.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The stream is reset, or the connection ended, as malformed; nothing reaches the origin.
    Malformed,
    /// This status, and nothing at the origin.
    Refused(u16),
    /// The origin gets this target with this content.
    Passed(&'static str, &'static str),
    /// As `Malformed`, but the origin may get the beginning of the request, and then the end of its
    /// connection.
    Broken,
}

use Expected::{Broken, Malformed, Passed, Refused};

/// Fields of a request.
type Fields = &'static [(&'static str, &'static str)];

/// A case without content; its pseudo fields are all there.
type Case = (&'static str, Fields, Expected);

const GET: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "http"), (":authority", "a")];

/// What follows a GET of /d.
#[rustfmt::skip]
const FIELDS: &[Case] = &[
    ("plain", &[("x", "y")], Passed("/d", "")),
    ("connection", &[("connection", "close")], Malformed),
    ("keep-alive", &[("keep-alive", "timeout=5")], Malformed),
    ("proxy-connection", &[("proxy-connection", "close")], Malformed),
    ("upgrade", &[("upgrade", "h2c")], Malformed),
    ("transfer-encoding", &[("transfer-encoding", "chunked")], Malformed),
    ("transfer-encoding: identity", &[("transfer-encoding", "identity")], Malformed),
    ("te", &[("te", "chunked")], Malformed),
    ("te: trailers", &[("te", "trailers")], Passed("/d", "")),
    ("a length without content", &[("content-length", "5")], Malformed),
    ("a length of zero", &[("content-length", "0")], Passed("/d", "")),
    ("a length that is no number", &[("content-length", "5x")], Malformed),
    ("a signed length", &[("content-length", "+0")], Malformed),
    ("two lengths", &[("content-length", "0"), ("content-length", "0")], Passed("/d", "")),
    ("two lengths that differ", &[("content-length", "0"), ("content-length", "5")], Malformed),
    ("a list of lengths", &[("content-length", "0, 0")], Malformed),
    ("a name in capitals", &[("X-Case", "y")], Malformed),
    ("a name with a colon", &[("x: y\r\ntransfer-encoding", "chunked")], Malformed),
    ("a name with CR LF", &[("x\r\ny", "z")], Malformed),
    ("a name with a colon at its end", &[("x:", "y")], Malformed),
    ("a name with a space", &[("x y", "z")], Malformed),
    ("a name with a null", &[("x\0", "y")], Malformed),
    ("an empty name", &[("", "y")], Malformed),
    ("a value with CR LF", &[("x", "y\r\ntransfer-encoding: chunked")], Malformed),
    ("a value with LF", &[("x", "y\nz: a")], Malformed),
    ("a value with CR", &[("x", "y\rz")], Malformed),
    ("a value with a null", &[("x", "y\0z")], Malformed),
    ("a value with a request", &[("x", "y\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a")], Malformed),
    ("a value with a fold", &[("x", "y\r\n z")], Malformed),
    ("another Host", &[("host", "b")], Refused(400)),
    ("the same Host", &[("host", "a")], Passed("/d", "")),
    ("two Hosts", &[("host", "a"), ("host", "a")], Refused(400)),
    ("a pseudo field behind", &[("x", "y"), (":path", "/smuggled")], Malformed),
    ("an unknown pseudo field", &[(":smuggled", "y")], Malformed),
    ("a status", &[(":status", "200")], Malformed),
    ("a second path", &[(":path", "/smuggled")], Malformed),
    ("a second authority", &[(":authority", "b")], Malformed),
    ("a second method", &[(":method", "POST")], Malformed),
    ("an extended CONNECT", &[(":protocol", "websocket")], Malformed),
    ("a name that is one to CGI", &[("content_length", "5")], Passed("/d", "")),
    ("expect", &[("expect", "100-continue")], Passed("/d", "")),
    ("trailer", &[("trailer", "content-length")], Passed("/d", "")),
];

/// All pseudo fields as they come.
#[rustfmt::skip]
const HEADS: &[Case] = &[
    ("a path with a space", &[GET[0], GET[1], GET[2], (":path", "/d HTTP/1.1")], Malformed),
    ("a path with CR LF", &[GET[0], GET[1], GET[2], (":path", "/d HTTP/1.1\r\nx: y")], Malformed),
    ("a path with a tab", &[GET[0], GET[1], GET[2], (":path", "/d\tx")], Malformed),
    ("a path with a null", &[GET[0], GET[1], GET[2], (":path", "/d\0")], Malformed),
    ("a path that is none", &[GET[0], GET[1], GET[2], (":path", "d")], Malformed),
    ("a path that is a URL", &[GET[0], GET[1], GET[2], (":path", "http://b/d")], Malformed),
    ("an empty path", &[GET[0], GET[1], GET[2], (":path", "")], Malformed),
    ("a path of two slashes", &[GET[0], GET[1], GET[2], (":path", "//b/d")], Passed("//b/d", "")),
    ("a path with a fragment", &[GET[0], GET[1], GET[2], (":path", "/d#x")], Passed("/d", "")),
    ("an asterisk", &[GET[0], GET[1], GET[2], (":path", "*")], Refused(400)),
    ("no path", &[GET[0], GET[1], GET[2]], Malformed),
    ("no method", &[GET[1], GET[2], (":path", "/d")], Malformed),
    ("no scheme", &[GET[0], GET[2], (":path", "/d")], Malformed),
    ("no authority", &[GET[0], GET[1], (":path", "/d")], Refused(400)),
    ("a Host for an authority", &[GET[0], GET[1], (":path", "/d"), ("host", "a")], Refused(400)),
    ("an empty authority", &[GET[0], GET[1], (":authority", ""), (":path", "/d")], Malformed),
    ("an authority with a path", &[GET[0], GET[1], (":authority", "a/b"), (":path", "/d")], Malformed),
    ("an authority with a user", &[GET[0], GET[1], (":authority", "u@a"), (":path", "/d")], Refused(400)),
    ("an authority with CR LF", &[GET[0], GET[1], (":authority", "a\r\nx: y"), (":path", "/d")], Malformed),
    ("an authority with a space", &[GET[0], GET[1], (":authority", "a b"), (":path", "/d")], Malformed),
    ("a method with CR LF", &[(":method", "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\nGET"), GET[1], GET[2], (":path", "/d")], Malformed),
    ("a method with a space", &[(":method", "GET /x"), GET[1], GET[2], (":path", "/d")], Malformed),
    ("an empty method", &[(":method", ""), GET[1], GET[2], (":path", "/d")], Malformed),
    ("a scheme with a URL", &[GET[0], (":scheme", "http://b/smuggled?"), GET[2], (":path", "/d")], Malformed),
    ("a scheme with CR LF", &[GET[0], (":scheme", "http\r\nx: y"), GET[2], (":path", "/d")], Malformed),
    ("CONNECT", &[(":method", "CONNECT"), (":authority", "a:443")], Refused(405)),
];

/// Fields of a POST of /p (or of /b, where it is to break off), and the content of its frames.
#[rustfmt::skip]
const CONTENTS: &[(&str, Fields, &[&str], Expected)] = &[
    ("content", &[], &["hello"], Passed("/p", "hello")),
    ("content with its length", &[("content-length", "5")], &["hel", "lo"], Passed("/p", "hello")),
    ("two equal lengths", &[("content-length", "5"), ("content-length", "5")], &["hello"], Passed("/p", "hello")),
    ("two lengths, the first right", &[("content-length", "5"), ("content-length", "9")], &["hello"], Malformed),
    ("less content than its length", &[("content-length", "9")], &["hello"], Broken),
    ("more content than its length", &[("content-length", "3")], &["hello"], Broken),
    ("content with a length of zero", &[("content-length", "0")], &["GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"], Broken),
    ("content that is chunked", &[("transfer-encoding", "chunked")], &["0\r\n\r\n"], Malformed),
    ("content that looks like a request", &[], &["GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"], Passed("/p", "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")),
    ("content that looks like its end", &[], &["0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"], Passed("/p", "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")),
];

#[tokio::test]
async fn no_request_of_http_2_becomes_another_in_http_1() {
    let setup = Setup {
        needs_origin: true,
        ..Setup::default()
    };
    let answer = |_: &Seen| Reply::ok("answer").field("cache-control", "no-store");
    let Some(arena) = Arena::enter(setup, answer).await else {
        return;
    };
    let terms = Terms {
        name: "downgrade",
        limits: &["framing"],
        growth: 32,
        connections: 1,
        time: Duration::from_secs(1),
        is_on_origin: false,
    };
    let mut wrong = Vec::new();
    let attack = async |_| {
        for (name, fields, expected) in FIELDS {
            let block = written(Block::get("a", "/d"), fields);
            wrong.extend(judge(&arena, name, &block.request(1, true), *expected).await);
        }
        for (name, fields, expected) in HEADS {
            let block = written(Block::default(), fields);
            wrong.extend(judge(&arena, name, &block.request(1, true), *expected).await);
        }
        for (name, fields, contents, expected) in CONTENTS {
            let path = if let Broken = expected { "/b" } else { "/p" };
            let mut bytes = written(Block::post("a", path), fields).request(1, false);
            for content in *contents {
                bytes.extend(frame(DATA, 0, 1, content.as_bytes()));
            }
            bytes.extend(frame(DATA, END_STREAM, 1, &[]));
            wrong.extend(judge(&arena, name, &bytes, *expected).await);
        }
    };
    play(&arena, terms, attack).await;
    assert_none(&wrong);
    let mut late = arena.origin().take();
    late.retain(|seen| !seen.is_broken_off("/b"));
    assert!(late.is_empty(), "it came late: {late:?}");
}

fn written(block: Block, fields: Fields) -> Block {
    let add = |block: Block, (name, value): &(&str, &str)| block.literal(name, value);
    fields.iter().fold(block, add)
}

/// Sends a case on a connection of its own; what is wrong with the outcome.
async fn judge(arena: &Arena, name: &str, bytes: &[u8], expected: Expected) -> Option<String> {
    let mut peer = Peer::connect(arena.target).await.unwrap();
    peer.send(bytes).await.unwrap();
    let outcome = peer.outcome().await;
    let mut seen = arena.origin().take();
    seen.retain(|seen| !seen.is_broken_off("/b"));
    let got: Vec<(&str, String, Option<&str>)> = seen
        .iter()
        .map(|seen| {
            let content = String::from_utf8_lossy(&seen.content).into_owned();
            (seen.target.as_str(), content, seen.fault.as_deref())
        })
        .collect();
    let is_malformed = !matches!(outcome, Outcome::Answered(..));
    let is_right = match expected {
        Malformed | Broken => is_malformed && got.is_empty(),
        Refused(status) => {
            matches!(outcome, Outcome::Answered(of, _) if of == status) && got.is_empty()
        }
        Passed(target, content) => {
            matches!(outcome, Outcome::Answered(200, _))
                && got == [(target, content.to_owned(), None)]
        }
    };
    (!is_right).then(|| format!("{name}: {expected:?}, but {outcome:?} and {got:?}"))
}
