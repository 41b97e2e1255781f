//! Against a model of a server: the client ends with what the server has, whatever the server
//! splits, whatever order it chooses and whenever streams break, and never loses what exists.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// A server of one client. It owes each stream what the stream has not been told.
#[derive(Default)]
struct Server {
    /// Name to version, which is the text as well.
    has: BTreeMap<String, u32>,
    version: u32,
    /// Names that the stream is to be told about, in an order of the test's choice.
    owed: Vec<String>,
    /// Names that the stream's client has, as far as the server knows.
    told: BTreeSet<String>,
    /// The same of the stream of a probe.
    probe_owed: VecDeque<String>,
}

impl Server {
    fn set(&mut self, name: &str, exists: bool) {
        self.version += 1;
        if exists {
            self.has.insert(name.to_owned(), self.version);
        } else if self.has.remove(name).is_none() {
            return;
        }
        self.owe(name);
    }

    fn owe(&mut self, name: &str) {
        if !self.owed.iter().any(|owed| owed == name) {
            self.owed.push(name.to_owned());
        }
    }

    fn subscribed(&mut self, first: &DeltaDiscoveryRequest) {
        self.owed.clear();
        self.probe_owed.clear();
        let versions = &first.initial_resource_versions;
        self.told = versions.keys().cloned().collect();
        for name in self
            .has
            .keys()
            .chain(versions.keys())
            .cloned()
            .collect::<BTreeSet<_>>()
        {
            let version = self.has.get(&name).map(ToString::to_string);
            if version.as_ref() != versions.get(&name) {
                self.owe(&name);
            }
        }
    }

    /// A response about some of what is owed.
    fn send(&mut self, count: usize, seed: usize) -> DeltaDiscoveryResponse {
        let (mut resources, mut removed) = (Vec::new(), Vec::new());
        for _ in 0..count.min(self.owed.len()) {
            let name = self.owed.swap_remove(seed % self.owed.len());
            match self.has.get(&name) {
                Some(version) => {
                    let version = version.to_string();
                    resources.push(resource(&name, &version, &version));
                    self.told.insert(name);
                }
                // As in Istio, removals are of what the client is known to have.
                None if self.told.remove(&name) => removed.push(name),
                None => {}
            }
        }
        let removed: Vec<_> = removed.iter().map(String::as_str).collect();
        response(resources, &removed)
    }

    fn answer_probe(&mut self, count: usize) -> DeltaDiscoveryResponse {
        let (mut resources, mut removed) = (Vec::new(), Vec::new());
        for name in self.probe_owed.drain(..count.min(self.probe_owed.len())) {
            match self.has.get(&name) {
                Some(version) => resources.push(resource(&name, &version.to_string(), "probe")),
                None => removed.push(name),
            }
        }
        let removed: Vec<_> = removed.iter().map(String::as_str).collect();
        response(resources, &removed)
    }
}

#[derive(Clone, Debug)]
enum Event {
    Set(u8, bool),
    Send(usize, usize),
    Reconnect,
    Away(Vec<(u8, bool)>),
    Pass(u64),
    AnswerProbe(usize),
    BreakProbe,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..24_u8, any::<bool>()).prop_map(|(name, exists)| Event::Set(name, exists)),
        4 => (0..6_usize, 0..100_usize).prop_map(|(count, seed)| Event::Send(count, seed)),
        1 => Just(Event::Reconnect),
        1 => prop::collection::vec((0..24_u8, any::<bool>()), 0..12).prop_map(Event::Away),
        2 => (0..40_u64).prop_map(Event::Pass),
        2 => (0..4_usize).prop_map(Event::AnswerProbe),
        1 => Just(Event::BreakProbe),
    ]
}

struct World {
    client: Client,
    server: Server,
    /// Since which event the client has had each name, and when the server last had none.
    since: BTreeMap<String, usize>,
    absent: BTreeMap<String, usize>,
    step: usize,
}

fn name(index: u8) -> String {
    format!("n-{index}")
}

impl World {
    fn new(limit: usize) -> Self {
        let config = DeltaConfig {
            request_bytes: limit,
            ..DeltaConfig::default()
        };
        let mut world = Self {
            client: Client::with(Interest::All, config),
            server: Server::default(),
            since: BTreeMap::new(),
            absent: BTreeMap::new(),
            step: 0,
        };
        world.reconnect();
        world
    }

    fn reconnect(&mut self) {
        let [first] = self.client.open().try_into().unwrap();
        self.server.subscribed(&first);
    }

    fn set(&mut self, index: u8, exists: bool) {
        self.server.set(&name(index), exists);
    }

