//! RFC 9113 §8: requests that are malformed are not answered as if they were not.

use crate::frames::*;
use crate::stage::Expected::{Answer, Malformed};
use crate::stage::{Case, case, run};

/// A GET with exactly these fields.
fn asks(name: &'static str, fields: &[(&str, &str)]) -> Case {
    case(name, &[frame(HEADERS, WHOLE, 1, &block(fields))], Malformed)
}

/// A whole GET with one more field.
fn with(name: &'static str, field: (&str, &str)) -> Case {
    case(
        name,
        &[frame(HEADERS, WHOLE, 1, &head("GET", "/", &[field]))],
        Malformed,
    )
}

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const PATH: (&str, &str) = (":path", "/");
const AUTHORITY: (&str, &str) = (":authority", "a.example");

#[tokio::test]
async fn pseudo_fields_are_those_of_requests_each_once_and_first() {
    run(vec![
        with("§8.3 an unknown pseudo-header field", (":test", "ok")),
        with(
            "§8.3 a pseudo-header field of responses",
            (":status", "200"),
        ),
        asks(
            "§8.3 a pseudo-header field behind a regular one",
            &[METHOD, SCHEME, PATH, ("x-a", "b"), AUTHORITY],
        ),
        asks(
            "§8.3.1 :method behind a regular one",
            &[SCHEME, PATH, AUTHORITY, ("x-a", "b"), METHOD],
        ),
        asks(
            "§8.3.1 an empty :path",
            &[METHOD, SCHEME, (":path", ""), AUTHORITY],
        ),
        asks("§8.3.1 no :method", &[SCHEME, PATH, AUTHORITY]),
        asks("§8.3.1 no :scheme", &[METHOD, PATH, AUTHORITY]),
        asks("§8.3.1 no :path", &[METHOD, SCHEME, AUTHORITY]),
        asks(
            "§8.3.1 two :method",
            &[METHOD, METHOD, SCHEME, PATH, AUTHORITY],
        ),
        asks(
            "§8.3.1 two :scheme",
            &[METHOD, SCHEME, SCHEME, PATH, AUTHORITY],
        ),
        asks("§8.3.1 two :path", &[METHOD, SCHEME, PATH, PATH, AUTHORITY]),
        asks(
            "§8.3.1 two :authority",
            &[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY],
        ),
        asks("§8.3.1 no :authority and no Host", &[METHOD, SCHEME, PATH]),
    ])
    .await;
}

#[tokio::test]
async fn pseudo_fields_hold_what_a_request_line_could() {
    run(vec![
        asks(
            "§8.3.1 a Host that is another one",
            &[METHOD, SCHEME, PATH, AUTHORITY, ("host", "b.example")],
        ),
        asks(
            "§8.3.1 user information in :authority",
            &[METHOD, SCHEME, PATH, (":authority", "u@a.example")],
        ),
        asks(
            "§8.3.1 a :path that does not begin with a slash",
            &[METHOD, SCHEME, (":path", "a/b"), AUTHORITY],
        ),
        asks(
            "§8.3.1 a :path with white space",
            &[METHOD, SCHEME, (":path", "/a HTTP/1.1"), AUTHORITY],
        ),
        asks(
            "§8.3.1 a :method that is no token",
            &[(":method", "GE T"), SCHEME, PATH, AUTHORITY],
        ),
        asks(
            "§8.2.1 line ends in :path",
            &[METHOD, SCHEME, (":path", "/\r\nx: y"), AUTHORITY],
        ),
        asks(
            "§8.2.1 line ends in :method",
            &[
                (":method", "GET / HTTP/1.1\r\nx: y"),
                SCHEME,
                PATH,
                AUTHORITY,
            ],
        ),
        case(
            "§8.3.1 a Host that is the same",
            &[frame(
                HEADERS,
                WHOLE,
                1,
                &head("GET", "/", &[("host", "a.example")]),
            )],
            Answer(1),
        ),
    ])
    .await;
}

