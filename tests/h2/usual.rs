//! What every client does, and more than most of them do: all of it is answered.

use crate::frames::*;
use crate::stage::Expected::{Answer, Ignored};
use crate::stage::{case, connect, run};

/// Content of a frame with three bytes of padding.
fn padded(content: &[u8]) -> Vec<u8> {
    [&[3][..], content, &[0; 3]].concat()
}

#[tokio::test]
async fn requests_in_every_form_are_answered() {
    run(vec![
        case("§8.3.1 GET", &[get(1, "/")], Answer(1)),
        case(
            "§8.3.1 HEAD",
            &[frame(HEADERS, WHOLE, 1, &head("HEAD", "/", &[]))],
            Answer(1),
        ),
        case(
            "§8.1 POST with one DATA frame",
            &[post(1, "/"), frame(DATA, END_STREAM, 1, b"abc")],
            Answer(1),
        ),
        case(
            "§8.1 POST with several DATA frames",
            &[
                post(1, "/"),
                frame(DATA, 0, 1, b"abc"),
                frame(DATA, END_STREAM, 1, b"def"),
            ],
            Answer(1),
        ),
        case(
            "§8.1 POST with trailers",
            &[
                post(1, "/"),
                frame(DATA, 0, 1, b"abc"),
                frame(HEADERS, WHOLE, 1, &field("x-checksum", "1")),
            ],
            Answer(1),
        ),
        case(
            "§6.1 padded DATA",
            &[
                post(1, "/"),
                frame(DATA, END_STREAM | PADDED, 1, &padded(b"abc")),
            ],
            Answer(1),
        ),
        case(
            "§5.1.1 stream identifiers with gaps",
            &[get(1, "/hold"), get(77, "/")],
            Answer(77),
        ),
    ])
    .await;
}

#[tokio::test]
async fn header_blocks_in_every_form_are_read() {
    let split = head("GET", "/", &[("x-a", "b")]);
    let (one, rest) = split.split_at(20);
    let (two, three) = rest.split_at(9);
    let get_head = head("GET", "/", &[]);
    let prioritised = |on: u32, weight| [priority(on, weight), get_head.clone()].concat();
    run(vec![
        case(
            "§6.2 padded HEADERS",
            &[frame(HEADERS, WHOLE | PADDED, 1, &padded(&get_head))],
            Answer(1),
        ),
        case(
            "§6.2 HEADERS with priority",
            &[frame(
                HEADERS,
                WHOLE | WITH_PRIORITY,
                1,
                &prioritised(0, 15),
            )],
            Answer(1),
        ),
        case(
            "§6.2 HEADERS with an exclusive priority on an idle stream",
            &[frame(
                HEADERS,
                WHOLE | WITH_PRIORITY,
                1,
                &prioritised(0x8000_0007, 255),
            )],
            Answer(1),
        ),
        case(
            "§6.10 one CONTINUATION",
            &[
                frame(HEADERS, END_STREAM, 1, one),
                frame(CONTINUATION, END_HEADERS, 1, rest),
            ],
            Answer(1),
        ),
        case(
            "§6.10 several CONTINUATIONs, some empty",
            &[
                frame(HEADERS, END_STREAM, 1, one),
                frame(CONTINUATION, 0, 1, two),
                frame(CONTINUATION, 0, 1, &[]),
                frame(CONTINUATION, END_HEADERS, 1, three),
            ],
            Answer(1),
        ),
    ])
    .await;
}

