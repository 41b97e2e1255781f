//! What policies say about a connection that is no HTTP, for as long as it lives.

use std::time::Duration;

use mesh_authz::layer::{AppliesTo, ConnectionFacts};
use mesh_authz::{DenyReason, PolicyIndex, Undecided, Verdict};
use mesh_core::watch::Watch;
use tokio::sync::oneshot;

/// How long a live connection waits for a policy that its service names and that is not there: the two change one after
/// the other.
const GRACE: Duration = Duration::from_secs(1);

/// The policies that a connection is under. It watches them from the moment on that it is made.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    policies: Watch<PolicyIndex>,
    applies: Watch<AppliesTo>,
    facts: ConnectionFacts,
}

/// Tells once that policies deny a connection, and why.
pub(crate) struct Withdrawal(oneshot::Receiver<String>);

/// What policies say.
enum Said {
    Allowed,
    Denied(String),
    /// A policy that applies is not there.
    Missing,
}

impl Permit {
    pub(crate) fn new(
        policies: Watch<PolicyIndex>,
        applies: Watch<AppliesTo>,
        facts: ConnectionFacts,
    ) -> Self {
        Self {
            policies,
            applies,
            facts,
        }
    }

    /// What policies have against the connection, in Envoy's words: what depends on requests denies.
    pub(crate) fn denied(&self) -> Option<String> {
        match self.said() {
            Said::Allowed => None,
            Said::Denied(rule) => Some(words(&rule)),
            Said::Missing => Some(words("none")),
        }
    }

    fn said(&self) -> Said {
        let (applies, index) = (self.applies.load(), self.policies.load());
        let decision = index.decide_connection(&applies.target(), &self.facts.connection());
        match decision.verdict {
            Verdict::Allow(_) => Said::Allowed,
            Verdict::Deny(DenyReason::Explicit(rule))
            | Verdict::Undecided(Undecided::NeedsRequest(rule)) => Said::Denied(rule.id()),
            Verdict::Deny(_) => Said::Denied("none".to_owned()),
            Verdict::Undecided(Undecided::MissingPolicy(_)) => Said::Missing,
        }
    }

    /// Follows the policies on the current runtime, in a task of its own: a connection that carries bytes asks
    /// no policies.
    pub(crate) fn follow(self) -> Withdrawal {
        let (mut tell, told) = oneshot::channel();
        tokio::spawn(async move {
            let withdrawn = tokio::select! {
                reason = self.withdrawn() => reason,
                () = tell.closed() => return,
            };
            // The connection may have ended meanwhile.
            let _ = tell.send(withdrawn);
        });
        Withdrawal(told)
    }

    /// Waits until policies deny the connection.
    async fn withdrawn(mut self) -> String {
        loop {
            let changed = tokio::select! {
                changed = self.policies.changed() => changed.is_ok(),
                changed = self.applies.changed() => changed.is_ok(),
            };
            if !changed {
                // Policies end with the process only.
                return std::future::pending().await;
            }
            if matches!(self.said(), Said::Missing) {
                tokio::time::sleep(GRACE).await;
            }
            if let Some(denied) = self.denied() {
                return denied;
            }
        }
    }
}

impl Withdrawal {
    /// Waits for it.
    pub(crate) async fn told(&mut self) -> String {
        match (&mut self.0).await {
            Ok(reason) => reason,
            Err(_) => std::future::pending().await,
        }
    }
}

fn words(rule: &str) -> String {
    format!("rbac_access_denied_matched_policy[{rule}]")
}
