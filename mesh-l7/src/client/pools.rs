//! The connections to all hosts, and who has which.

use std::sync::{Arc, Weak};

use hashbrown::HashMap;
use mesh_core::lb::Host;
use mesh_core::limits::Permit;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::failure::Failure;
use super::http1::Http1;
use super::http2::Http2;
use super::key::{Key, KeyRef};
use super::pool::{Handed, Pool};
use crate::upstream::Upstream;

/// The connections to all hosts. The lock is held for a few instructions; nothing that could take it
/// again is dropped or woken meanwhile.
pub(super) struct Pools<E>(Mutex<ByKey<E>>);

type ByKey<E> = HashMap<Arc<Key>, HostPool<E>, foldhash::fast::RandomState>;
type HostPool<E> = Pool<E, Lease<E>>;

impl<E> Default for Pools<E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Where a connection belongs.
pub(super) struct Home<E> {
    pools: Weak<Pools<E>>,
    key: Arc<Key>,
}

impl<E> Clone for Home<E> {
    fn clone(&self) -> Self {
        Self {
            pools: self.pools.clone(),
            key: self.key.clone(),
        }
    }
}

/// The right to send one request on a connection.
pub(super) enum Lease<E> {
    Http1(Http1Lease<E>),
    Http2(Http2Lease<E>),
}

/// An HTTP/1 connection. When it is dropped after something was sent, it is closed.
pub(super) struct Http1Lease<E> {
    connection: Option<Http1>,
    home: Home<E>,
    pub(super) sent: bool,
}

/// A stream of an HTTP/2 connection.
pub(super) struct Http2Lease<E> {
    pub(super) connection: Http2,
    home: Home<E>,
}

/// What is found for a request.
pub(super) enum Taken<E> {
    Lease(Lease<E>),
    /// To wait for, with the right to wait; and a connection to be made meanwhile.
    Wait(
        oneshot::Receiver<Handed<Lease<E>>>,
        Permit,
        Option<Order<E>>,
    ),
    Overflow,
}

/// A connection that is to be made. When it is dropped before it has come to something, those who wait
/// are told that it has failed.
pub(super) struct Order<E> {
    home: Home<E>,
    pub(super) endpoint: E,
    permit: Option<Permit>,
    open: bool,
}

/// A connection that there is, until this is dropped.
pub(super) struct Live<E> {
    home: Home<E>,
    _permit: Option<Permit>,
}

impl<E: Clone + PartialEq> Pools<E> {
    /// Finds a connection, or begins to wait for one. `fresh` leaves out those that have been idle.
    pub(super) fn take(
        self: &Arc<Self>,
        upstream: &Upstream<E>,
        host: &Host<E>,
        wanted: Wanted,
    ) -> Taken<E> {
        let key = KeyRef {
            target: &upstream.target,
            host: &host.spec().key,
            http2: wanted.http2,
        };
        let mut left_over = Vec::new();
        let mut pools = self.0.lock();
        if !pools.contains_key(&key) {
            pools.insert(key.to_key(), Pool::new(host.target().clone()));
        }
        let Some((name, _)) = pools.get_key_value(&key) else {
            return Taken::Overflow;
        };
        let home = Home {
            pools: Arc::downgrade(self),
            key: name.clone(),
        };
        let Some(pool) = pools.get_mut(&key) else {
            return Taken::Overflow;
        };
        if pool.endpoint != *host.target() {
            // The host leads elsewhere now.
            pool.endpoint = host.target().clone();
            left_over.append(&mut pool.idle);
            pool.open.clear();
        }
        if wanted.http2 {
            if let Some(connection) = pool.stream(wanted.streams) {
                return Taken::Lease(Lease::http2(connection, home));
            }
        } else if !wanted.fresh
            && let Some(connection) = pool.pop_idle()
        {
            return Taken::Lease(Lease::http1(connection, home));
        }
        let Some(pending) = upstream.breaker.pending() else {
            return Taken::Overflow;
        };
        let mut order = None;
        if pool.needs_dial(wanted.http2, wanted.streams) {
            let permit = upstream.breaker.connection();
            // Every host may have one connection, whatever the others have.
            if permit.is_some() || pool.connections.saturating_add(pool.dialing) == 0 {
                pool.dialing = pool.dialing.saturating_add(1);
                order = Some(Order {
                    home,
                    endpoint: pool.endpoint.clone(),
                    permit,
                    open: true,
                });
            }
        }
        let (sender, receiver) = oneshot::channel();
        pool.waiting.push_back(sender);
        drop(pools);
        drop(left_over);
        Taken::Wait(receiver, pending, order)
    }
}

