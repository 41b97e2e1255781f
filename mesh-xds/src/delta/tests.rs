//! A client against requests and responses as values, and against a model of a server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Answer, Applied, Change, Delta, DeltaConfig, Interest, Resources, Subscription};
use crate::apply::Rejection;
use crate::wire::discovery::{Any, DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node, Resource};

mod demand;
mod model;
mod reconnect;
mod response;

const TYPE: &str = "type.googleapis.com/test.Text";

/// What the resources of the tests are: texts. `bad` ones are rejected, `worse` ones are and leave
/// something in their place.
#[derive(Clone, Default)]
struct Texts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    known: BTreeMap<String, String>,
    /// Every removal of something known, in order.
    removals: Vec<String>,
}

impl Texts {
    fn known(&self) -> Vec<(String, String)> {
        let state = self.0.lock().unwrap();
        state.known.clone().into_iter().collect()
    }

    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().known.keys().cloned().collect()
    }
}

impl Resources for Texts {
    fn type_url(&self) -> &str {
        TYPE
    }

    fn apply(&mut self, change: Change) -> Applied {
        let mut state = self.0.lock().unwrap();
        for name in change.removed {
            if state.known.remove(&*name).is_some() {
                state.removals.push(name.to_string());
            }
        }
        let (mut rejected, mut replaced) = (Vec::new(), Vec::new());
        for incoming in change.resources {
            let text = String::from_utf8(incoming.body.to_vec()).unwrap();
            if text == "worse" {
                state
                    .known
                    .insert(incoming.name.to_string(), "instead".into());
                replaced.push(incoming.name.clone());
            }
            if matches!(&*text, "bad" | "worse") {
                rejected.push(Rejection::new(incoming.name, "it is bad"));
            } else {
                state.known.insert(incoming.name.to_string(), text);
            }
        }
        Applied::new(rejected, 0).replacing(replaced)
    }
}

/// A client of texts with an open stream, whose first requests have been sent.
struct Client {
    delta: Delta,
    texts: Texts,
    now: Instant,
}

impl Client {
    fn new(interest: Interest) -> Self {
        Self::with(interest, DeltaConfig::default())
    }

    fn with(interest: Interest, mut config: DeltaConfig) -> Self {
        config.node = Node {
            id: "node".into(),
            ..Node::default()
        };
        let texts = Texts::default();
        let subscription = Subscription::new(texts.clone()).interest(interest);
        Self {
            delta: Delta::new(config, [subscription]),
            texts,
            now: Instant::now(),
        }
    }

    fn open(&mut self) -> Vec<DeltaDiscoveryRequest> {
        self.delta.opened(self.now);
        self.requests()
    }

    fn requests(&mut self) -> Vec<DeltaDiscoveryRequest> {
        std::iter::from_fn(|| self.delta.next_request(self.now)).collect()
    }

    fn request(&mut self) -> DeltaDiscoveryRequest {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    fn receive(&mut self, response: DeltaDiscoveryResponse) -> DeltaDiscoveryRequest {
        self.delta.receive(response, self.now);
        self.request()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.delta.advance(self.now);
    }

    fn answers(&mut self) -> Vec<Answer> {
        std::iter::from_fn(|| self.delta.next_answer())
            .map(|(_, answer)| answer)
            .collect()
    }

    fn demand(&mut self, name: &str) {
        self.delta.demand(TYPE, name.into(), self.now);
    }
}

fn resource(name: &str, version: &str, text: &str) -> Resource {
    Resource {
        name: name.into(),
        version: version.into(),
        resource: Some(Any {
            type_url: TYPE.into(),
            value: text.to_owned().into(),
        }),
        ..Resource::default()
    }
}

fn response(resources: Vec<Resource>, removed: &[&str]) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        type_url: TYPE.into(),
        nonce: "nonce".into(),
        resources,
        removed_resources: removed.iter().map(ToString::to_string).collect(),
        ..DeltaDiscoveryResponse::default()
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    owned.collect()
}

fn versions(request: &DeltaDiscoveryRequest) -> Vec<(String, String)> {
    let sorted: BTreeMap<_, _> = request
        .initial_resource_versions
        .clone()
        .into_iter()
        .collect();
    sorted.into_iter().collect()
}
