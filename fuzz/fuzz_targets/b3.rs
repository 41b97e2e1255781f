//! B3 headers: what is accepted survives a round trip, and requests go on with valid headers only.
#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use mesh_core::traceparent::TraceParent;
use mesh_l7::telemetry::{B3, TraceSettings};

const NAMES: [&str; 7] = [
    "b3",
    "traceparent",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
];

fuzz_target!(|value: &[u8]| {
    if let Ok(b3) = B3::parse(value) {
        assert_eq!(B3::parse(b3.value().as_bytes()), Ok(b3));
    }
    // One line for each header; empty ones are not there.
    let mut headers = HeaderMap::new();
    for (name, line) in NAMES.iter().zip(value.split(|byte| *byte == b'\n')) {
        if let (false, Ok(value)) = (line.is_empty(), HeaderValue::from_bytes(line)) {
            headers.insert(*name, value);
        }
    }
    let mut next = 0;
    let mut random = || {
        next += 1;
        next
    };
    let trace = TraceSettings::default().pass_on(&mut headers, &mut random);
    let place = headers.get("traceparent").map(|value| value.as_bytes());
    assert_eq!(place.map(TraceParent::parse), trace.map(Ok));
    if let Some(b3) = headers.get("b3") {
        assert!(B3::parse(b3.as_bytes()).is_ok());
    }
});