/// What kind of connection a request wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) http2: bool,
    /// None that has been idle.
    pub(super) fresh: bool,
    /// Streams that an HTTP/2 connection is used for at once.
    pub(super) streams: usize,
}

impl<E> Pools<E> {
    pub(super) fn connections(&self) -> usize {
        self.0.lock().values().map(|pool| pool.connections).sum()
    }

    fn with<R>(&self, key: &Key, change: impl FnOnce(&mut HostPool<E>) -> R) -> Option<R> {
        self.0.lock().get_mut(key).map(change)
    }

    /// Gives an HTTP/1 connection to whoever waits, or keeps it.
    fn offer(&self, mut connection: Http1, home: &Home<E>) {
        loop {
            let waiting = self.with(&home.key, |pool| {
                let waiting = pool.waiting.pop_front();
                match waiting {
                    Some(waiting) => Some((waiting, connection)),
                    None => {
                        pool.idle.push(connection);
                        None
                    }
                }
            });
            let Some(Some((waiting, offered))) = waiting else {
                return;
            };
            let lease = Handed::Lease(Lease::http1(offered, home.clone()));
            match waiting.send(lease) {
                Ok(()) => return,
                // Nobody waits there any more.
                Err(Handed::Lease(Lease::Http1(mut lease))) => match lease.connection.take() {
                    Some(offered) => connection = offered,
                    None => return,
                },
                Err(_) => return,
            }
        }
    }

    /// Gives streams to those who wait, as long as there are any.
    fn offer_streams(&self, home: &Home<E>, max: usize) {
        loop {
            let offered = self.with(&home.key, |pool| {
                pool.waiting.retain(|waiting| !waiting.is_closed());
                if pool.waiting.is_empty() {
                    return None;
                }
                let stream = pool.stream(max)?;
                Some((pool.waiting.pop_front()?, stream))
            });
            let Some(Some((waiting, stream))) = offered else {
                return;
            };
            // One that is not taken gives its stream back when it is dropped.
            let _ = waiting.send(Handed::Lease(Lease::http2(stream, home.clone())));
        }
    }
}

impl<E> Order<E> {
    /// The connection is there.
    pub(super) fn live(&mut self) -> Live<E> {
        if let Some(pools) = self.home.pools.upgrade() {
            pools.with(&self.home.key, |pool| {
                pool.connections = pool.connections.saturating_add(1);
            });
        }
        Live {
            home: self.home.clone(),
            _permit: self.permit.take(),
        }
    }

    fn fail(&mut self, failure: &Failure) {
        self.open = false;
        let Some(pools) = self.home.pools.upgrade() else {
            return;
        };
        let all = self.home.key.http2;
        let told = pools.with(&self.home.key, |pool| {
            pool.dialing = pool.dialing.saturating_sub(1);
            let told = match all {
                true => pool.waiting.len(),
                false => usize::from(!pool.waiting.is_empty()),
            };
            pool.waiting.drain(..told).collect::<Vec<_>>()
        });
        for waiting in told.into_iter().flatten() {
            let _ = waiting.send(Handed::Failed(failure.clone()));
        }
        pools.prune(&self.home.key);
    }

    pub(super) fn failed(mut self, failure: &Failure) {
        self.fail(failure);
    }
}

impl<E: PartialEq> Order<E> {
    pub(super) fn connected_http1(mut self, connection: Http1) {
        let Some(pools) = self.home.pools.upgrade() else {
            return;
        };
        if self.arrived(&pools) {
            pools.offer(connection, &self.home);
        }
    }

