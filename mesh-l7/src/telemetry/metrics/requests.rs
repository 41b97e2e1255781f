//! Counting requests.

use std::fmt;
use std::sync::Arc;

use foldhash::fast::RandomState;
use mesh_core::name::Name;
use parking_lot::Mutex;

use super::super::end::End;
use super::super::labels::{self, Ends, Outcome, Service};
use super::super::place;
use super::super::workloads::Workloads;
use super::key::Key;
use super::series::Series;
use super::shard::{Cells, Counted, MessageCells, Numbers, Shard, hash};
use crate::record::Entry;

/// Counters that are added up while a part of the table is locked.
const AT_ONCE: usize = 64;

/// The counters of requests, by their labels.
pub(super) struct Requests {
    parts: Box<[Part]>,
    hasher: RandomState,
    series: Series,
    messages: Series,
    workloads: Option<Arc<dyn Workloads>>,
}

/// A part of the table that few threads use, at best one; no two share a cache line.
#[derive(Default)]
#[repr(align(128))]
struct Part(Mutex<Shard>);

/// All counters, each with its labels.
pub(super) struct Sums {
    pub(super) requests: Vec<(Arc<str>, Cells)>,
    pub(super) messages: Vec<(Arc<str>, MessageCells)>,
}

impl Requests {
    pub(super) fn new(parts: usize, most: usize, workloads: Option<Arc<dyn Workloads>>) -> Self {
        let overflow = |outcome| {
            let mut names = String::new();
            labels::write(&Ends::default(), outcome, &mut names);
            Series::new(most, labels::overflow(&names))
        };
        Self {
            parts: (0..parts.max(1)).map(|_| Part::default()).collect(),
            hasher: RandomState::default(),
            series: overflow(Some(Outcome::Request("", 0, None, ""))),
            messages: overflow(None),
            workloads,
        }
    }

    /// Counts a request. Allocates only for labels that were not seen before.
    pub(super) fn record(&self, entry: &Entry) {
        let Some(Part(part)) = place::part_of(&self.parts) else {
            return;
        };
        let key = Key::of(entry);
        let hash = hash(&self.hasher, &key);
        let counted = counted(entry);
        let mut shard = part.lock();
        if let Some(numbers) = shard.find(hash, &key) {
            shard.count(numbers, &counted);
            return;
        }
        // Lock order: a part of the table, then the labels.
        let numbers = self.numbers(&key);
        shard.remember(&self.hasher, &key, numbers);
        shard.count(numbers, &counted);
    }

    /// How often labels were not kept because there are too many sets.
    pub(super) fn overflowed(&self) -> u64 {
        let requests = self.series.overflowed();
        requests.saturating_add(self.messages.overflowed())
    }

    /// All counters that count something.
    pub(super) fn sums(&self) -> Sums {
        let labels = self.series.labels();
        let mut cells = vec![Cells::default(); labels.len()];
        for Part(part) in &self.parts {
            for (group, cells) in cells.chunks_mut(AT_ONCE).enumerate() {
                part.lock().add_to(group * AT_ONCE, cells);
            }
        }
        let message_labels = self.messages.labels();
        let mut messages = vec![MessageCells::default(); message_labels.len()];
        for Part(part) in &self.parts {
            part.lock().add_messages_to(&mut messages);
        }
        let mut requests: Vec<_> = labels.into_iter().zip(cells).collect();
        requests.retain(|(_, cells)| cells.requests > 0);
        let mut messages: Vec<_> = message_labels.into_iter().zip(messages).collect();
        messages.retain(|(_, cells)| cells.streams > 0);
        Sums { requests, messages }
    }

    /// The numbers of labels that are written for it.
    fn numbers(&self, key: &Key<'_>) -> Numbers {
        let name = self.service_name(key);
        let ends = ends(key, &name);
        let flags = key.flags.to_string();
        let protocol = if key.grpc { "grpc" } else { "http" };
        let outcome = Outcome::Request(protocol, key.status, key.grpc_status, &flags);
        let mut text = String::with_capacity(1024);
        labels::write(&ends, Some(outcome), &mut text);
        let request = self.series.number(&text);
        let messages = key.grpc.then(|| {
            text.clear();
            labels::write(&ends, None, &mut text);
            self.messages.number(&text)
        });
        Numbers { request, messages }
    }

    fn service_name(&self, key: &Key<'_>) -> Name {
        let Some((namespace, hostname)) = key.service else {
            return Name::default();
        };
        let known = self.workloads.as_ref();
        let known = known.and_then(|of| of.service_name(namespace, hostname));
        known.unwrap_or_else(|| short_name(namespace, hostname).into())
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("parts", &self.parts.len())
            .field("series", &self.series)
            .finish_non_exhaustive()
    }
}

/// The name of a service of Kubernetes, from its host name `name.namespace.svc...`; other host names are names.
fn short_name<'a>(namespace: &str, hostname: &'a str) -> &'a str {
    let Some((name, rest)) = hostname.split_once('.') else {
        return hostname;
    };
    let rest = rest.strip_prefix(namespace);
    let kubernetes = rest.is_some_and(|rest| rest == ".svc" || rest.starts_with(".svc."));
    if kubernetes { name } else { hostname }
}

fn ends<'a>(key: &Key<'a>, service_name: &'a Name) -> Ends<'a> {
    let destination = key.destination.map(|workload| &**workload);
    let (namespace, hostname) = key.service.unzip();
    Ends {
        source: End::of(
            key.source.map(|workload| &**workload),
            key.baggage.map(|baggage| &**baggage),
        ),
        source_identity: key.identity,
        destination: End::of(destination, None),
        destination_identity: destination.and_then(|workload| workload.identity()),
        service: Service {
            hostname: hostname.map_or("", Name::as_str),
            namespace: namespace.map_or("", Name::as_str),
            name: service_name,
        },
    }
}

fn counted(entry: &Entry) -> Counted {
    let request_head = entry.request.as_ref().map_or(0, |head| head.bytes);
    Counted {
        duration: entry.ended.unwrap_or_default(),
        request_bytes: request_head.saturating_add(entry.request_bytes),
        response_bytes: entry.response.bytes.saturating_add(entry.response_bytes),
        request_messages: entry.request_messages,
        response_messages: entry.response_messages,
    }
}
