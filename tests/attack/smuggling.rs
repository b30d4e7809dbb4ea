//! HTTP/1 requests on whose end two parsers may disagree (RFC 9112 §11.2), each with a second
//! request behind it. The table says what becomes of each: refused, or passed on as one request that
//! nobody can read in two ways.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::kit::arena::{Arena, Setup};
use crate::kit::recorder::{Reply, Seen};
use crate::kit::scene::{Terms, assert_none, play};
use crate::kit::swarm::{connect, rest};
use crate::support::origin::PATIENCE;

/// What stands behind each case; it may only ever be a request of its own on a connection where the
/// end of the first is beyond doubt.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What must become of a case.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// This status, the end of the connection, and nothing at the origin.
    Refused(u16),
    /// This status and nothing at the origin; the connection goes on, because the end of the request
    /// is beyond doubt.
    Answered(u16),
    /// The origin gets this target with this content, and the connection ends.
    Last(&'static str, &'static str),
    /// As `Last`, but the connection goes on, because the end of the request is beyond doubt.
    Followed(&'static str, &'static str),
    /// This status, and the end of the connection; the origin gets at most the beginning of the
    /// request, and the end of its connection.
    Broken(u16),
}

use Expected::{Answered, Broken, Followed, Last, Refused};

/// Head and content of a POST of /c; of CHUNKS only the content, and the target is /k.
type Case = (&'static str, &'static str, Expected);

