//! What the ends of a guard share.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::Waker;
use std::time::Instant;

use mesh_core::model::Workload;
use parking_lot::Mutex;

use super::connections::Connections;
use super::denial::{Denial, MatchedRule};
use super::timer::Timer;
use super::waits::Waits;
use crate::decision::{AllowReason, Decision, Undecided, Verdict};
use crate::index::PolicyIndex;

/// What a guard has seen, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections in the list now: live ones and held ones.
    pub connections: usize,
    /// References of workloads to policies that are not known, now, as far as connections have met
    /// them: of all guards that share a [`MissingPolicies`](super::MissingPolicies).
    pub missing_policies: usize,
    /// Connections so far that met a policy that is not known, when they came or when they were
    /// looked at again: `authz_missing_policy`.
    pub missing_policy_decisions: u64,
    /// Connections so far, live and held ones, that were looked at again.
    pub decided_again: u64,
    /// Live connections so far whose permission was withdrawn.
    pub cut: u64,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Changes, with the lock held, when connections are cut or released.
    pub(super) epoch: AtomicU32,
    pub(super) timer: Arc<dyn Timer>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) connections: Connections,
    pub(super) ledger: Ledger,
    /// The task of the redecider, which is woken for an earlier deadline.
    pub(super) redecider: Option<Waker>,
}

/// What is known of policies that are missing, and what has been counted.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) missing: Waits,
    pub(super) counts: Counts,
}

/// A decision that takes into account how long a policy has been missing.
#[derive(Debug)]
pub(super) enum Settled {
    Allowed(Option<MatchedRule>),
    Denied(Denial),
    Undecided,
}

impl Ledger {
    /// What a decision comes to.
    pub(super) fn settle(
        &mut self,
        index: &PolicyIndex,
        workload: &Workload,
        decision: &Decision<'_>,
        now: Instant,
    ) -> Settled {
        match decision.verdict {
            Verdict::Allow(AllowReason::Matched(rule)) => Settled::Allowed(Some(rule.into())),
            Verdict::Allow(AllowReason::NoAllowPolicies) => Settled::Allowed(None),
            Verdict::Deny(reason) => Settled::Denied(reason.into()),
            Verdict::Undecided(Undecided::MissingPolicy(_)) => {
                self.settle_missing(index, workload, now)
            }
            Verdict::Undecided(Undecided::NeedsRequest(rule)) => {
                Settled::Denied(Denial::NeedsRequest(rule.into()))
            }
        }
    }

    fn settle_missing(
        &mut self,
        index: &PolicyIndex,
        workload: &Workload,
        now: Instant,
    ) -> Settled {
        self.counts.missing_policy_decisions += 1;
        let mut over = None;
        for key in index.missing(workload) {
            if self.missing.note(workload.uid(), key, now) {
                over = Some(key.clone());
            }
        }
        match over {
            Some(key) => Settled::Denied(Denial::MissingPolicy { key }),
            None => Settled::Undecided,
        }
    }
}
