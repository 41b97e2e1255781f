//! Connections shared by the streams that may share them.
//!
//! A connection is used by streams with the same source identity, expected identities and
//! endpoint. Each stream goes to the connection with the fewest streams. A dial is shared by all
//! who need it; its result, error included, reaches every one of them.
//!
//! Connections inside of a gateway's tunnels are spread first: each stream opens one of its own until
//! there are [`Settings::inner_connections`], as the gateway chooses an endpoint for each. A
//! connection takes new streams for [`Settings::inner_lifetime`], so that the choice is made again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use mesh_core::credential::Credential;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower_service::Service;

use super::dial;
use super::error::{DialError, Error};
use super::link::{Link, Owner, StreamSlot};
use super::settings::{ASSUMED_STREAMS, Settings};
use super::target::Key;
use crate::boxed::BoxError;

/// Rounds of looking for room before giving up; each round is a dial that succeeded and whose
/// streams others took first, or a credential that was replaced meanwhile.
const ROUNDS: usize = 64;

/// Connections in a row that may end as soon as they are dialled.
const TRIES: usize = 3;

/// What a dial came to, for all who wait for it.
type DialResult = Option<Result<Arc<Link>, Arc<DialError>>>;

/// A dial under way.
#[derive(Debug)]
struct Dial {
    number: u64,
    generation: u64,
    /// Streams that count on it.
    waiting: usize,
    result: watch::Receiver<DialResult>,
}

#[derive(Debug, Default)]
struct Entry {
    links: Vec<Arc<Link>>,
    dials: Vec<Dial>,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    /// Links and dials of all keys.
    count: usize,
    next_dial: u64,
}

/// The connections of one client.
#[derive(Debug)]
pub(super) struct Pool {
    settings: Arc<Settings>,
    entries: Mutex<Entries>,
}

/// What a look into the pool came to.
enum Found {
    Slot { slot: StreamSlot, now_full: bool },
    Wait(watch::Receiver<DialResult>),
    Nothing,
}

