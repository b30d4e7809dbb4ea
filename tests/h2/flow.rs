//! RFC 9113 §6.5.3 and §6.9: no byte is sent that there is no window for.

use crate::frames::*;
use crate::stage::connect;

/// SETTINGS_INITIAL_WINDOW_SIZE.
const WINDOW: u16 = 4;

/// The answer to `GET /` and its length.
const ANSWER: &[u8] = b"GET / 0 0";

#[tokio::test]
async fn a_window_of_one_byte_lets_one_byte_pass() {
    let mut stream = connect(&[(WINDOW, 1)]).await;
    send(&mut stream, &get(1, "/")).await;
    let data = next_of(&mut stream, DATA).await;
    assert_eq!((&data.payload[..], data.is_last()), (&ANSWER[..1], false));
}

/// §6.5.3: "The values in the SETTINGS frame MUST be processed in the order they appear".
#[tokio::test]
async fn of_several_values_the_last_counts() {
    let mut stream = connect(&[(WINDOW, 100), (WINDOW, 1)]).await;
    send(&mut stream, &get(1, "/")).await;
    assert_eq!(next_of(&mut stream, DATA).await.payload, &ANSWER[..1]);
}

#[tokio::test]
async fn a_window_that_opens_later_counts_for_streams_that_are_open() {
    let mut stream = connect(&[(WINDOW, 0)]).await;
    send(&mut stream, &get(1, "/")).await;
    next_of(&mut stream, HEADERS).await;
    // Whatever was sent before the PING is answered would be here before its answer.
    send(&mut stream, &frame(PING, 0, 0, &[0; 8])).await;
    let pong = loop {
        let frame = next(&mut stream).await.unwrap();
        assert_ne!(frame.kind, DATA);
        if frame.kind == PING {
            break frame;
        }
    };
    assert_eq!(pong.flags, ACK);
    send(&mut stream, &settings(&[(WINDOW, 1)])).await;
    assert_eq!(next_of(&mut stream, DATA).await.payload, &ANSWER[..1]);
}

/// §6.9.2: "A change to SETTINGS_INITIAL_WINDOW_SIZE can cause the available space in a
/// flow-control window to become negative."
#[tokio::test]
async fn a_window_can_be_negative() {
    let mut stream = connect(&[(WINDOW, 3)]).await;
    send(&mut stream, &get(1, "/")).await;
    assert_eq!(next_of(&mut stream, DATA).await.payload, &ANSWER[..3]);
    send(&mut stream, &settings(&[(WINDOW, 2)])).await;
    // −1 and 2 more.
    send(&mut stream, &window_update(1, 2)).await;
    assert_eq!(next_of(&mut stream, DATA).await.payload, &ANSWER[3..4]);
}

/// §5.2.1: each frame of content counts on the stream and on the connection.
#[tokio::test]
async fn a_client_that_sends_more_than_its_window_is_stopped() {
    let mut stream = connect(&[]).await;
    send(&mut stream, &post(1, "/hold")).await;
    let content = frame(DATA, 0, 1, &[b'x'; FRAME_SIZE]);
    // Nobody has read what came, or it was read at once: in the end one window or the other is
    // used up, or has been opened again.
    let mut window = 65_535_i64;
    let mut opened = false;
    loop {
        match next(&mut stream).await {
            Some(frame) if frame.kind == SETTINGS && frame.flags & ACK == 0 => {
                window = initial_window(&frame.payload).unwrap_or(window);
                break;
            }
            Some(_) => {}
            None => panic!("the connection ended"),
        }
    }
    // On purpose beyond the connection's window, in one go.
    let frames = usize::try_from(window).unwrap() / FRAME_SIZE * 8 + 80;
    send(&mut stream, &content.repeat(frames)).await;
    let mut code = None;
    while let Some(frame) = next(&mut stream).await {
        match frame.kind {
            GOAWAY | RST_STREAM => {
                code = Some(frame.code());
                break;
            }
            WINDOW_UPDATE => opened = true,
            _ => {}
        }
        if opened {
            return;
        }
    }
    assert!(matches!(code, None | Some(FLOW_CONTROL_ERROR)), "{code:?}");
}

fn initial_window(payload: &[u8]) -> Option<i64> {
    let mut values = payload.chunks(6);
    let value = values.find(|value| value[..2] == WINDOW.to_be_bytes())?;
    Some(u32::from_be_bytes(value[2..].try_into().ok()?).into())
}
