//! RFC 9113 §6: what is wrong with each kind of frame.

use crate::frames::*;
use crate::stage::Expected::{Connection, Ignored, Stream};
use crate::stage::{case, run};

const PROTOCOL: &[u32] = &[PROTOCOL_ERROR];
const SIZE: &[u32] = &[FRAME_SIZE_ERROR];
const FLOW: &[u32] = &[FLOW_CONTROL_ERROR];

#[tokio::test]
async fn wrong_data_and_headers_are_errors() {
    let with_priority = WHOLE | WITH_PRIORITY;
    run(vec![
        case(
            "§6.1 DATA on stream 0",
            &[frame(DATA, END_STREAM, 0, b"x")],
            Connection(PROTOCOL),
        ),
        case(
            "§6.1 DATA with more padding than payload",
            &[
                post(1, "/"),
                frame(DATA, END_STREAM | PADDED, 1, &[6, 0, 0, 0, 0, 0]),
            ],
            Connection(PROTOCOL),
        ),
        case(
            "§6.1 DATA that is padded and empty",
            &[post(1, "/"), frame(DATA, END_STREAM | PADDED, 1, &[])],
            Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        case(
            "§6.2 HEADERS on stream 0",
            &[get(0, "/")],
            Connection(PROTOCOL),
        ),
        case(
            "§6.2 HEADERS with more padding than payload",
            &[frame(HEADERS, WHOLE | PADDED, 1, &[200, 0x82, 0x86, 0x84])],
            Connection(PROTOCOL),
        ),
        case(
            "§6.2 HEADERS that are padded and empty",
            &[frame(HEADERS, WHOLE | PADDED, 1, &[])],
            Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        case(
            "§6.2 HEADERS too short for their priority",
            &[frame(HEADERS, with_priority, 1, &[0, 0])],
            Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        case(
            "§6.6 PUSH_PROMISE of a client",
            &[
                get(1, "/hold"),
                frame(
                    PUSH_PROMISE,
                    END_HEADERS,
                    1,
                    &[&[0, 0, 0, 2][..], &head("GET", "/", &[])].concat(),
                ),
            ],
            Connection(PROTOCOL),
        ),
    ])
    .await;
}

#[tokio::test]
async fn wrong_priorities_and_resets_are_errors() {
    run(vec![
        case(
            "§6.3 PRIORITY on stream 0",
            &[frame(PRIORITY, 0, 0, &priority(0, 1))],
            Connection(PROTOCOL),
        ),
        case(
            "§6.3 PRIORITY of 4 bytes",
            &[get(1, "/hold"), frame(PRIORITY, 0, 1, &[0; 4])],
            Stream(SIZE),
        ),
        case(
            "§6.4 RST_STREAM on stream 0",
            &[reset(0, 8)],
            Connection(PROTOCOL),
        ),
        case(
            "§6.4 RST_STREAM on an idle stream",
            &[reset(3, 8)],
            Connection(PROTOCOL),
        ),
        case(
            "§6.4 RST_STREAM of 3 bytes",
            &[get(1, "/hold"), frame(RST_STREAM, 0, 1, &[0; 3])],
            Connection(SIZE),
        ),
    ])
    .await;
}

#[tokio::test]
async fn wrong_settings_are_errors() {
    run(vec![
        case(
            "§6.5 SETTINGS with ACK and content",
            &[frame(SETTINGS, ACK, 0, &[0; 6])],
            Connection(SIZE),
        ),
        case(
            "§6.5 SETTINGS on a stream",
            &[frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 9])],
            Connection(PROTOCOL),
        ),
        case(
            "§6.5 SETTINGS of 5 bytes",
            &[frame(SETTINGS, 0, 0, &[0; 5])],
            Connection(SIZE),
        ),
        case(
            "§6.5.2 SETTINGS_ENABLE_PUSH of 2",
            &[settings(&[(2, 2)])],
            Connection(PROTOCOL),
        ),
        case(
            "§6.5.2 SETTINGS_INITIAL_WINDOW_SIZE of 2^31",
            &[settings(&[(4, 1 << 31)])],
            Connection(FLOW),
        ),
        case(
            "§6.5.2 SETTINGS_MAX_FRAME_SIZE of 2^14 - 1",
            &[settings(&[(5, 16_383)])],
            Connection(PROTOCOL),
        ),
        case(
            "§6.5.2 SETTINGS_MAX_FRAME_SIZE of 2^24",
            &[settings(&[(5, 1 << 24)])],
            Connection(PROTOCOL),
        ),
        case(
            "§6.5.3 SETTINGS with ACK, the answer to the server's own",
            &[frame(SETTINGS, ACK, 0, &[])],
            Ignored,
        ),
    ])
    .await;
}

#[tokio::test]
async fn wrong_pings_and_farewells_are_errors() {
    run(vec![
        case(
            "§6.7 PING on a stream",
            &[frame(PING, 0, 1, &[0; 8])],
            Connection(PROTOCOL),
        ),
        case(
            "§6.7 PING of 6 bytes",
            &[frame(PING, 0, 0, &[0; 6])],
            Connection(SIZE),
        ),
        case(
            "§6.8 GOAWAY on a stream",
            &[frame(GOAWAY, 0, 1, &[0; 8])],
            Connection(PROTOCOL),
        ),
        case(
            "§6.8 GOAWAY of 7 bytes",
            &[frame(GOAWAY, 0, 0, &[0; 7])],
            Connection(SIZE),
        ),
    ])
    .await;
}

#[tokio::test]
async fn wrong_windows_are_errors() {
    const MOST: u32 = (1 << 31) - 1;
    run(vec![
        case(
            "§6.9 WINDOW_UPDATE by 0 on the connection",
            &[window_update(0, 0)],
            Connection(PROTOCOL),
        ),
        case(
            "§6.9 WINDOW_UPDATE by 0 on a stream",
            &[get(1, "/hold"), window_update(1, 0)],
            Stream(PROTOCOL),
        ),
        case(
            "§6.9 WINDOW_UPDATE of 3 bytes",
            &[frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1])],
            Connection(SIZE),
        ),
        case(
            "§6.9.1 a connection's window beyond 2^31 - 1",
            &[window_update(0, MOST), window_update(0, MOST)],
            Connection(FLOW),
        ),
        case(
            "§6.9.1 a stream's window beyond 2^31 - 1",
            &[
                get(1, "/hold"),
                window_update(1, MOST),
                window_update(1, MOST),
            ],
            Stream(FLOW),
        ),
        case(
            "§6.9.2 a stream's window beyond 2^31 - 1 by SETTINGS",
            &[
                get(1, "/hold"),
                window_update(1, MOST - 65_535),
                settings(&[(4, 65_536)]),
            ],
            Connection(FLOW),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_continuation_follows_headers_that_go_on() {
    let rest = || frame(CONTINUATION, END_HEADERS, 1, &field("x-a", "b"));
    run(vec![
        case(
            "§6.10 CONTINUATION on stream 0",
            &[frame(CONTINUATION, END_HEADERS, 0, &[])],
            Connection(PROTOCOL),
        ),
        case(
            "§6.10 CONTINUATION after HEADERS that ended",
            &[post(1, "/"), rest()],
            Connection(PROTOCOL),
        ),
        case(
            "§6.10 CONTINUATION after CONTINUATION that ended",
            &[
                frame(HEADERS, 0, 1, &head("POST", "/", &[])),
                rest(),
                rest(),
            ],
            Connection(PROTOCOL),
        ),
        case(
            "§6.10 CONTINUATION after DATA",
            &[post(1, "/"), frame(DATA, 0, 1, b"x"), rest()],
            Connection(PROTOCOL),
        ),
        case(
            "§6.10 CONTINUATION on stream 0 within a block",
            &[
                frame(HEADERS, 0, 1, &head("POST", "/", &[])),
                frame(CONTINUATION, END_HEADERS, 0, &[]),
            ],
            Connection(PROTOCOL),
        )
        .open(),
    ])
    .await;
}
