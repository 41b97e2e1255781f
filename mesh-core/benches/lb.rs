//! One choice of a host, by algorithm and number of hosts: `cargo bench -p mesh-core --bench lb`.
#![allow(missing_docs)]

use std::time::Instant;

use divan::{Bencher, black_box};
use mesh_core::lb::{Algorithm, Balancing, Cluster, HostSpec, Pick, RingSize, TableSize};

fn main() {
    divan::main();
}

const HOSTS: [usize; 3] = [10, 100, 10_000];

fn cluster(algorithm: Algorithm, hosts: usize, start: Instant) -> Cluster<usize> {
    let mut balancing = Balancing::default();
    balancing.algorithm = algorithm;
    let hosts = (0..hosts)
        .map(|host| HostSpec::new(format!("10.0.{}.{}:80", host / 256, host % 256), host));
    Cluster::new(balancing, hosts.collect(), start, &mut || 0)
}

fn pick(bencher: Bencher<'_, '_>, algorithm: Algorithm, hosts: usize) {
    let start = Instant::now();
    let cluster = cluster(algorithm, hosts, start);
    let mut state = 0_u64;
    let mut random = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state ^ (state >> 31)
    };
    bencher.bench_local(|| {
        let pick = Pick::default();
        black_box(cluster.pick(&pick, start, &mut random))
    });
}

#[divan::bench(args = HOSTS)]
fn round_robin(bencher: Bencher<'_, '_>, hosts: usize) {
    pick(bencher, Algorithm::RoundRobin, hosts);
}

#[divan::bench(args = HOSTS)]
fn least_request(bencher: Bencher<'_, '_>, hosts: usize) {
    pick(bencher, Algorithm::LeastRequest { choices: 2 }, hosts);
}

#[divan::bench(args = HOSTS)]
fn peak_ewma(bencher: Bencher<'_, '_>, hosts: usize) {
    pick(bencher, Algorithm::PeakEwma, hosts);
}

#[divan::bench(args = HOSTS)]
fn ring_hash(bencher: Bencher<'_, '_>, hosts: usize) {
    pick(bencher, Algorithm::RingHash(RingSize::default()), hosts);
}

#[divan::bench(args = HOSTS)]
fn maglev(bencher: Bencher<'_, '_>, hosts: usize) {
    pick(bencher, Algorithm::Maglev(TableSize::default()), hosts);
}
