//! The `baggage` header: bounded whatever a peer sends, and stable once written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_core::baggage::Baggage;

fuzz_target!(|lines: Vec<&[u8]>| {
    let baggage = Baggage::parse(lines);
    assert!(baggage.namespace.as_str().len() <= 256);
    let written = baggage.encode();
    let again = Baggage::parse([written.as_bytes()]);
    // The kind of a workload without a name is not written.
    let kind = if baggage.workload_name.as_str().is_empty() {
        again.workload_type
    } else {
        baggage.workload_type
    };
    assert_eq!(
        again,
        Baggage {
            workload_type: kind,
            ..baggage
        }
    );
});
