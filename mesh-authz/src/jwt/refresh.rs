//! Which keys are to be fetched now: a state machine that the embedder drives.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mesh_core::random::Random;

use super::fetch::{FetchError, FetchedKeys};
use super::remote::{FetchedAt, Held, RemoteKeys};
use super::schedule::{RefreshPolicy, Schedule};
use super::source::JwksSource;
use super::store::JwksStore;

/// How much longer than its time a fetch may take before it counts as lost.
const GRACE: Duration = Duration::from_secs(1);

/// Keeps the keys of a [`JwksStore`] fresh, without a runtime and without a clock of its own.
///
/// Each source is fetched when it is new, before its keys are stale, and when a token names a key
/// that is not known; by one fetch at a time. Keys that cannot be fetched again stay in use for
/// 24 h. The loop of an embedder:
///
/// 1. carry out every order of [`due`](Self::due) with [`fetch`](super::fetch()), each within its
///    timeout, and report it with [`done`](Self::done);
/// 2. wait until [`next`](Self::next), or for [`JwksStore::wake`], or for a fetch that ends.
///
/// ```
/// use std::time::{Duration, Instant, SystemTime};
/// use mesh_authz::jwt::{FetchError, JwksSource, JwksStore, Refresher, RefreshPolicy};
///
/// let store = JwksStore::new();
/// let keys = store.remote(JwksSource::uri("https://idp.example/keys")?, Duration::from_secs(5));
/// let mut refresher = Refresher::new(store, RefreshPolicy::default(), Box::new(|| 0));
///
/// let now = Instant::now();
/// let order = refresher.due(now).pop().expect("a new source is due at once");
/// assert!(refresher.due(now).is_empty(), "one fetch at a time");
/// refresher.done(&order, Err(FetchError::TimedOut), now, SystemTime::now());
/// assert_eq!(keys.held().failure, Some(FetchError::TimedOut));
/// # Ok::<(), &'static str>(())
/// ```
pub struct Refresher {
    store: JwksStore,
    policy: RefreshPolicy,
    random: Box<dyn Random + Send>,
    entries: HashMap<JwksSource, Entry>,
    orders: u64,
}

struct Entry {
    schedule: Schedule,
    /// The order that is being carried out, and when it counts as lost.
    order: Option<(u64, Instant)>,
}

/// An order to fetch keys.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct FetchOrder {
    /// What to fetch.
    pub source: JwksSource,
    /// How long it may take, discovery included.
    pub timeout: Duration,
    number: u64,
}

impl Refresher {
    /// A refresher of `store`; there should be only one. `random` spreads fetches.
    #[must_use]
    pub fn new(store: JwksStore, policy: RefreshPolicy, random: Box<dyn Random + Send>) -> Self {
        Self {
            store,
            policy,
            random,
            entries: HashMap::new(),
            orders: 0,
        }
    }

    /// What is to be fetched now. An order that is not reported within its timeout and a second
    /// counts as timed out.
    pub fn due(&mut self, now: Instant) -> Vec<FetchOrder> {
        let live = self.store.live();
        let is_live = |source: &JwksSource| live.iter().any(|keys| keys.source() == source);
        self.entries.retain(|source, _| is_live(source));
        for keys in &live {
            self.look_at(keys, now);
        }
        let mut waiting: Vec<(Instant, &Arc<RemoteKeys>)> = live
            .iter()
            .filter_map(|keys| {
                let entry = self.entries.get(keys.source())?;
                let due = entry.schedule.due();
                (entry.order.is_none() && due <= now).then_some((due, keys))
            })
            .collect();
        waiting.sort_by_key(|(due, _)| *due);
        let free = self.policy.at_once.saturating_sub(self.running());
        let chosen = waiting.into_iter().take(free).map(|(_, keys)| keys);
        let orders: Vec<FetchOrder> = chosen.map(|keys| self.order(keys, now)).collect();
        orders
    }

    /// When [`due`](Self::due) has something to do next; `None` when only a wake-up or the end of a
    /// fetch can give it something.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let full = self.running() >= self.policy.at_once;
        let times = self.entries.values().filter_map(|entry| match entry.order {
            Some((_, lost)) => Some(lost),
            None if full => None,
            None => Some(entry.schedule.due()),
        });
        times.min()
    }

    /// Reports what became of an order, at `now` by the monotonic and at `wall` by the wall clock.
    /// An order that was given up already changes nothing.
    pub fn done(
        &mut self,
        order: &FetchOrder,
        result: Result<FetchedKeys, FetchError>,
        now: Instant,
        wall: SystemTime,
    ) {
        let live = self.store.live();
        let Some(keys) = live.iter().find(|keys| *keys.source() == order.source) else {
            self.entries.remove(&order.source);
            return;
        };
        let Some(entry) = self.entries.get_mut(&order.source) else {
            return;
        };
        if entry.order.is_none_or(|(number, _)| number != order.number) {
            return;
        }
        entry.order = None;
        match result {
            Ok(fetched) => {
                let max_age = fetched.max_age;
                entry
                    .schedule
                    .succeeded(max_age, &self.policy, now, &mut *self.random);
                let keys_at = FetchedAt {
                    keys: Arc::new(fetched.keys),
                    fetched: wall,
                    unusable: wall + self.policy.stale_max,
                };
                keys.publish(Held {
                    keys: Some(keys_at),
                    failure: None,
                });
            }
            Err(error) => {
                entry.schedule.failed(&self.policy, now, &mut *self.random);
                fail(keys, error);
            }
        }
    }

    fn running(&self) -> usize {
        self.entries
            .values()
            .filter(|entry| entry.order.is_some())
            .count()
    }

    /// Takes in what has happened to `keys`.
    fn look_at(&mut self, keys: &RemoteKeys, now: Instant) {
        let entry = self
            .entries
            .entry(keys.source().clone())
            .or_insert_with(|| Entry {
                schedule: Schedule::new(now),
                order: None,
            });
        if entry.order.is_some_and(|(_, lost)| lost <= now) {
            entry.order = None;
            entry.schedule.failed(&self.policy, now, &mut *self.random);
            fail(keys, FetchError::TimedOut);
        }
        if keys.take_asked() {
            entry.schedule.unknown_key(&self.policy, now);
        }
    }

    fn order(&mut self, keys: &RemoteKeys, now: Instant) -> FetchOrder {
        self.orders += 1;
        let order = FetchOrder {
            source: keys.source().clone(),
            timeout: keys.timeout(),
            number: self.orders,
        };
        if let Some(entry) = self.entries.get_mut(keys.source()) {
            entry.schedule.started(now);
            entry.order = Some((order.number, now + order.timeout + GRACE));
        }
        order
    }
}

/// Tells that `keys` could not be fetched; those that there are stay.
fn fail(keys: &RemoteKeys, error: FetchError) {
    keys.publish(Held {
        keys: keys.held().keys.clone(),
        failure: Some(error),
    });
}

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<&JwksSource> = self.entries.keys().collect();
        f.debug_struct("Refresher")
            .field("sources", &sources)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
