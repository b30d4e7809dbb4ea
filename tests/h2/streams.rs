//! RFC 9113 §5: the states of streams, their identifiers, their number, errors.

use crate::frames::*;
use crate::stage::Expected::{Answer, Connection, Stream};
use crate::stage::{STREAMS_MAX, case, connect, run};

const CLOSED: &[u32] = &[STREAM_CLOSED];
/// Where the stream has gone, and the frame is wrong on any.
const CLOSED_OR_WRONG: &[u32] = &[STREAM_CLOSED, PROTOCOL_ERROR];

#[tokio::test]
async fn an_idle_stream_takes_nothing_but_headers_and_priority() {
    let wrong = |name, part| case(name, &[part], Connection(&[PROTOCOL_ERROR]));
    run(vec![
        wrong(
            "§5.1 DATA on an idle stream",
            frame(DATA, END_STREAM, 1, b"x"),
        ),
        wrong("§5.1 RST_STREAM on an idle stream", reset(1, 8)),
        wrong(
            "§5.1 WINDOW_UPDATE on an idle stream",
            window_update(1, 100),
        ),
        wrong(
            "§5.1 CONTINUATION on an idle stream",
            frame(CONTINUATION, END_HEADERS, 1, &head("GET", "/", &[])),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_half_closed_stream_takes_no_more_of_a_request() {
    let on = |name, part, expected| case(name, &[get(1, "/hold"), part], expected);
    run(vec![
        on(
            "§5.1 DATA on a half-closed stream",
            frame(DATA, END_STREAM, 1, b"x"),
            Stream(CLOSED),
        ),
        on(
            "§5.1 HEADERS on a half-closed stream",
            get(1, "/"),
            Stream(CLOSED),
        ),
        on(
            "§5.1 CONTINUATION on a half-closed stream",
            frame(CONTINUATION, END_HEADERS, 1, &field("a", "b")),
            Connection(CLOSED_OR_WRONG),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_stream_that_the_client_reset_takes_no_more() {
    let on = |name, part, expected| case(name, &[post(1, "/hold"), reset(1, 8), part], expected);
    run(vec![
        on(
            "§5.1 DATA after RST_STREAM",
            frame(DATA, END_STREAM, 1, b"x"),
            Stream(CLOSED),
        ),
        on(
            "§5.1 HEADERS after RST_STREAM",
            get(1, "/"),
            Stream(CLOSED_OR_WRONG),
        ),
        on(
            "§5.1 CONTINUATION after RST_STREAM",
            frame(CONTINUATION, END_HEADERS, 1, &field("a", "b")),
            Connection(CLOSED_OR_WRONG),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_stream_that_has_ended_takes_no_more() {
    let on = |name, part, expected| case(name, &[part], expected).after(&get(1, "/"));
    run(vec![
        on(
            "§5.1 DATA on a closed stream",
            frame(DATA, END_STREAM, 1, b"x"),
            Stream(CLOSED),
        ),
        on(
            "§5.1 HEADERS on a closed stream",
            get(1, "/"),
            Stream(CLOSED_OR_WRONG),
        ),
        on(
            "§5.1 CONTINUATION on a closed stream",
            frame(CONTINUATION, END_HEADERS, 1, &field("a", "b")),
            Connection(CLOSED_OR_WRONG),
        ),
    ])
    .await;
}

#[tokio::test]
async fn identifiers_are_odd_and_grow() {
    run(vec![
        case(
            "§5.1.1 an even identifier",
            &[get(2, "/")],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "§5.1.1 a smaller identifier",
            &[get(5, "/hold"), get(3, "/")],
            Connection(CLOSED_OR_WRONG),
        ),
        case(
            "§5.1.1 the largest identifier",
            &[get(0x7fff_ffff, "/")],
            Answer(0x7fff_ffff),
        ),
    ])
    .await;
}

#[tokio::test]
async fn so_many_streams_are_open_and_no_more() {
    let open = (0..STREAMS_MAX).map(|number| get(2 * number + 1, "/hold"));
    let next = 2 * STREAMS_MAX + 1;
    let with = |last| open.clone().chain([last]).collect::<Vec<_>>();
    let room = [reset(1, 8), get(next, "/")].concat();
    run(vec![
        case(
            "§5.1.2 one stream too many",
            &with(get(next, "/")),
            Stream(&[PROTOCOL_ERROR, REFUSED_STREAM]),
        ),
        case(
            "§5.1.2 a stream in the place of one that was reset",
            &with(room),
            Answer(next),
        ),
    ])
    .await;
}

/// RFC 9113 §5.3.2 deprecates priorities; RFC 7540 §5.3.1 had these as errors, and nothing that is
/// done with them can be wrong but to answer what was not asked.
#[tokio::test]
async fn a_stream_does_not_depend_on_itself() {
    let own = [priority(1, 7), head("GET", "/", &[])].concat();
    run(vec![
        case(
            "RFC 7540 §5.3.1 HEADERS that depend on their own stream",
            &[frame(HEADERS, WHOLE | WITH_PRIORITY, 1, &own)],
            Stream(&[PROTOCOL_ERROR]),
        ),
        case(
            "RFC 7540 §5.3.1 PRIORITY that depends on its own stream",
            &[frame(PRIORITY, 0, 1, &priority(1, 7))],
            Stream(&[PROTOCOL_ERROR]),
        ),
    ])
    .await;
}

/// §5.4.1: "An endpoint that encounters a connection error SHOULD first send a GOAWAY frame with the
/// stream identifier of the last stream that it successfully received from its peer", then closes.
#[tokio::test]
async fn a_connection_error_names_the_last_stream_and_ends_the_connection() {
    let mut stream = connect(&[]).await;
    send(&mut stream, &[get(1, "/"), get(7, "/")].concat()).await;
    let mut answered = 0;
    while answered < 2 {
        answered += usize::from(next(&mut stream).await.unwrap().is_last());
    }
    send(&mut stream, &frame(PING, 0, 1, &[0; 8])).await;
    let goaway = next_of(&mut stream, GOAWAY).await;
    assert_eq!(goaway.payload[..4], 7_u32.to_be_bytes());
    assert_eq!(goaway.code(), PROTOCOL_ERROR);
    while let Some(frame) = next(&mut stream).await {
        assert_eq!(frame.kind, GOAWAY, "{frame:?}");
    }
}
