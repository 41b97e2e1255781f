//! One request through all layers of the waypoint, without sockets: `cargo bench -p waypoint --bench layers`.
//! The upstream answers at once with 1 KiB.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

#[path = "layers/world.rs"]
mod world;

use divan::{AllocProfiler, Bencher};
use world::{Manifests, connection, exchange, request};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn run(bencher: Bencher<'_, '_>, service: &str, access_log: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let manifests = Manifests::write();
    let layers = manifests.layers(access_log);
    let (mut service, downstream) = connection(&layers, service);
    let inputs = bencher.with_inputs(|| request(&downstream));
    inputs.bench_local_values(|request| exchange(&mut service, request));
}

/// What making and dropping a request costs, which the others have too.
#[divan::bench]
fn floor_request_dropped(bencher: Bencher<'_, '_>) {
    let manifests = Manifests::write();
    let (_, downstream) = connection(&manifests.layers("off"), "web");
    let inputs = bencher.with_inputs(|| request(&downstream));
    inputs.bench_local_values(drop);
}

#[divan::bench]
fn routed(bencher: Bencher<'_, '_>) {
    run(bencher, "web", "off");
}

#[divan::bench]
fn with_retries_and_limit(bencher: Bencher<'_, '_>) {
    run(bencher, "plain", "off");
}

#[divan::bench]
fn routed_with_text_log(bencher: Bencher<'_, '_>) {
    run(bencher, "web", "text");
}

#[divan::bench]
fn routed_with_json_log(bencher: Bencher<'_, '_>) {
    run(bencher, "web", "json");
}