#[rustfmt::skip]
const LENGTHS: &[Case] = &[
    ("CL.TE", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", Refused(400)),
    ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n", Refused(400)),
    ("two equal lengths", "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", Refused(400)),
    ("two lengths", "Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello", Refused(400)),
    ("two lengths, the other order", "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello", Refused(400)),
    ("a list of equal lengths", "Content-Length: 5, 5\r\n\r\nhello", Refused(400)),
    ("a list of lengths", "Content-Length: 5, 0\r\n\r\nhello", Refused(400)),
    ("a signed length", "Content-Length: +5\r\n\r\nhello", Refused(400)),
    ("a negative length", "Content-Length: -5\r\n\r\nhello", Refused(400)),
    ("a length in hexadecimal", "Content-Length: 0x5\r\n\r\nhello", Refused(400)),
    ("a length in octal is decimal", "Content-Length: 05\r\n\r\nhello", Followed("/c", "hello")),
    ("a length with a fraction", "Content-Length: 5.0\r\n\r\nhello", Refused(400)),
    ("a length with an exponent", "Content-Length: 5e0\r\n\r\nhello", Refused(400)),
    ("a length with an underscore", "Content-Length: 0_5\r\n\r\nhello", Refused(400)),
    ("a length with a space in it", "Content-Length: 0 5\r\n\r\nhello", Refused(400)),
    ("a length with a vertical tab", "Content-Length: \x0b5\r\n\r\nhello", Refused(400)),
    ("an empty length", "Content-Length:\r\n\r\nhello", Refused(400)),
    ("a length of 2^64+5", "Content-Length: 18446744073709551621\r\n\r\nhello", Refused(400)),
    ("a space before the colon", "Content-Length : 5\r\n\r\nhello", Refused(400)),
    ("a tab before the colon", "Content-Length\t: 5\r\n\r\nhello", Refused(400)),
    ("a space before the name", " Content-Length: 5\r\n\r\nhello", Refused(400)),
    ("white space around a length", "Content-Length: \t 5 \t\r\n\r\nhello", Followed("/c", "hello")),
    ("a length under another name", "Content_Length: 5\r\n\r\n", Followed("/c", "")),
    ("a name with a null", "Content-Length\0: 5\r\n\r\nhello", Refused(400)),
    ("a length with a null", "Content-Length: 5\0\r\n\r\nhello", Refused(400)),
];

#[rustfmt::skip]
const CODINGS: &[Case] = &[
    ("chunked", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Last("/c", "hello")),
    ("chunked in capitals", "TRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Last("/c", "hello")),
    ("a space before the colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("a space before the name", " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("folded", "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("folded after another field", "X: y\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("xchunked", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunkedx", "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", Refused(400)),
    ("identity", "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", Refused(400)),
    ("gzip and chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Refused(501)),
    ("chunked and gzip", "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked and identity", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(501)),
    ("chunked and another line", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", Refused(400)),
    ("another line and chunked", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(501)),
    ("a list with holes", "Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", Refused(501)),
    ("chunked in quotes", "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", Refused(400)),
    ("chunked with a parameter", "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", Refused(400)),
    ("a vertical tab", "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("a form feed behind", "Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n", Refused(400)),
    ("a null behind", "Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n", Refused(400)),
    ("an empty coding", "Transfer-Encoding:\r\n\r\n0\r\n\r\n", Refused(400)),
    ("a bare LF before it", "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("a bare CR before it", "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("a coding under another name", "Transfer_Encoding: chunked\r\n\r\n", Followed("/c", "")),
    ("TE is another field", "TE: chunked\r\n\r\n", Followed("/c", "")),
];

#[rustfmt::skip]
const CHUNKS: &[Case] = &[
    ("an extension", "5;a=b\r\nhello\r\n0\r\n\r\n", Last("/k", "hello")),
    ("an extension with a bare LF", "5;a\nhello\r\n0\r\n\r\n", Broken(400)),
    ("an extension with a bare CR", "5;a\rb\r\nhello\r\n0\r\n\r\n", Broken(400)),
    ("zeros before the size", "00005\r\nhello\r\n0\r\n\r\n", Last("/k", "hello")),
    ("a size of 2^64+5", "10000000000000005\r\nhello\r\n0\r\n\r\n", Broken(400)),
    ("a signed size", "+5\r\nhello\r\n0\r\n\r\n", Broken(400)),
    ("a negative size", "-5\r\nhello\r\n0\r\n\r\n", Broken(400)),
    ("0x before the size", "0x5\r\nhello\r\n0\r\n\r\n", Broken(400)),
    ("a size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n", Broken(400)),
    ("no size", "\r\nhello\r\n0\r\n\r\n", Broken(400)),
    ("a size that ends with a bare LF", "5\nhello\r\n0\r\n\r\n", Broken(400)),
    ("a chunk that ends with a bare LF", "5\r\nhello\n0\r\n\r\n", Broken(400)),
    ("a chunk without its end", "5\r\nhello0\r\n\r\n", Broken(400)),
    ("a chunk longer than its size", "5\r\nhello world\r\n0\r\n\r\n", Broken(400)),
    ("a null in the size", "5\0\r\nhello\r\n0\r\n\r\n", Broken(400)),
    ("the end with a bare LF", "5\r\nhello\r\n0\n\n", Broken(400)),
    ("a trailer", "5\r\nhello\r\n0\r\nX-T: u\r\n\r\n", Last("/k", "hello")),
    ("a trailer that frames", "5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n", Last("/k", "hello")),
    ("a trailer that is folded", "5\r\nhello\r\n0\r\nX-T: u\r\n v\r\n\r\n", Broken(400)),
];

/// Whole heads, to the empty line.
#[rustfmt::skip]
const HEADS: &[Case] = &[
    ("plain", "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n", Followed("/plain", "")),
    ("an empty line before it", "\r\nGET /empty HTTP/1.1\r\nHost: a\r\n\r\n", Followed("/empty", "")),
    ("a GET with content", "GET /fat HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", Followed("/fat", "hello")),
    ("a method in lower case", "get /lower HTTP/1.1\r\nHost: a\r\n\r\n", Followed("/lower", "")),
    ("bare LF", "GET /lf HTTP/1.1\nHost: a\n\n", Refused(400)),
    ("a bare LF behind the target", "GET /lf HTTP/1.1\nHost: a\r\n\r\n", Refused(400)),
    ("a bare LF before the empty line", "GET /lf HTTP/1.1\r\nHost: a\n\r\n", Refused(400)),
    ("a bare LF as the empty line", "GET /lf HTTP/1.1\r\nHost: a\r\n\n", Refused(400)),
    ("a bare CR in a value", "GET /cr HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n", Refused(400)),
    ("bare CR", "GET /cr HTTP/1.1\rHost: a\r\r", Refused(400)),
    ("CR CR LF", "GET /cr HTTP/1.1\r\r\nHost: a\r\n\r\n", Refused(400)),
    ("a null in a value", "GET /null HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n", Refused(400)),
    ("a null in the target", "GET /nu\0ll HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("a null before it", "\0GET /null HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("a space before it", " GET /space HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("a folded line", "GET /fold HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", Refused(400)),
    ("a folded first field", "GET /fold HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", Refused(400)),
    ("a folded Host", "GET /fold HTTP/1.1\r\nHost:\r\n a\r\n\r\n", Refused(400)),
    ("a line without a colon", "GET /colon HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", Refused(400)),
    ("a field without a name", "GET /name HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", Refused(400)),
    ("a name with a space", "GET /name HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", Refused(400)),
    ("a name in brackets", "GET /name HTTP/1.1\r\nHost: a\r\n(X): z\r\n\r\n", Refused(400)),
    ("two spaces in the request line", "GET  /two HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("two spaces before the version", "GET /two  HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("a tab in the request line", "GET\t/tab HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("a request line in the target", "GET /a HTTP/1.1\x0b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("no version", "GET /none\r\nHost: a\r\n\r\n", Refused(400)),
    ("HTTP/0.9", "GET /old HTTP/0.9\r\nHost: a\r\n\r\n", Refused(400)),
    ("HTTP/1.2", "GET /new HTTP/1.2\r\nHost: a\r\n\r\n", Refused(400)),
    ("HTTP/2.0", "GET /new HTTP/2.0\r\nHost: a\r\n\r\n", Refused(400)),
    ("http/1.1", "GET /new http/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ("HTTP/1.0 with a coding", "POST /old HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("HTTP/1.0 with both", "POST /old HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400)),
    ("HTTP/1.0", "GET /ten HTTP/1.0\r\nHost: a\r\n\r\n", Last("/ten", "")),
    ("HTTP/1.0 that stays", "GET /stays HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", Followed("/stays", "")),
    ("no Host", "GET /host HTTP/1.1\r\n\r\n", Refused(400)),
    ("two Hosts", "GET /host HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Refused(400)),
    ("a Host with a path", "GET /host HTTP/1.1\r\nHost: a/b\r\n\r\n", Refused(400)),
    ("a Host with two names", "GET /host HTTP/1.1\r\nHost: a, b\r\n\r\n", Refused(400)),
    ("an absolute target wins over Host", "GET http://b/absolute HTTP/1.1\r\nHost: a\r\n\r\n", Followed("/absolute", "")),
    ("an absolute target with a user", "GET http://a@b/absolute HTTP/1.1\r\nHost: b\r\n\r\n", Refused(400)),
    ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Refused(405)),
    ("an asterisk", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", Answered(400)),
    ("OPTIONS of an asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Answered(400)),
    ("a target that is no path", "GET c HTTP/1.1\r\nHost: a\r\n\r\n", Answered(400)),
    ("Connection names Content-Length", "POST /hop HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello", Followed("/hop", "hello")),
    ("Connection names Host", "GET /hop HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n", Followed("/hop", "")),
    ("an upgrade to h2c", "GET /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", Followed("/h2c", "")),
    ("an upgrade that no route allows", "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", Followed("/ws", "")),
];

#[tokio::test]
async fn no_request_is_taken_for_two() {
    let setup = Setup {
        needs_origin: true,
        ..Setup::default()
    };
    let answer = |_: &Seen| Reply::ok("answer").field("cache-control", "no-store");
    let Some(arena) = Arena::enter(setup, answer).await else {
        return;
    };
    let terms = Terms {
        name: "smuggling",
        limits: &["framing"],
        growth: 32,
        connections: 1,
        time: Duration::from_secs(1),
        is_on_origin: false,
    };
    let mut wrong = Vec::new();
    let attack = async |_| {
        for (name, rest, expected) in [LENGTHS, CODINGS].concat() {
            let text = format!("POST /c HTTP/1.1\r\nHost: a\r\n{rest}");
            wrong.extend(judge(&arena, name, &text, expected).await);
        }
        for (name, content, expected) in CHUNKS {
            let text = format!(
                "POST /k HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{content}"
            );
            wrong.extend(judge(&arena, name, &text, *expected).await);
        }
        for (name, text, expected) in HEADS {
            wrong.extend(judge(&arena, name, text, *expected).await);
        }
    };
    play(&arena, terms, attack).await;
    assert_none(&wrong);
    let mut late = arena.origin().take();
    late.retain(|seen| !seen.is_broken_off("/k"));
    assert!(late.is_empty(), "it came late: {late:?}");
}

/// Sends a case and what is smuggled behind it; what is wrong with the outcome.
async fn judge(arena: &Arena, name: &str, text: &str, expected: Expected) -> Option<String> {
    let origin = arena.origin();
    let mut stream = connect(arena.target).await.unwrap();
    let bytes = format!("{text}{SMUGGLED}");
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let answer = timeout(PATIENCE, rest(&mut stream)).await;
    let Ok(answer) = answer else {
        return Some(format!(
            "{name}: the connection stays open; {:?}",
            origin.take()
        ));
    };
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let statuses: Vec<&str> = answer
        .split("HTTP/1.")
        .skip(1)
        .filter_map(|response| response.get(2..5))
        .collect();
    let mut seen = origin.take();
    seen.retain(|seen| !seen.is_broken_off("/k"));
    let got: Vec<(String, String, Option<String>)> = seen
        .iter()
        .map(|seen| {
            let content = String::from_utf8_lossy(&seen.content).into_owned();
            (seen.target.clone(), content, seen.fault.clone())
        })
        .collect();
    let whole = |target: &str, content: &str| (target.to_owned(), content.to_owned(), None);
    let is_right = match expected {
        Refused(status) => statuses == [status.to_string()] && got.is_empty(),
        Answered(status) => {
            statuses == [status.to_string(), "200".to_owned()] && got == [whole("/smuggled", "")]
        }
        Last(target, content) => statuses == ["200"] && got == [whole(target, content)],
        Followed(target, content) => {
            statuses == ["200", "200"] && got == [whole(target, content), whole("/smuggled", "")]
        }
        Broken(status) => statuses == [status.to_string()] && got.is_empty(),
    };
    (!is_right).then(|| format!("{name}: {expected:?}, but {statuses:?} and {got:?}\n  {text:?}"))
}