    pub(super) fn connected_http2(mut self, connection: Http2, max: usize) {
        let Some(pools) = self.home.pools.upgrade() else {
            return;
        };
        if self.arrived(&pools) {
            pools.with(&self.home.key, |pool| pool.open.push(connection));
            pools.offer_streams(&self.home, max);
        }
    }

    /// Whether the connection leads to where the host is by now.
    fn arrived(&mut self, pools: &Pools<E>) -> bool {
        self.open = false;
        let same = pools.with(&self.home.key, |pool| {
            pool.dialing = pool.dialing.saturating_sub(1);
            pool.endpoint == self.endpoint
        });
        if same == Some(false) {
            pools.wake_one(&self.home.key);
        }
        same == Some(true)
    }
}

impl<E> Pools<E> {
    /// Has one look again who would wait for nothing.
    fn wake_one(&self, key: &Key) {
        let woken = self.with(key, |pool| {
            pool.waiting.retain(|waiting| !waiting.is_closed());
            match pool.is_short(key.http2) {
                true => pool.waiting.pop_front(),
                false => None,
            }
        });
        if let Some(Some(waiting)) = woken {
            let _ = waiting.send(Handed::Again);
        }
    }

    fn prune(&self, key: &Key) {
        let mut pools = self.0.lock();
        let unused = pools.get(key).is_some_and(Pool::is_unused);
        let pruned = match unused {
            true => pools.remove(key),
            false => None,
        };
        drop(pools);
        drop(pruned);
    }
}

impl<E> Drop for Order<E> {
    fn drop(&mut self) {
        if self.open {
            self.fail(&Failure::connect("the connector gave up"));
        }
    }
}

impl<E> Drop for Live<E> {
    fn drop(&mut self) {
        let Some(pools) = self.home.pools.upgrade() else {
            return;
        };
        let key = &self.home.key;
        let closed = pools.with(key, |pool| {
            pool.connections = pool.connections.saturating_sub(1);
            let (open, closed) = std::mem::take(&mut pool.idle)
                .into_iter()
                .partition(Http1::may_go_on);
            pool.idle = open;
            let closed: Vec<Http1> = closed;
            closed
        });
        drop(closed);
        pools.wake_one(key);
        pools.prune(key);
    }
}

impl<E> Lease<E> {
    fn http1(connection: Http1, home: Home<E>) -> Self {
        connection.usage.begin();
        Self::Http1(Http1Lease {
            connection: Some(connection),
            home,
            sent: false,
        })
    }

    fn http2(connection: Http2, home: Home<E>) -> Self {
        connection.usage.begin();
        Self::Http2(Http2Lease { connection, home })
    }
}

impl<E> Http1Lease<E> {
    pub(super) fn connection(&mut self) -> Option<&mut Http1> {
        self.connection.as_mut()
    }

    /// The exchange is complete: the connection may be used again.
    pub(super) fn done(mut self) {
        self.sent = false;
    }

    /// The connection belongs to a tunnel from now on.
    pub(super) fn leave(mut self) {
        if let Some(connection) = self.connection.take() {
            connection.usage.finish();
        }
    }
}

impl<E> Drop for Http1Lease<E> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        connection.usage.finish();
        if self.sent {
            connection.close();
        } else if connection.may_go_on()
            && let Some(pools) = self.home.pools.upgrade()
        {
            pools.offer(connection, &self.home);
        }
    }
}

impl<E> Drop for Http2Lease<E> {
    fn drop(&mut self) {
        self.connection.usage.finish();
        let Some(pools) = self.home.pools.upgrade() else {
            return;
        };
        pools.with(&self.home.key, |pool| {
            let same = |open: &&mut Http2| open.is(&self.connection);
            if let Some(open) = pool.open.iter_mut().find(same) {
                open.streams = open.streams.saturating_sub(1);
            }
        });
        pools.offer_streams(&self.home, self.connection.max);
    }
}
