//! The `traceparent` header: what is accepted survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_core::traceparent::TraceParent;

fuzz_target!(|value: &[u8]| {
    if let Ok(parent) = TraceParent::parse(value) {
        assert_ne!(parent.trace_id(), [0; 16]);
        assert_ne!(parent.parent_id(), [0; 8]);
        assert_eq!(TraceParent::parse(&parent.to_bytes()), Ok(parent));
    }
});
