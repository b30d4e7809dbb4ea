//! HPACK (RFC 7541): every form of a field line is understood, and what is wrong ends the
//! connection with COMPRESSION_ERROR (RFC 9113 §4.3).

use crate::frames::*;
use crate::stage::Expected::{Answer, Connection};
use crate::stage::{Case, case, run};

/// `:method: GET`, `:scheme: http`, `:path: /` from the static table, and an authority.
fn indexed() -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x84, 0x41];
    block.extend(string("a.example"));
    block
}

/// A GET with `line` before or behind its fields.
fn with(before: &[u8], behind: &[u8]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, &[before, &indexed(), behind].concat())
}

fn right(name: &'static str, before: &[u8], behind: &[u8]) -> Case {
    case(name, &[with(before, behind)], Answer(1))
}

fn wrong(name: &'static str, before: &[u8], behind: &[u8]) -> Case {
    case(
        name,
        &[with(before, behind)],
        Connection(&[COMPRESSION_ERROR]),
    )
}

#[tokio::test]
async fn every_form_of_a_field_line_is_read() {
    let new = |first: u8| [&[first][..], &string("x-a"), &string("b")].concat();
    let known = |first: u8| [&[first][..], &string("b")].concat();
    // "www.example.com" of RFC 7541 appendix C.4.1, as the value of a field.
    let huffman = [
        0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
    ];
    run(vec![
        right("RFC 7541 §6.1 an indexed field", &[], &[0x90]),
        right(
            "RFC 7541 §6.2.1 a literal for the table, name from the table",
            &[],
            &known(0x7a),
        ),
        right(
            "RFC 7541 §6.2.1 a literal for the table, new name",
            &[],
            &new(0x40),
        ),
        right(
            "RFC 7541 §6.2.1 a literal that is taken from the table at once",
            &[],
            &[&new(0x40)[..], &[0xbe]].concat(),
        ),
        right(
            "RFC 7541 §6.2.2 a literal without indexing, name from the table",
            &[],
            &[&[0x0f, 0x2b][..], &string("b")].concat(),
        ),
        right(
            "RFC 7541 §6.2.2 a literal without indexing, new name",
            &[],
            &new(0),
        ),
        right(
            "RFC 7541 §6.2.3 a literal that is never indexed, name from the table",
            &[],
            &[&[0x1f, 0x2b][..], &string("b")].concat(),
        ),
        right(
            "RFC 7541 §6.2.3 a literal that is never indexed, new name",
            &[],
            &new(0x10),
        ),
        right(
            "RFC 7541 §5.2 a value in Huffman code",
            &[],
            &[&[0x00][..], &string("x-a"), &huffman].concat(),
        ),
        right(
            "RFC 7541 §5.1 a length with more bytes than it needs",
            &[],
            &[
                &[0x00][..],
                &string("x-a"),
                &[0x7f, 0x80, 0x80, 0x00],
                &[b'x'; 127],
            ]
            .concat(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_table_may_shrink_and_be_emptied() {
    run(vec![
        right("RFC 7541 §6.3 a smaller table", &[0x3f, 0x21], &[]),
        right(
            "RFC 7541 §4.2 the table's size changed twice",
            &[0x20, 0x3f, 0xe1, 0x1f],
            &[],
        ),
        right(
            "RFC 7541 §4.4 a field larger than the table empties it",
            &[],
            &[&[0x40][..], &string("x-a"), &string(&"y".repeat(5000))].concat(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_table_lives_as_long_as_the_connection() {
    let added = [&[0x40][..], &string("x-a"), &string("b")].concat();
    // It is the second newest: `indexed` adds the authority to the table again.
    let used = frame(HEADERS, WHOLE, 3, &[&indexed()[..], &[0xbf]].concat());
    run(vec![
        case(
            "RFC 7541 §2.2 a field that an earlier request has added",
            std::slice::from_ref(&used),
            Answer(3),
        )
        .after(&with(&[], &added)),
        case(
            "RFC 7541 §4.3 a field that a smaller table has lost",
            &[frame(
                HEADERS,
                WHOLE,
                3,
                &[&[0x20][..], &indexed(), &[0xbf]].concat(),
            )],
            Connection(&[COMPRESSION_ERROR]),
        )
        .after(&with(&[], &added)),
        // §4.3 of RFC 9113: the block of a stream that was reset changes the table all the same.
        case(
            "RFC 9113 §4.3 a field of a request that was reset",
            &[with(&[], &added), reset(1, 8), used],
            Answer(3),
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_cannot_be_decoded_ends_the_connection() {
    let value = |bytes: &[u8]| [&[0x00][..], &string("x-a"), bytes].concat();
    let larger = [0x3f, 0xe2, 0x1f];
    run(vec![
        wrong(
            "RFC 7541 §2.3.3 an index beyond both tables",
            &[],
            &[0xff, 0x00],
        ),
        wrong(
            "RFC 7541 §2.3.3 a literal whose name is beyond both tables",
            &[],
            &[0x7f, 0x01, 0x01, b'b'],
        ),
        wrong(
            "RFC 7541 §4.2 a change of size behind a field",
            &[],
            &[0x20],
        ),
        wrong(
            "RFC 7541 §6.3 a table larger than was allowed",
            &larger,
            &[],
        ),
        wrong("RFC 7541 §6.1 index 0", &[], &[0x80]),
        wrong(
            "RFC 7541 §5.2 padding longer than 7 bits",
            &[],
            &value(&[0x82, 0x1f, 0xff]),
        ),
        wrong("RFC 7541 §5.2 padding of zeros", &[], &value(&[0x81, 0x18])),
        wrong(
            "RFC 7541 §5.2 EOS in Huffman code",
            &[],
            &value(&[0x84, 0xff, 0xff, 0xff, 0xff]),
        ),
        wrong(
            "RFC 7541 §5.1 an integer without an end",
            &[],
            &value(&[
                0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f,
            ]),
        ),
        wrong(
            "RFC 7541 §5.2 a string that is longer than the block",
            &[],
            &value(&[0x10, b'a']),
        ),
    ])
    .await;
}
