//! RFC 9113 §3.4, §4 and §5.5: the preface, the format of frames, what nobody knows.

use crate::frames::*;
use crate::stage::Expected::{Answer, Connection, Stream};
use crate::stage::{case, run};

#[tokio::test]
async fn the_preface_begins_the_connection() {
    let wrong = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX".to_vec();
    run(vec![
        case(
            "§3.4 the preface and no SETTINGS",
            &[PREFACE.to_vec(), get(1, "/")],
            Connection(&[PROTOCOL_ERROR]),
        )
        .alone(),
        case(
            "§3.4 a preface that is wrong at its end",
            &[wrong],
            Connection(&[]),
        )
        .alone(),
    ])
    .await;
}

#[tokio::test]
async fn what_is_unknown_is_ignored() {
    run(vec![
        case(
            "§4.1 a frame of an unknown type",
            &[frame(0x42, 0xff, 0, b"abc"), get(1, "/")],
            Answer(1),
        ),
        case(
            "§5.5 a frame of an unknown type on a stream",
            &[frame(0xfe, 0, 1, b""), get(1, "/")],
            Answer(1),
        ),
        case(
            "§4.1 unknown flags",
            &[frame(HEADERS, WHOLE | 0x52, 1, &head("GET", "/", &[]))],
            Answer(1),
        ),
        case(
            "§4.1 unknown flags of PING",
            &[frame(PING, 0xfe, 0, &[0; 8]), get(1, "/")],
            Answer(1),
        ),
        case(
            "§4.1 the reserved bit",
            &[frame(PING, 0, 0x8000_0000, &[0; 8]), get(0x8000_0001, "/")],
            Answer(1),
        ),
        case(
            "§6.5.2 an unknown setting",
            &[settings(&[(0xff, 1), (9, 7)]), get(1, "/")],
            Answer(1),
        ),
        case(
            "§7 an unknown error code in RST_STREAM",
            &[get(1, "/hold"), reset(1, 0xff), get(3, "/")],
            Answer(3),
        ),
        case(
            "§7 an unknown error code in GOAWAY",
            &[
                post(1, "/"),
                frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0xff]),
                frame(DATA, END_STREAM, 1, b""),
            ],
            Answer(1),
        ),
    ])
    .await;
}

#[tokio::test]
async fn frames_have_the_size_that_was_agreed() {
    let largest = vec![b'x'; FRAME_SIZE];
    let larger = vec![0; FRAME_SIZE + 1];
    run(vec![
        case(
            "§4.2 DATA of 2^14 bytes",
            &[post(1, "/"), frame(DATA, END_STREAM, 1, &largest)],
            Answer(1),
        ),
        case(
            "§4.2 DATA of one byte more",
            &[post(1, "/"), frame(DATA, END_STREAM, 1, &larger)],
            Stream(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "§4.2 HEADERS of one byte more",
            &[frame(HEADERS, WHOLE, 1, &larger)],
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "§4.2 SETTINGS of more",
            &[frame(SETTINGS, 0, 0, &[0; 16_386])],
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "§4.2 an unknown frame of more",
            &[frame(0x42, 0, 0, &larger)],
            Connection(&[FRAME_SIZE_ERROR]),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_header_block_is_whole() {
    let begun = frame(HEADERS, END_STREAM, 1, &head("GET", "/", &[]));
    let wrong =
        |name, part| case(name, &[begun.clone(), part], Connection(&[PROTOCOL_ERROR])).open();
    run(vec![
        case(
            "§4.3 a block that cannot be decoded",
            &[frame(
                HEADERS,
                WHOLE,
                1,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            )],
            Connection(&[COMPRESSION_ERROR]),
        ),
        wrong(
            "§4.3 PRIORITY within a block",
            frame(PRIORITY, 0, 1, &priority(0, 1)),
        ),
        wrong("§4.3 HEADERS of another stream within a block", get(3, "/")),
        wrong(
            "§6.2 HEADERS of the same stream within a block",
            get(1, "/"),
        ),
        wrong(
            "§6.10 DATA within a block",
            frame(DATA, END_STREAM, 1, b"x"),
        ),
        wrong("§6.10 PING within a block", frame(PING, 0, 0, &[0; 8])),
        wrong("§6.10 SETTINGS within a block", settings(&[])),
        wrong("§6.10 RST_STREAM within a block", reset(1, 8)),
        wrong("§6.10 WINDOW_UPDATE within a block", window_update(0, 1)),
        wrong(
            "§6.10 CONTINUATION of another stream",
            frame(CONTINUATION, END_HEADERS, 3, &[]),
        ),
        wrong(
            "§5.5 an unknown frame within a block",
            frame(0x42, 0, 1, b"abc"),
        ),
    ])
    .await;
}
