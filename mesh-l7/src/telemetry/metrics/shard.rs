//! The counters of requests of some threads.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::histogram::Histogram;
use super::key::{Key, OwnedKey};
use super::series::Number;

/// Keys that a part of the table remembers; with more it begins anew. Each holds on to two workloads,
/// which may be old ones.
const MOST_KEYS: usize = 16_384;

/// The numbers of a request's two sets of labels: with the outcome, and without it for messages of gRPC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) request: Number,
    pub(super) messages: Option<Number>,
}

/// What is counted of requests with the same labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    pub(super) requests: u64,
    pub(super) duration: Histogram,
    pub(super) request_bytes: Histogram,
    pub(super) response_bytes: Histogram,
}

/// What is counted of messages with the same labels.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MessageCells {
    pub(super) streams: u64,
    pub(super) requests: u64,
    pub(super) responses: u64,
}

/// The counters of some threads: plain numbers, by the numbers of their labels.
#[derive(Debug, Default)]
pub(super) struct Shard {
    keys: HashTable<(OwnedKey, Numbers)>,
    cells: Vec<Option<Box<Cells>>>,
    messages: Vec<MessageCells>,
}

/// What is counted of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) duration: Duration,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) request_messages: u64,
    pub(super) response_messages: u64,
}

impl Shard {
    /// The numbers of a request's labels, where they are remembered.
    pub(super) fn find(&self, hash: u64, key: &Key<'_>) -> Option<Numbers> {
        let found = self.keys.find(hash, |(owned, _)| key.is(owned));
        found.map(|(_, numbers)| *numbers)
    }

    pub(super) fn remember(&mut self, hasher: &RandomState, key: &Key<'_>, numbers: Numbers) {
        if self.keys.len() >= MOST_KEYS {
            self.keys.clear();
        }
        let entry = (key.owned(), numbers);
        let rehash = |(key, _): &(OwnedKey, Numbers)| hash(hasher, &key.key());
        self.keys.insert_unique(hash(hasher, key), entry, rehash);
    }

    pub(super) fn count(&mut self, numbers: Numbers, counted: &Counted) {
        if let Some(cells) = at(&mut self.cells, numbers.request) {
            let cells = cells.get_or_insert_default();
            cells.requests += 1;
            cells.duration.time(counted.duration);
            cells.request_bytes.bytes(counted.request_bytes);
            cells.response_bytes.bytes(counted.response_bytes);
        }
        let messages = numbers.messages.and_then(|of| at(&mut self.messages, of));
        if let Some(cells) = messages {
            cells.streams += 1;
            cells.requests += counted.request_messages;
            cells.responses += counted.response_messages;
        }
    }

    /// Adds the counters of numbers from `from` on to `to`, as many as that has.
    pub(super) fn add_to(&self, from: usize, to: &mut [Cells]) {
        let here = self.cells.iter().skip(from);
        for (sum, cells) in to.iter_mut().zip(here) {
            if let Some(cells) = cells {
                sum.add(cells);
            }
        }
    }

    pub(super) fn add_messages_to(&self, to: &mut [MessageCells]) {
        for (sum, cells) in to.iter_mut().zip(&self.messages) {
            sum.streams += cells.streams;
            sum.requests += cells.requests;
            sum.responses += cells.responses;
        }
    }
}

impl Cells {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.duration.add(&other.duration);
        self.request_bytes.add(&other.request_bytes);
        self.response_bytes.add(&other.response_bytes);
    }
}

pub(super) fn hash(hasher: &RandomState, key: &Key<'_>) -> u64 {
    let mut state = hasher.build_hasher();
    key.hash(&mut state);
    state.finish()
}

/// The cell of a number; cells up to it are made.
fn at<T: Default>(cells: &mut Vec<T>, number: Number) -> Option<&mut T> {
    let place = usize::try_from(number).ok()?;
    if cells.len() <= place {
        cells.resize_with(place + 1, T::default);
    }
    cells.get_mut(place)
}