#[tokio::test]
async fn frames_of_streams_between_requests_change_nothing() {
    let data = |flags, content: &[u8]| frame(DATA, flags, 1, content);
    run(vec![
        case(
            "§5.1 PRIORITY on an idle stream",
            &[frame(PRIORITY, 0, 9, &priority(0, 1)), get(1, "/")],
            Answer(1),
        ),
        case(
            "§6.3 PRIORITY with weight 256, exclusive",
            &[
                frame(PRIORITY, 0, 1, &priority(0x8000_0000, 255)),
                get(1, "/"),
            ],
            Answer(1),
        ),
        case(
            "§6.3 PRIORITY on a dependency that is idle",
            &[frame(PRIORITY, 0, 1, &priority(9, 7)), get(1, "/")],
            Answer(1),
        ),
        case(
            "§5.1 WINDOW_UPDATE on a half-closed stream",
            &[get(1, "/hold"), window_update(1, 100), get(3, "/")],
            Answer(3),
        ),
        case(
            "§5.1 PRIORITY on a half-closed stream",
            &[
                get(1, "/hold"),
                frame(PRIORITY, 0, 1, &priority(0, 1)),
                get(3, "/"),
            ],
            Answer(3),
        ),
        case(
            "§5.1 RST_STREAM on a half-closed stream",
            &[get(1, "/hold"), reset(1, 8), get(3, "/")],
            Answer(3),
        ),
        case(
            "§5.1 PRIORITY on a closed stream",
            &[frame(PRIORITY, 0, 1, &priority(0, 1)), get(3, "/")],
            Answer(3),
        )
        .after(&get(1, "/")),
        case(
            "§5.1 WINDOW_UPDATE on a closed stream",
            &[window_update(1, 1), get(3, "/")],
            Answer(3),
        )
        .after(&get(1, "/")),
        case(
            "§5.1 RST_STREAM on a closed stream",
            &[reset(1, 8), get(3, "/")],
            Answer(3),
        )
        .after(&get(1, "/")),
        case(
            "§5.1 RST_STREAM in the midst of content",
            &[post(1, "/"), data(0, b"x"), reset(1, 8), get(3, "/")],
            Answer(3),
        ),
        case(
            "§6.9 WINDOW_UPDATE on a stream",
            &[post(1, "/"), window_update(1, 1000), data(END_STREAM, b"")],
            Answer(1),
        ),
    ])
    .await;
}

#[tokio::test]
async fn frames_of_the_connection_between_requests_change_nothing() {
    run(vec![
        case(
            "§6.5 SETTINGS",
            &[
                settings(&[(1, 0), (3, 100), (4, 70_000), (5, 20_000), (6, 9000)]),
                get(1, "/"),
            ],
            Answer(1),
        ),
        case(
            "§6.5 SETTINGS without a value",
            &[settings(&[]), get(1, "/")],
            Answer(1),
        ),
        case("§6.7 PING", &[frame(PING, 0, 0, &[1; 8])], Ignored),
        case(
            "§6.9 WINDOW_UPDATE on the connection",
            &[window_update(0, 1000), get(1, "/")],
            Answer(1),
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_server_says_its_settings_and_acknowledges_ours() {
    let mut stream = connect(&[(3, 10)]).await;
    // §3.4: "The server connection preface consists of a potentially empty SETTINGS frame that MUST
    // be the first frame the server sends".
    let first = next(&mut stream).await.unwrap();
    assert_eq!((first.kind, first.flags, first.stream), (SETTINGS, 0, 0));
    assert_eq!(first.payload.len() % 6, 0);
    let acknowledged = next_of(&mut stream, SETTINGS).await;
    assert_eq!((acknowledged.flags, acknowledged.payload.len()), (ACK, 0));
}

#[tokio::test]
async fn a_ping_comes_back_with_what_was_in_it() {
    let mut stream = connect(&[]).await;
    send(&mut stream, &frame(PING, ACK, 0, b"no reply")).await;
    send(&mut stream, &frame(PING, 0, 0, b"12345678")).await;
    let pong = next_of(&mut stream, PING).await;
    assert_eq!((pong.flags, &pong.payload[..]), (ACK, &b"12345678"[..]));
}

/// §6.8: streams that are open when the client takes leave are still answered.
#[tokio::test]
async fn a_goaway_lets_open_requests_finish() {
    let mut stream = connect(&[]).await;
    let goaway = frame(GOAWAY, 0, 0, &[0; 8]);
    send(&mut stream, &[post(1, "/"), goaway].concat()).await;
    send(&mut stream, &frame(DATA, END_STREAM, 1, b"abc")).await;
    assert!(next_of(&mut stream, HEADERS).await.has_status(200));
}
