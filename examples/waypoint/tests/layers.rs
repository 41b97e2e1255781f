//! How often all layers together allocate for a request: a bound, so that it does not grow unnoticed.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../benches/layers/world.rs"]
mod world;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use world::{Manifests, connection, exchange, request};

#[global_allocator]
static ALLOC: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The upstream's answer takes two of these. Where a request may be sent again its head is kept, in one block.
#[tokio::test(flavor = "current_thread")]
async fn a_request_passes_all_layers_with_few_allocations() {
    let manifests = Manifests::write();
    let layers = manifests.layers("off");
    for (service, most) in [("web", 9), ("plain", 12)] {
        let (mut requests, downstream) = connection(&layers, service);
        let mut counts = Vec::new();
        for _ in 0..64 {
            let request = request(&downstream);
            let region = Region::new(ALLOC);
            assert_eq!(exchange(&mut requests, request), 1024);
            counts.push(region.change().allocations + region.change().reallocations);
        }
        counts.sort_unstable();
        let median = counts[counts.len() / 2];
        println!("{service}: {counts:?}");
        assert!(median <= most, "{service}: {counts:?}");
    }
}
