//! The `grpc-timeout` header: what is accepted is what its digits and unit say.
#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use mesh_l7::router::grpc_timeout;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let Some(time) = grpc_timeout(&value) else {
        return;
    };
    let (unit, digits) = bytes.split_last().expect("what is accepted is not empty");
    let number: u128 = std::str::from_utf8(digits)
        .expect("ASCII")
        .parse()
        .expect("digits");
    let nanos = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        _ => 1,
    };
    assert_eq!(time.as_nanos(), number * nanos);
    assert!((2..=9).contains(&bytes.len()));
});
