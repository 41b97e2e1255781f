//! Whether another attempt is made, and when.

use std::time::Duration;

use mesh_core::limits::{CircuitBreaker, Permit};
use mesh_core::random::Random;

use crate::route::RetryPolicy;

/// What came of an attempt, as far as the decision needs it.
pub(super) struct Ended<'p> {
    /// The policy that says it may be tried again; `None` when there is none, or it says otherwise.
    pub(super) policy: Option<&'p RetryPolicy>,
    /// Attempts that were made.
    pub(super) attempts: u32,
    /// Whether the request can be sent again.
    pub(super) replayable: bool,
    /// What the upstream asks to wait, where the policy listens to it.
    pub(super) asked: Option<Duration>,
    /// What is left of the time for the request; `None` for no limit.
    pub(super) left: Option<Duration>,
}

/// What follows.
#[derive(Debug)]
pub(super) enum Next {
    /// It is final.
    Final(Stop),
    /// Another attempt after a pause. The permit counts it as a retry.
    Retry(Permit, Duration),
}

/// Why there is no other attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// The policy does not say so, or there is none.
    NotRetriable,
    /// As many were made as may be.
    Exhausted,
    /// The body of the request was not kept.
    NotReplayable,
    /// There are too many retries at once.
    Overflow,
    /// The pause would end after the time for the request.
    NoTime,
}

impl Stop {
    /// As records have it; `None` when there is nothing to say.
    pub(super) fn text(self) -> Option<&'static str> {
        match self {
            Self::NotRetriable => None,
            Self::Exhausted => Some("retries_exhausted"),
            Self::NotReplayable => Some("body_too_large"),
            Self::Overflow => Some("retry_overflow"),
            Self::NoTime => Some("no_time_left"),
        }
    }
}

/// Decides. A permit is taken last but for the pause, so that what is refused for another reason does not
/// count.
pub(super) fn next(ended: &Ended<'_>, breaker: &CircuitBreaker, random: &mut impl Random) -> Next {
    let Some(policy) = ended.policy else {
        return Next::Final(Stop::NotRetriable);
    };
    if ended.attempts > policy.retries {
        // A policy without retries exhausts nothing.
        return Next::Final(match policy.retries {
            0 => Stop::NotRetriable,
            _ => Stop::Exhausted,
        });
    }
    if !ended.replayable {
        return Next::Final(Stop::NotReplayable);
    }
    let pause = match ended.asked {
        // Later is kind, sooner is not what was asked for.
        Some(asked) => asked + jitter(asked / 2, random),
        None => policy.backoff.pause(ended.attempts, random),
    };
    if ended.left.is_some_and(|left| pause >= left) {
        return Next::Final(Stop::NoTime);
    }
    match breaker.retry() {
        Some(permit) => Next::Retry(permit, pause),
        None => Next::Final(Stop::Overflow),
    }
}

fn jitter(most: Duration, random: &mut impl Random) -> Duration {
    let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.below(most))
}
