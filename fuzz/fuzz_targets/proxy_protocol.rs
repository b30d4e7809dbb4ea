//! The PROXY protocol: the same client is found however the bytes arrive, and not one byte is taken
//! that belongs to the connection behind the header.

#![no_main]

use cms_edge::server::fuzzing::proxy_header;
use libfuzzer_sys::fuzz_target;

const V1_BYTES_MAX: usize = 107;
const V2_BYTES_MAX: usize = 16 + 4096;

fuzz_target!(|data: &[u8]| {
    let whole = proxy_header(data, usize::MAX);
    for step in [1, 2, 7] {
        assert_eq!(proxy_header(data, step), whole, "{step} at a time");
    }
    let Some((client, taken)) = whole else { return };
    assert!(taken <= data.len());
    let header = &data[..taken];
    if header.starts_with(b"PROXY") {
        assert!(taken <= V1_BYTES_MAX && header.ends_with(b"\r\n"));
        assert_eq!(header.iter().filter(|byte| **byte == b'\n').count(), 1);
    } else {
        assert!(taken <= V2_BYTES_MAX);
    }
    assert_eq!(
        proxy_header(header, usize::MAX),
        Some((client, taken)),
        "the header alone"
    );
});