    fn step(&mut self, event: Event) {
        self.step += 1;
        match event {
            Event::Set(index, exists) => self.set(index, exists),
            Event::Send(count, seed) => {
                let response = self.server.send(count, seed);
                self.client.receive(response);
            }
            Event::Reconnect => self.reconnect(),
            Event::Away(changes) => {
                self.client.delta.closed();
                for (index, exists) in changes {
                    self.set(index, exists);
                }
                self.reconnect();
            }
            Event::Pass(seconds) => self.client.pass(Duration::from_secs(seconds)),
            Event::AnswerProbe(count) => self.answer_probe(count),
            Event::BreakProbe => self.client.delta.probe_ended(self.client.now),
        }
        if let Some(probe) = self.client.delta.next_probe(self.client.now) {
            assert!(probe.initial_resource_versions.is_empty());
            self.server.probe_owed = probe.resource_names_subscribe.into();
        }
        self.check();
    }

    fn answer_probe(&mut self, count: usize) {
        if self.client.delta.is_probing() {
            let response = self.server.answer_probe(count);
            self.client.delta.probe_received(response, self.client.now);
        }
    }

    /// Nothing was removed that the server had all the time since the client got it.
    fn check(&mut self) {
        let names = self.client.texts.names();
        for index in 0..24 {
            let name = name(index);
            if !self.server.has.contains_key(&name) {
                self.absent.insert(name, self.step);
            }
        }
        let removals = std::mem::take(&mut self.client.texts.0.lock().unwrap().removals);
        for name in removals {
            let since = self.since.remove(&name).unwrap();
            let absent = self.absent.get(&name).copied();
            assert!(
                absent.is_some_and(|absent| absent >= since),
                "{name} was lost"
            );
        }
        for name in names {
            self.since.entry(name).or_insert(self.step);
        }
    }

    /// The server sends all that it owes, and answers all that it is asked.
    fn settle(&mut self) {
        while !self.server.owed.is_empty() {
            self.step(Event::Send(3, 7));
        }
        for _ in 0..200 {
            self.step(Event::Pass(10));
            self.step(Event::AnswerProbe(10));
        }
    }
}

proptest! {
    #[test]
    fn the_client_ends_with_what_the_server_has(
        events in prop::collection::vec(event(), 0..80),
        limit in 50..400_usize,
    ) {
        let mut world = World::new(limit);
        for event in events {
            world.step(event);
        }
        world.settle();
        let has = world.server.has.iter();
        let has: Vec<_> = has.map(|(name, version)| (name.clone(), version.to_string())).collect();
        prop_assert_eq!(world.client.texts.known(), has);
        prop_assert_eq!(world.client.delta.wake_at(), None, "no doubt is left");
    }
}

#[derive(Clone, Debug)]
enum Change {
    Put(u8, u8),
    Remove(u8),
}

proptest! {
    /// Each resource's own order is kept; all else about the responses is arbitrary.
    #[test]
    fn the_end_does_not_depend_on_how_updates_are_split_and_mixed(
        changes in prop::collection::vec(
            prop_oneof![
                (0..8_u8, 0..200_u8).prop_map(|(name, text)| Change::Put(name, text)),
                (0..8_u8).prop_map(Change::Remove),
            ],
            0..40,
        ),
        cuts in prop::collection::vec(1..5_usize, 40),
        mix in prop::collection::vec(0..1000_usize, 40),
    ) {
        let mut queues: Vec<VecDeque<&super::model::Change>> = vec![VecDeque::new(); 8];
        let mut expected = BTreeMap::new();
        for change in &changes {
            match change {
                Change::Put(n, text) => {
                    queues[usize::from(*n)].push_back(change);
                    expected.insert(name(*n), text.to_string());
                }
                Change::Remove(n) => {
                    queues[usize::from(*n)].push_back(change);
                    expected.remove(&name(*n));
                }
            }
        }
        let mut client = Client::new(Interest::All);
        client.open();
        let mut mix = mix.into_iter().cycle();
        for cut in cuts.into_iter().cycle() {
            let (mut resources, mut removed) = (Vec::new(), Vec::new());
            let mut used = BTreeSet::new();
            for _ in 0..cut {
                let open: Vec<_> = (0..8).filter(|q| !queues[*q].is_empty() && !used.contains(q)).collect();
                if open.is_empty() {
                    break;
                }
                let queue = open[mix.next().unwrap() % open.len()];
                used.insert(queue);
                match queues[queue].pop_front().unwrap() {
                    Change::Put(n, text) => resources.push(resource(&name(*n), "", &text.to_string())),
                    Change::Remove(n) => removed.push(name(*n)),
                }
            }
            let removed: Vec<_> = removed.iter().map(String::as_str).collect();
            client.receive(response(resources, &removed));
            if queues.iter().all(VecDeque::is_empty) {
                break;
            }
        }
        prop_assert_eq!(client.texts.known(), expected.into_iter().collect::<Vec<_>>());
    }
}
