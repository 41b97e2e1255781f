//! What is fetched next, and when: decisions on values, without IO.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use mesh_core::identity::SpiffeId;
use mesh_core::random::Random;
use tokio::time::Instant;

use super::backoff;

/// The longest wait: a year, lest sums overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How urgent a fetch is; the highest that was asked for counts.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Priority {
    /// A renewal: the present certificate is still good.
    #[default]
    Background,
    /// Nobody waits yet, but soon somebody will.
    Warmup,
    /// Connections wait.
    Traffic,
}

/// Both clocks. Certificates go by the time of day, which may jump; waits by the monotonic clock,
/// which may stand still while the machine is suspended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) wall: SystemTime,
    pub(super) monotonic: Instant,
}

/// A moment by both clocks: it has come when it has come by either.
#[derive(Clone, Copy, Debug)]
struct Moment {
    wall: Option<SystemTime>,
    monotonic: Instant,
}

impl Moment {
    fn at(wall: SystemTime, now: Now) -> Self {
        let left = wall
            .duration_since(now.wall)
            .unwrap_or_default()
            .min(LONGEST);
        Self {
            wall: Some(wall),
            monotonic: now.monotonic + left,
        }
    }

    fn has_come(&self, now: Now) -> bool {
        self.left(now).is_zero()
    }

    fn left(&self, now: Now) -> Duration {
        let left = self.monotonic.saturating_duration_since(now.monotonic);
        let wall = self
            .wall
            .map(|wall| wall.duration_since(now.wall).unwrap_or_default());
        wall.map_or(left, |wall| wall.min(left))
    }
}

#[derive(Debug)]
enum Phase {
    /// Next, as soon as there is room.
    Queued,
    Fetching,
    /// There is a certificate, to be renewed then.
    Fresh(Moment),
    /// After a failure: by the wall clock at the latest when the last good certificate expires.
    Failed(Moment),
}

#[derive(Debug)]
struct Plan {
    phase: Phase,
    priority: Priority,
    /// Orders equal priorities: who asked first.
    asked: u64,
    failures: u32,
}

/// Who is fetched next.
pub(super) struct Schedule {
    plans: HashMap<SpiffeId, Plan>,
    concurrency: usize,
    fetching: usize,
    asked: u64,
    random: Box<dyn Random + Send>,
}

impl Schedule {
    pub(super) fn new(concurrency: usize, random: Box<dyn Random + Send>) -> Self {
        Self {
            plans: HashMap::new(),
            concurrency,
            fetching: 0,
            asked: 0,
            random,
        }
    }

    /// Somebody wants a certificate. `good` = there is one to use meanwhile.
    pub(super) fn want(&mut self, id: &SpiffeId, priority: Priority, good: bool) {
        let asked = self.next_asked();
        let plan = self.plans.entry(id.clone()).or_insert_with(|| Plan {
            phase: Phase::Queued,
            priority,
            asked,
            failures: 0,
        });
        if !good && matches!(plan.phase, Phase::Fresh(_)) {
            // It has expired before its time, as after a suspend.
            plan.phase = Phase::Queued;
            plan.asked = asked;
        }
        if priority > plan.priority {
            plan.priority = priority;
            plan.asked = asked;
        }
    }

    pub(super) fn forget(&mut self, id: &SpiffeId) {
        if let Some(Plan {
            phase: Phase::Fetching,
            ..
        }) = self.plans.remove(id)
        {
            self.fetching = self.fetching.saturating_sub(1);
        }
    }

    /// The identity to fetch now, which counts as being fetched from here on.
    pub(super) fn start(&mut self, now: Now) -> Option<SpiffeId> {
        if self.fetching >= self.concurrency {
            return None;
        }
        let due = self.plans.iter().filter(|(_, plan)| plan.is_due(now));
        let (id, _) = due.max_by_key(|(_, plan)| (plan.priority, std::cmp::Reverse(plan.asked)))?;
        let id = id.clone();
        self.plans.get_mut(&id)?.phase = Phase::Fetching;
        self.fetching += 1;
        Some(id)
    }

    /// A fetch has brought a certificate that is to be renewed then.
    pub(super) fn succeeded(&mut self, id: &SpiffeId, renew_at: SystemTime, now: Now) {
        let asked = self.next_asked();
        if let Some(plan) = self.plans.get_mut(id) {
            plan.phase = Phase::Fresh(Moment::at(renew_at, now));
            plan.priority = Priority::Background;
            plan.asked = asked;
            plan.failures = 0;
            self.fetching = self.fetching.saturating_sub(1);
        }
    }

    /// A fetch has failed. `good_until` = when the last good certificate expires.
    pub(super) fn failed(&mut self, id: &SpiffeId, good_until: Option<SystemTime>, now: Now) {
        let asked = self.next_asked();
        if let Some(plan) = self.plans.get_mut(id) {
            plan.failures = plan.failures.saturating_add(1);
            let delay = backoff::delay(plan.failures, &mut *self.random);
            plan.phase = Phase::Failed(Moment {
                // One that expires just now has had its retry.
                wall: good_until.filter(|end| *end > now.wall),
                monotonic: now.monotonic + delay,
            });
            plan.asked = asked;
            self.fetching = self.fetching.saturating_sub(1);
        }
    }

    /// Renews what is good within `spread`, each at a random time.
    pub(super) fn renew_within(&mut self, spread: Duration, now: Now) {
        for plan in self.plans.values_mut() {
            if let Phase::Fresh(moment) = &plan.phase {
                let millis = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
                let delay = Duration::from_millis(self.random.below(millis));
                if delay < moment.left(now)
                    && let Some(wall) = now.wall.checked_add(delay)
                {
                    plan.phase = Phase::Fresh(Moment::at(wall, now));
                }
            }
        }
    }

    /// How long until something is due; `None` = when a fetch ends or somebody asks.
    pub(super) fn wait(&self, now: Now) -> Option<Duration> {
        if self.fetching >= self.concurrency {
            return None;
        }
        self.plans.values().filter_map(|plan| plan.left(now)).min()
    }

    pub(super) fn random(&mut self) -> &mut dyn Random {
        &mut *self.random
    }

    fn next_asked(&mut self) -> u64 {
        self.asked = self.asked.wrapping_add(1);
        self.asked
    }
}

impl Plan {
    fn is_due(&self, now: Now) -> bool {
        match &self.phase {
            Phase::Queued => true,
            Phase::Fetching => false,
            Phase::Fresh(moment) | Phase::Failed(moment) => moment.has_come(now),
        }
    }

    fn left(&self, now: Now) -> Option<Duration> {
        match &self.phase {
            Phase::Queued => Some(Duration::ZERO),
            Phase::Fetching => None,
            Phase::Fresh(moment) | Phase::Failed(moment) => Some(moment.left(now)),
        }
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedule")
            .field("identities", &self.plans.len())
            .field("fetching", &self.fetching)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