#[tokio::test]
async fn fields_of_one_connection_and_bad_names_are_malformed() {
    run(vec![
        with("§8.2.1 a name in upper case", ("X-Test", "ok")),
        with("§8.2.1 a name with a colon", ("x:y", "ok")),
        with("§8.2.1 a name with a space", ("x y", "ok")),
        with("§8.2.1 an empty name", ("", "ok")),
        with("§8.2.1 a value with a line end", ("x-a", "b\r\nc: d")),
        with("§8.2.1 a value with a zero byte", ("x-a", "b\0c")),
        with("§8.2.2 Connection", ("connection", "keep-alive")),
        with("§8.2.2 Keep-Alive", ("keep-alive", "timeout=5")),
        with(
            "§8.2.2 Proxy-Connection",
            ("proxy-connection", "keep-alive"),
        ),
        with("§8.2.2 Transfer-Encoding", ("transfer-encoding", "chunked")),
        with("§8.2.2 Upgrade", ("upgrade", "h2c")),
        with("§8.2.2 TE other than trailers", ("te", "trailers, deflate")),
        case(
            "§8.2.2 TE: trailers",
            &[frame(
                HEADERS,
                WHOLE,
                1,
                &head("GET", "/", &[("te", "trailers")]),
            )],
            Answer(1),
        ),
    ])
    .await;
}

#[tokio::test]
async fn content_is_as_long_as_it_says() {
    let post_of = |length| {
        frame(
            HEADERS,
            END_HEADERS,
            1,
            &head("POST", "/", &[("content-length", length)]),
        )
    };
    let data = |flags, content: &[u8]| frame(DATA, flags, 1, content);
    run(vec![
        case(
            "§8.1.1 content that is shorter than Content-Length",
            &[post_of("4"), data(END_STREAM, b"abc")],
            Malformed,
        ),
        case(
            "§8.1.1 content that is longer than Content-Length",
            &[post_of("1"), data(END_STREAM, b"abc")],
            Malformed,
        ),
        case(
            "§8.1.1 several frames that are longer than Content-Length",
            &[post_of("5"), data(0, b"abc"), data(END_STREAM, b"def")],
            Malformed,
        ),
        case(
            "§8.1.1 several frames that are shorter than Content-Length",
            &[post_of("9"), data(0, b"abc"), data(END_STREAM, b"def")],
            Malformed,
        ),
        case(
            "§8.1.1 Content-Length and no content",
            &[frame(
                HEADERS,
                WHOLE,
                1,
                &head("POST", "/", &[("content-length", "3")]),
            )],
            Malformed,
        ),
        case(
            "§8.1.1 two Content-Lengths",
            &[
                frame(
                    HEADERS,
                    END_HEADERS,
                    1,
                    &head(
                        "POST",
                        "/",
                        &[("content-length", "3"), ("content-length", "4")],
                    ),
                ),
                data(END_STREAM, b"abc"),
            ],
            Malformed,
        ),
        case(
            "§8.1.1 a Content-Length that is no number",
            &[post_of("+3"), data(END_STREAM, b"abc")],
            Malformed,
        ),
        case(
            "§8.1.1 a Content-Length that is right",
            &[post_of("6"), data(0, b"abc"), data(END_STREAM, b"def")],
            Answer(1),
        ),
    ])
    .await;
}

#[tokio::test]
async fn trailers_are_last() {
    let data = |flags, content: &[u8]| frame(DATA, flags, 1, content);
    run(vec![
        case(
            "§8.1 a second HEADERS frame that does not end the stream",
            &[
                post(1, "/"),
                frame(HEADERS, END_HEADERS, 1, &field("x-a", "b")),
            ],
            Malformed,
        ),
        case(
            "§8.1 a pseudo-header field in trailers",
            &[
                post(1, "/"),
                data(0, b"x"),
                frame(HEADERS, WHOLE, 1, &block(&[METHOD])),
            ],
            Malformed,
        ),
        case(
            "§8.1 trailers and then content",
            &[
                post(1, "/hold"),
                frame(HEADERS, WHOLE, 1, &field("x-a", "b")),
                data(END_STREAM, b"x"),
            ],
            crate::stage::Expected::Stream(&[STREAM_CLOSED]),
        ),
    ])
    .await;
}

/// What HTTP/2 lets a client say in more than one field line (§8.2.3).
#[tokio::test]
async fn cookies_may_come_in_pieces() {
    let cookies = head("GET", "/", &[("cookie", "a=b"), ("cookie", "c=d")]);
    run(vec![case(
        "§8.2.3 a cookie in two pieces",
        &[frame(HEADERS, WHOLE, 1, &cookies)],
        Answer(1),
    )])
    .await;
}