impl Pool {
    pub(super) fn new(settings: Arc<Settings>) -> Arc<Self> {
        Arc::new(Self {
            settings,
            entries: Mutex::default(),
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn connections(&self) -> usize {
        self.entries
            .lock()
            .by_key
            .values()
            .map(|entry| entry.links.len())
            .sum()
    }

    /// A place for one stream, on a connection that exists or is dialled for it.
    pub(super) async fn acquire<D>(
        self: &Arc<Self>,
        key: &Key,
        dialer: &D,
    ) -> Result<StreamSlot, Error>
    where
        D: Service<SocketAddr> + Clone + Send + 'static,
        D::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        D::Error: Into<BoxError>,
        D::Future: Send + 'static,
    {
        let mut stillborn = 0;
        let mut last: Option<Arc<Link>> = None;
        let mut spread = key.via.as_ref().map(|_| self.settings.inner_connections);
        for _ in 0..ROUNDS {
            let credential = dial::credential(&self.settings, &key.source).await?;
            let stopped = || DialError::Stopped {
                endpoint: key.endpoint,
            };
            // A connection that ends as soon as it is dialled would be dialled for ever.
            if let Some(link) = last.as_ref().filter(|link| link.is_closing()) {
                stillborn += 1;
                if stillborn >= TRIES {
                    let error = link.verdict();
                    return Err(error.unwrap_or_else(|| Error::from(stopped())));
                }
            }
            let found = {
                let mut entries = self.entries.lock();
                let own = last.take();
                entries.find(key, &credential, &self.settings, spread, own.as_ref())
            };
            let mut result = match found {
                Found::Slot { slot, now_full } => {
                    if now_full {
                        // The next stream shall not have to wait. When this fails it will say why.
                        let _ = self.start(key, &credential, dialer, 0);
                    }
                    return Ok(slot);
                }
                Found::Wait(result) => result,
                Found::Nothing => match self.start(key, &credential, dialer, 1) {
                    // One that is there and shared is better than none.
                    Err(Error::PoolFull { .. }) if spread.take().is_some() => continue,
                    started => started?,
                },
            };
            let done = result
                .wait_for(Option::is_some)
                .await
                .map_err(|_| stopped())?;
            match &*done {
                Some(Err(error)) => return Err(Error::Dial(error.clone())),
                Some(Ok(link)) => last = Some(link.clone()),
                None => {}
            }
        }
        Err(Error::PoolFull {
            limit: self.settings.max_connections,
        })
    }

    /// Starts a dial as a task of its own, so that it outlives whoever asked first.
    fn start<D>(
        self: &Arc<Self>,
        key: &Key,
        credential: &Arc<Credential>,
        dialer: &D,
        waiting: usize,
    ) -> Result<watch::Receiver<DialResult>, Error>
    where
        D: Service<SocketAddr> + Clone + Send + 'static,
        D::Response: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        D::Error: Into<BoxError>,
        D::Future: Send + 'static,
    {
        let (publish, result) = watch::channel(None);
        let number = {
            let mut entries = self.entries.lock();
            if entries.count >= self.settings.max_connections && !entries.evict_idle() {
                return Err(Error::PoolFull {
                    limit: self.settings.max_connections,
                });
            }
            let number = entries.next_dial;
            entries.next_dial += 1;
            entries.count += 1;
            let generation = credential.generation();
            let dial = Dial {
                number,
                generation,
                waiting,
                result: result.clone(),
            };
            entries
                .by_key
                .entry(key.clone())
                .or_default()
                .dials
                .push(dial);
            number
        };
        let mut under_way = DialGuard {
            pool: Arc::downgrade(self),
            key: key.clone(),
            number,
        };
        let settings = self.settings.clone();
        let (credential, mut dialer) = (credential.clone(), dialer.clone());
        tokio::spawn(async move {
            let dialed = Box::pin(dial::dial(
                &settings,
                &under_way.key,
                &credential,
                &mut dialer,
            ))
            .await;
            let result = dialed.map_err(Arc::new).map(|dialed| {
                let owner = Membership {
                    pool: under_way.pool.clone(),
                    key: under_way.key.clone(),
                };
                let link = dialed.drive(&settings, owner);
                under_way.succeed(link.clone());
                link
            });
            drop(under_way);
            publish.send_replace(Some(result));
        });
        Ok(result)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let links = self
            .entries
            .get_mut()
            .by_key
            .values()
            .flat_map(|entry| &entry.links);
        links.for_each(|link| link.retire());
    }
}

impl Entry {
    /// Streams that a peer is taken to allow before it says so: as many as on the other connections.
    fn assumed(&self, max_streams: usize) -> usize {
        let settled = self.links.iter().filter(|link| link.is_settled());
        let known = settled.map(|link| link.limit(max_streams)).max();
        known.unwrap_or(ASSUMED_STREAMS).min(max_streams)
    }

    fn least_loaded(&self, max_streams: usize) -> Option<Arc<Link>> {
        let assumed = self.assumed(max_streams);
        let has_room = |link: &&Arc<Link>| link.live() < link.room(max_streams, assumed);
        let with_room = self.links.iter().filter(has_room);
        with_room.min_by_key(|link| link.live()).cloned()
    }

    /// Lets those with equally few streams take turns.
    fn rotate(&mut self) {
        if !self.links.is_empty() {
            self.links.rotate_left(1);
        }
    }
}

fn has_room(link: &Link, max_streams: usize) -> bool {
    link.live() < link.limit(max_streams)
}

impl Entries {
    /// The connection with the fewest streams that has room, else a dial that will have.
    ///
    /// `spread` is the number of connections to open before they are shared; `own` the one that was
    /// dialled for this stream.
    fn find(
        &mut self,
        key: &Key,
        credential: &Credential,
        settings: &Settings,
        spread: Option<usize>,
        own: Option<&Arc<Link>>,
    ) -> Found {
        let max_streams = settings.max_streams;
        let lifetime = key.via.as_ref().map(|_| settings.inner_lifetime);
        let Some(entry) = self.by_key.get_mut(key) else {
            return Found::Nothing;
        };
        let before = entry.links.len();
        entry.links.retain(|link| {
            let old = lifetime.is_some_and(|lifetime| link.age() >= lifetime);
            if old || link.is_outdated_by(credential) {
                link.retire();
            }
            !link.is_retired()
        });
        self.count = self.count.saturating_sub(before - entry.links.len());
        if let Some(spread) = spread {
            let own = own.filter(|link| entry.links.iter().any(|other| Arc::ptr_eq(other, link)));
            if let Some(link) = own.filter(|link| has_room(link, max_streams)) {
                return Found::Slot {
                    slot: link.take_slot(),
                    now_full: false,
                };
            }
            if entry.links.len() + entry.dials.len() < spread {
                return Found::Nothing;
            }
            entry.rotate();
        }
        while let Some(link) = entry.least_loaded(max_streams) {
            if link.is_closing() {
                link.retire();
                entry.links.retain(|other| !Arc::ptr_eq(other, &link));
                self.count = self.count.saturating_sub(1);
                continue;
            }
            let slot = link.take_slot();
            let assumed = entry.assumed(max_streams);
            let full = |link: &Arc<Link>| link.live() >= link.room(max_streams, assumed);
            let now_full = entry.dials.is_empty() && entry.links.iter().all(full);
            return Found::Slot { slot, now_full };
        }
        let assumed = entry.assumed(max_streams);
        let current =
            |dial: &&mut Dial| dial.generation >= credential.generation() && dial.waiting < assumed;
        let current = entry.dials.iter_mut().filter(current);
        match current.min_by_key(|dial| dial.waiting) {
            Some(dial) => {
                dial.waiting += 1;
                Found::Wait(dial.result.clone())
            }
            None => Found::Nothing,
        }
    }

    /// Makes room for one connection by retiring one without streams.
    fn evict_idle(&mut self) -> bool {
        let links = self.by_key.values_mut().map(|entry| &mut entry.links);
        for links in links {
            if let Some(at) = links.iter().position(|link| link.live() == 0) {
                links.swap_remove(at).retire();
                self.count = self.count.saturating_sub(1);
                return true;
            }
        }
        false
    }

    fn remove(&mut self, key: &Key, link: &Arc<Link>) {
        if let Some(entry) = self.by_key.get_mut(key) {
            let before = entry.links.len();
            entry.links.retain(|other| !Arc::ptr_eq(other, link));
            self.count = self.count.saturating_sub(before - entry.links.len());
            self.prune(key);
        }
    }

    /// Forgets a key that nothing refers to any more.
    fn prune(&mut self, key: &Key) {
        if self
            .by_key
            .get(key)
            .is_some_and(|e| e.links.is_empty() && e.dials.is_empty())
        {
            self.by_key.remove(key);
        }
    }
}

/// Takes a dial off the list when it is done, however it ends.
struct DialGuard {
    pool: Weak<Pool>,
    key: Key,
    number: u64,
}

impl DialGuard {
    fn succeed(&mut self, link: Arc<Link>) {
        let Some(pool) = self.pool.upgrade() else {
            return link.retire();
        };
        let mut entries = pool.entries.lock();
        entries.count += 1;
        entries
            .by_key
            .entry(self.key.clone())
            .or_default()
            .links
            .push(link);
    }
}

impl Drop for DialGuard {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            let mut entries = pool.entries.lock();
            entries.count = entries.count.saturating_sub(1);
            if let Some(entry) = entries.by_key.get_mut(&self.key) {
                entry.dials.retain(|dial| dial.number != self.number);
            }
            entries.prune(&self.key);
        }
    }
}

/// A link's place in its pool.
struct Membership {
    pool: Weak<Pool>,
    key: Key,
}

impl Owner for Membership {
    fn release(&self, link: &Arc<Link>) -> bool {
        let Some(pool) = self.pool.upgrade() else {
            return link.live() == 0;
        };
        // Slots are taken under this lock: no stream can come between the look and the removal.
        let mut entries = pool.entries.lock();
        if link.live() > 0 {
            return false;
        }
        entries.remove(&self.key, link);
        true
    }

    fn forget(&self, link: &Arc<Link>) {
        if let Some(pool) = self.pool.upgrade() {
            pool.entries.lock().remove(&self.key, link);
        }
    }
}
