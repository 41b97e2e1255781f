//! Time limits of a request, and which of them is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Time limits that hold at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeLimits {
    /// The end of all attempts and the response.
    pub(super) total: Option<Total>,
    /// The end of this attempt.
    pub(super) attempt: Option<Instant>,
    /// The end of the stream, whatever it has become; there is an `activity`, too.
    pub(super) stream: Option<Instant>,
    /// What has moved, where somebody wants to know.
    pub(super) activity: Option<Arc<Activity>>,
}

/// The end of all attempts and the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Total {
    pub(super) at: Instant,
    /// Who wants it.
    pub(super) whose: Whose,
}

/// Who wants a time limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    /// The route.
    Route,
    /// The caller, by `grpc-timeout`.
    Caller,
}

/// The time limit that is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expired {
    /// The route's, of the request.
    Total,
    /// The caller's, of the request.
    Caller,
    /// That of the attempt.
    Attempt,
    /// Nothing moved for too long.
    Idle(Awaited),
    /// The stream was there for too long.
    Stream(Awaited),
}

/// Who did not end their part in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Awaited {
    /// The client: its request is not complete.
    Client,
    /// The host.
    Host,
}

/// When something last moved.
#[derive(Debug)]
pub(super) struct Activity {
    epoch: Instant,
    /// Time without a byte in either direction; `None` for any.
    limit: Option<Duration>,
    /// Milliseconds since the epoch.
    last: AtomicU64,
    /// Whether the whole request is there.
    complete: AtomicBool,
}

impl Activity {
    pub(super) fn new(limit: Option<Duration>, now: Instant) -> Self {
        Self {
            epoch: now,
            limit,
            last: AtomicU64::new(0),
            complete: AtomicBool::new(false),
        }
    }

    /// The whole request is there.
    pub(super) fn complete(&self) {
        self.complete.store(true, Ordering::Relaxed);
    }

    fn awaited(&self) -> Awaited {
        match self.complete.load(Ordering::Relaxed) {
            true => Awaited::Host,
            false => Awaited::Client,
        }
    }

    /// Something moves.
    pub(super) fn stamp(&self) {
        let passed = self.epoch.elapsed().as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    /// When it is too long if nothing moves any more; `None` beyond the end of time.
    fn end(&self) -> Option<Instant> {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.epoch.checked_add(last.checked_add(self.limit?)?)
    }
}

impl Total {
    /// The route's limit or the caller's, whichever is nearer.
    pub(super) fn nearer(
        route: Option<Duration>,
        caller: Option<Duration>,
        now: Instant,
    ) -> Option<Self> {
        let total = |limit: Duration, whose| {
            // A limit beyond the end of time is none.
            let at = now.checked_add(limit)?;
            Some(Self { at, whose })
        };
        let route = route.and_then(|limit| total(limit, Whose::Route));
        let caller = caller.and_then(|limit| total(limit, Whose::Caller));
        [route, caller]
            .into_iter()
            .flatten()
            .min_by_key(|total| total.at)
    }
}

impl TimeLimits {
    /// The first of the limits, unless something moves.
    pub(super) fn nearest(&self) -> Option<Instant> {
        let total = self.total.map(|total| total.at);
        let idle = self.activity.as_ref().and_then(|activity| activity.end());
        let all = [total, self.attempt, self.stream, idle];
        all.into_iter().flatten().min()
    }

    /// Which of them is over.
    pub(super) fn expired(&self, now: Instant) -> Option<Expired> {
        if let Some(total) = self.total.filter(|total| total.at <= now) {
            return Some(match total.whose {
                Whose::Route => Expired::Total,
                Whose::Caller => Expired::Caller,
            });
        }
        if self.attempt.is_some_and(|at| at <= now) {
            return Some(Expired::Attempt);
        }
        let activity = self.activity.as_ref()?;
        if self.stream.is_some_and(|at| at <= now) {
            return Some(Expired::Stream(activity.awaited()));
        }
        let idle = activity.end().is_some_and(|end| end <= now);
        idle.then(|| Expired::Idle(activity.awaited()))
    }

    /// Waits until one of them is over; forever when there are none.
    pub(super) async fn wait(&self) -> Expired {
        loop {
            let Some(nearest) = self.nearest() else {
                return std::future::pending().await;
            };
            tokio::time::sleep_until(nearest).await;
            if let Some(expired) = self.expired(Instant::now()) {
                return expired;
            }
        }
    }
}
