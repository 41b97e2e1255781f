//! Sequences of responses, streams, demands and time: no panic, no request above the limit, every
//! demand answered once, and versions of exactly what is there.
#![no_main]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use mesh_xds::apply::Rejection;
use mesh_xds::delta::{Applied, Change, Delta, DeltaConfig, Interest, Resources, Subscription};
use mesh_xds::wire::discovery::{Any, DeltaDiscoveryResponse, Resource};
use prost::Message;

const TYPE: &str = "text";
const LIMIT: usize = 120;

#[derive(Arbitrary, Debug)]
struct Piece {
    name: u8,
    alias: Option<u8>,
    version: u16,
    kind: u8,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Open,
    Close,
    Receive {
        resources: Vec<Piece>,
        removed: Vec<u8>,
        other_type: bool,
    },
    Probe {
        resources: Vec<Piece>,
        removed: Vec<u8>,
    },
    EndProbe,
    Demand(u8),
    Subscribe(u8),
    Unsubscribe(u8),
    Pass(u8),
}

#[derive(Arbitrary, Debug)]
struct Input {
    interest: u8,
    steps: Vec<Step>,
}

/// Keeps names; rejects resources without a body.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeSet<String>>>);

impl Resources for Names {
    fn type_url(&self) -> &str {
        TYPE
    }

    fn apply(&mut self, change: Change) -> Applied {
        let mut names = self.0.lock().unwrap();
        for name in change.removed {
            names.remove(&*name);
        }
        let mut rejected = Vec::new();
        for incoming in change.resources {
            if incoming.body.is_empty() {
                rejected.push(Rejection::new(incoming.name, "empty"));
            } else {
                names.insert(incoming.name.to_string());
            }
        }
        Applied::new(rejected, 0)
    }
}

fn name(index: u8) -> String {
    match index % 24 {
        0 => String::new(),
        index => format!("n-{index}"),
    }
}

fn response(resources: Vec<Piece>, removed: Vec<u8>, other_type: bool) -> DeltaDiscoveryResponse {
    let resource = |piece: Piece| Resource {
        name: name(piece.name),
        version: piece.version.to_string(),
        aliases: piece.alias.map(name).into_iter().collect(),
        resource: (piece.kind % 8 != 0).then(|| Any {
            type_url: if piece.kind % 8 == 1 { "other" } else { TYPE }.to_owned(),
            value: if piece.kind % 8 == 2 { "" } else { "x" }.into(),
        }),
        ..Resource::default()
    };
    DeltaDiscoveryResponse {
        type_url: if other_type { "other" } else { TYPE }.to_owned(),
        nonce: "1".to_owned(),
        resources: resources.into_iter().map(resource).collect(),
        removed_resources: removed.into_iter().map(name).collect(),
        ..DeltaDiscoveryResponse::default()
    }
}

fuzz_target!(|input: Input| {
    let names = Names::default();
    let interest = match input.interest % 3 {
        0 => Interest::All,
        1 => Interest::Named(vec!["n-1".into(), "n-2".into()]),
        _ => Interest::OnDemand,
    };
    let mut config = DeltaConfig::default();
    config.request_bytes = LIMIT;
    config.rejection_bytes = 64;
    config.demands = 8;
    let subscription = Subscription::new(names.clone()).interest(interest);
    let mut delta = Delta::new(config, [subscription]);
    let mut now = Instant::now();
    let mut open_demands = BTreeSet::new();
    for step in input.steps {
        match step {
            Step::Open => delta.opened(now),
            Step::Close => delta.closed(),
            Step::Receive {
                resources,
                removed,
                other_type,
            } => {
                delta.receive(response(resources, removed, other_type), now);
            }
            Step::Probe { resources, removed } => {
                delta.probe_received(response(resources, removed, false), now);
            }
            Step::EndProbe => delta.probe_ended(now),
            Step::Demand(index) => {
                assert!(open_demands.insert(delta.demand(TYPE, name(index).into(), now)));
            }
            Step::Subscribe(index) => delta.subscribe(TYPE, [name(index).into()]),
            Step::Unsubscribe(index) => delta.unsubscribe(TYPE, [name(index).into()]),
            Step::Pass(seconds) => {
                now += Duration::from_secs(seconds.into());
                delta.advance(now);
            }
        }
        delta.next_probe(now);
        while let Some(request) = delta.next_request(now) {
            // A rejection has a limit of its own.
            if request.error_detail.is_none() {
                assert!(request.encoded_len() <= LIMIT, "{request:?}");
            }
        }
        while let Some((id, _)) = delta.next_answer() {
            assert!(open_demands.remove(&id), "answered twice");
        }
        assert_eq!(delta.known(TYPE), names.0.lock().unwrap().len());
    }
    delta.advance(now + Duration::from_secs(3600));
    while let Some((id, _)) = delta.next_answer() {
        assert!(open_demands.remove(&id), "answered twice");
    }
    assert!(open_demands.is_empty(), "a demand without an end");
});
