//! Writing and reading what travels in the headers of a CONNECT request and in certificates.
#![allow(missing_docs, clippy::unwrap_used)]

use divan::{Bencher, black_box};
use mesh_core::baggage::Baggage;
use mesh_core::forwarded;
use mesh_core::identity::SpiffeId;
use mesh_core::traceparent::TraceParent;

const BAGGAGE: &str = "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.pod.name=a,\
                       service.name=a,service.version=latest,cloud.region=r1,\
                       cloud.availability_zone=r1z2";
const ENCODED: &str = "k8s.namespace.name=a%3Db%2Cc,service.name=%C3%A9";
const FORWARDED: &str = r#"for="10.77.0.2:38638";host=cart.shop.svc.cluster.local"#;
const TRACE: &str = "00-decd5942fd42fe0e4d3bf061aa5b84db-34e7f61f20bb84af-00";
const ID: &str = "spiffe://cluster.local/ns/shop/sa/cart";

fn main() {
    divan::main();
}

#[divan::bench(args = [BAGGAGE, ENCODED])]
fn baggage_parse(header: &str) -> Baggage {
    Baggage::parse([black_box(header).as_bytes()])
}

#[divan::bench(args = [BAGGAGE, ENCODED])]
fn baggage_encode(bencher: Bencher<'_, '_>, header: &str) {
    let baggage = Baggage::parse([header.as_bytes()]);
    bencher.bench(|| black_box(&baggage).encode());
}

#[divan::bench]
fn forwarded_encode() -> String {
    let client = ([10, 77, 0, 2], 38638).into();
    forwarded::encode(
        black_box(client),
        black_box(Some("cart.shop.svc.cluster.local")),
    )
}

#[divan::bench]
fn forwarded_host() -> Option<&'static str> {
    forwarded::host(black_box(FORWARDED).as_bytes())
}

#[divan::bench]
fn traceparent_parse() -> bool {
    TraceParent::parse(black_box(TRACE).as_bytes()).is_ok()
}

#[divan::bench]
fn traceparent_encode(bencher: Bencher<'_, '_>) {
    let trace: TraceParent = TRACE.parse().unwrap();
    bencher.bench(|| black_box(&trace).to_bytes());
}

#[divan::bench]
fn spiffe_id_parse() -> SpiffeId {
    black_box(ID).parse().unwrap()
}
