//! PROXY protocol headers: no prefix of a header is refused, and what is accepted survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_hbone::proxy_protocol::{Decoded, Limits, decode};

fuzz_target!(|input: &[u8]| {
    match decode(input, &Limits::default()) {
        Ok(Decoded::Complete { header, length }) => {
            for prefix in 0..length {
                let shorter = decode(&input[..prefix], &Limits::default());
                assert!(
                    matches!(shorter, Ok(Decoded::Partial { needed }) if needed > prefix && needed <= length)
                );
            }
            if let Ok(written) = header.encode() {
                let again = decode(&written, &Limits::default());
                assert!(
                    matches!(again, Ok(Decoded::Complete { header: same, .. }) if same == header)
                );
            }
        }
        Ok(Decoded::Partial { needed }) => assert!(needed > input.len()),
        _ => {}
    }
});
