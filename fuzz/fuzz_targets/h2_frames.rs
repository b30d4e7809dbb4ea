//! The watch over HTTP/2 frames: it cuts no connection later because the bytes came in other
//! pieces, and its farewell is always a whole GOAWAY frame.

#![no_main]

use cms_edge::server::fuzzing::frames;
use cms_edge_fuzz::{pattern, pieces};
use libfuzzer_sys::fuzz_target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fuzz_target!(|data: &[u8]| {
    let Some((cuts, data)) = pattern(data) else {
        return;
    };
    let bytes = [PREFACE, data].concat();
    let (whole, farewell) = frames(2, [(true, &bytes[..])]);
    check(farewell.as_deref());
    let (cut, _) = frames(
        2,
        pieces(&bytes, cuts).into_iter().map(|piece| (true, piece)),
    );
    // The head of a padded frame that comes alone counts as one that is nearly empty.
    assert!(
        whole.is_none() || cut.is_some(),
        "cut in one piece and not in several"
    );
    // Both ways at once: what goes out earns the client control frames, and never a panic.
    let both = pieces(&bytes, cuts.rotate_left(7));
    let both = both.into_iter().enumerate();
    let (_, farewell) = frames(2, both.map(|(at, piece)| (at % 3 != 1, piece)));
    check(farewell.as_deref());
});

fn check(farewell: Option<&[u8]>) {
    if let Some(frame) = farewell {
        assert_eq!(frame.len(), 17);
        assert_eq!(frame[..5], [0, 0, 8, 7, 0]);
    }
}
