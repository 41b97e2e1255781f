//! All limits, with their buckets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mesh_core::name::Name;

use super::buckets::Buckets;
use super::settings::LocalLimit;
use crate::target::ServiceTarget;

/// Limits with their buckets.
///
/// Buckets are those of the process: all workers ask one table. When the configuration changes,
/// [`replaced`](Self::replaced) makes a table in which limits of the same name and settings have the
/// buckets that they had, so that a change fills none.
#[derive(Clone, Debug, Default)]
pub struct RateLimits {
    services: HashMap<ServiceTarget, Vec<Arc<Buckets>>>,
    all: Vec<Arc<Buckets>>,
}

/// What became of the requests that a limit was asked about, since it was first there.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LimitCounts {
    /// The limit.
    pub name: Name,
    /// Requests for which there was a token.
    pub passed: u64,
    /// Requests that were refused.
    pub limited: u64,
    /// Requests that were over the limit and passed, as it was not enforced.
    pub unenforced: u64,
}

impl RateLimits {
    /// Limits with full buckets. Of several limits of one name, each has its own buckets.
    #[must_use]
    pub fn new(limits: impl IntoIterator<Item = LocalLimit>, now: Instant) -> Self {
        Self::default().replaced(limits, now)
    }

    /// Limits in place of these.
    #[must_use]
    pub fn replaced(&self, limits: impl IntoIterator<Item = LocalLimit>, now: Instant) -> Self {
        let mut known: HashMap<&Name, &Arc<Buckets>> = HashMap::new();
        for before in self.iter() {
            known.entry(&before.settings.name).or_insert(before);
        }
        let mut next = Self::default();
        for limit in limits {
            let before = known.remove(&limit.name);
            let service = limit.service.clone();
            let buckets = Arc::new(Buckets::new(limit, before.map(|before| &**before), now));
            match service {
                Some(mut service) => {
                    service.subset = None;
                    next.services.entry(service).or_default().push(buckets);
                }
                None => next.all.push(buckets),
            }
        }
        next
    }

    /// What became of requests, limit by limit, in no order.
    pub fn counts(&self) -> impl Iterator<Item = LimitCounts> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.iter().map(move |buckets| LimitCounts {
            name: buckets.settings.name.clone(),
            passed: read(&buckets.counts.passed),
            limited: read(&buckets.counts.limited),
            unenforced: read(&buckets.counts.unenforced),
        })
    }

    /// The limits that are asked about requests to a service: its own, then those of all.
    pub(super) fn of(
        &self,
        service: Option<&ServiceTarget>,
    ) -> impl Iterator<Item = &Arc<Buckets>> {
        let own = service.and_then(|service| self.services.get(service));
        own.into_iter().flatten().chain(&self.all)
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Buckets>> {
        self.services.values().flatten().chain(&self.all)
    }
}
