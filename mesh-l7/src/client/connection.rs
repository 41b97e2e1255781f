//! What connections of both versions have in common: how long they are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::settings::ClientSettings;
use crate::upstream::ClusterSettings;

/// How soon a connection that is in use is looked at again.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(10);

/// What ends the use of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    idle: Duration,
    age: Option<Duration>,
    uses: u32,
}

impl Lifetime {
    pub(super) fn of(upstream: &ClusterSettings, client: &ClientSettings) -> Self {
        Self {
            idle: match upstream.idle_timeout {
                Some(Duration::ZERO) => Duration::MAX,
                Some(idle) => idle,
                None => client.idle_timeout,
            },
            age: upstream.max_connection_duration,
            uses: upstream.max_requests_per_connection,
        }
    }
}

/// How much a connection has been used. Clones are of the same connection.
#[derive(Clone, Debug)]
pub(super) struct Usage(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    lifetime: Lifetime,
    opened: Instant,
    requests: AtomicU64,
    /// Requests in flight.
    active: AtomicU64,
    /// When the last request ended, in milliseconds after `opened`.
    idle_since: AtomicU64,
}

impl Usage {
    pub(super) fn new(lifetime: Lifetime) -> Self {
        Self(Arc::new(Shared {
            lifetime,
            opened: Instant::now(),
            requests: AtomicU64::new(0),
            active: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
        }))
    }

    /// A request begins.
    pub(super) fn begin(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        self.0.active.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has ended.
    pub(super) fn finish(&self) {
        let age = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.idle_since.store(age, Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether it has been used before the present request.
    pub(super) fn is_reused(&self) -> bool {
        self.0.requests.load(Ordering::Relaxed) > 1
    }

    /// Whether another request may be sent on it.
    pub(super) fn may_go_on(&self) -> bool {
        let lifetime = &self.0.lifetime;
        let requests = self.0.requests.load(Ordering::Relaxed);
        (lifetime.uses == 0 || requests < u64::from(lifetime.uses))
            && lifetime.age.is_none_or(|age| self.0.opened.elapsed() < age)
    }

    /// Waits until it has been idle for too long, or is idle and too old.
    pub(super) async fn outlived(self) {
        let Shared {
            lifetime,
            opened,
            active,
            idle_since,
            ..
        } = &*self.0;
        loop {
            let idle_since = Duration::from_millis(idle_since.load(Ordering::Relaxed));
            let by_idleness = idle_since.checked_add(lifetime.idle);
            let end = [by_idleness, lifetime.age].into_iter().flatten().min();
            let Some(end) = end.and_then(|end| opened.checked_add(end)) else {
                return std::future::pending().await;
            };
            let now = Instant::now();
            let active = active.load(Ordering::Relaxed) > 0;
            if end <= now && !active {
                return;
            }
            // One that is used is looked at again later: nobody tells when its request ends.
            let later = lifetime.idle.clamp(LOOK_AGAIN_MIN, LOOK_AGAIN_MAX);
            let wake = match active {
                true => end.max(now.checked_add(later).unwrap_or(now)),
                false => end,
            };
            sleep_until(wake).await;
        }
    }
}
