//! Admission of connections.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use mesh_core::model::Workload;
use mesh_core::snapshot::MeshSnapshot;
use mesh_core::watch::Watch;
use parking_lot::Mutex;

use super::connections::Connections;
use super::denial::{Denial, DryRunReport, MatchedRule};
use super::group::{Entry, Group, Stage};
use super::live::{Held, Live};
use super::missing::MissingPolicies;
use super::redecide::Redecider;
use super::shared::{Counts, Ledger, Settled, Shared, State};
use super::timer::Timer;
use super::waits::Waits;
use crate::connection::Connection;
use crate::index::PolicyIndex;

/// Admits connections, and keeps a list of them so that they can be decided again.
///
/// Live connections of a workload that the mesh does not have any more are decided again by the
/// last record that was known of it.
///
/// Clones share the list.
#[derive(Clone)]
pub struct Guard {
    shared: Arc<Shared>,
    policies: Watch<PolicyIndex>,
    mesh: Watch<MeshSnapshot>,
}

/// What becomes of a connection.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub struct Admission {
    /// The answer.
    pub answer: Answer,
    /// What policies say that are not enforced.
    pub dry_run: DryRunReport,
}

/// Whether a connection may go on.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle every answer")]
pub enum Answer {
    /// It may, until its permission is withdrawn.
    Allowed {
        /// The permission.
        live: Live,
        /// The rule that allows it; `None` when no ALLOW policy applies.
        by: Option<MatchedRule>,
    },
    /// It may not.
    Denied(Denial),
    /// It must wait for a policy that the workload names, and then be admitted again.
    Held(Held),
}

impl Guard {
    /// A guard over the policies and workloads of two stores, and the future that decides again,
    /// which must run for as long as the guard is used.
    ///
    /// `missing` says how long connections wait for a policy that a workload names and that is not
    /// known. Guards of several workers over the same stores take clones of one.
    pub fn new(
        policies: Watch<PolicyIndex>,
        mesh: Watch<MeshSnapshot>,
        missing: MissingPolicies,
        timer: Arc<dyn Timer>,
    ) -> (Self, Redecider) {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                connections: Connections::default(),
                ledger: Ledger {
                    missing: Waits::new(missing),
                    counts: Counts::default(),
                },
                redecider: None,
            }),
            epoch: AtomicU32::new(0),
            timer,
        });
        let redecider = Redecider::new(shared.clone(), policies.clone(), mesh.clone());
        let guard = Self {
            shared,
            policies,
            mesh,
        };
        (guard, redecider)
    }

    /// Decides about a connection to a local workload and enters it into the list, in one step: no
    /// change falls between.
    ///
    /// The record of the workload is read again from the mesh; `workload` counts when the mesh
    /// does not have it (any more).
    pub fn admit(&self, workload: &Arc<Workload>, connection: &Connection<'_>) -> Admission {
        let mut state = self.shared.state.lock();
        // With the lock held: the redecider either has been here with what is loaded now, or will
        // find the connection in the list.
        let (index, mesh) = (self.policies.load(), self.mesh.load());
        let known = mesh.workload(workload.uid());
        let workload = known.unwrap_or(workload);
        let decision = index.decide(workload, connection);
        let now = self.shared.timer.now();
        let settled = state.ledger.settle(&index, workload, &decision, now);
        let stage = match &settled {
            Settled::Allowed(_) => Some(Stage::Live(None)),
            Settled::Undecided => Some(Stage::Held(None)),
            Settled::Denied(_) => None,
        };
        let place = stage.and_then(|stage| {
            let connections = &mut state.connections;
            let make = || Group::new(workload.clone(), &index);
            let at = connections.group_of(workload.uid(), make)?;
            let group = connections.group_mut(at)?;
            match known {
                Some(known) => group.renew(&index, known),
                None => group.note(&index, workload),
            }
            connections.insert(at, Entry::new(connection, stage))
        });
        let redecider = match settled {
            Settled::Undecided => state.redecider.take(),
            Settled::Allowed(_) | Settled::Denied(_) => None,
        };
        drop(state);
        if let Some(redecider) = redecider {
            redecider.wake();
        }
        let answer = match (settled, place) {
            (Settled::Allowed(by), Some(place)) => Answer::Allowed {
                live: Live::new(&self.shared, place),
                by,
            },
            (Settled::Undecided, Some(place)) => Answer::Held(Held::new(&self.shared, place)),
            (Settled::Denied(denial), _) => Answer::Denied(denial),
            // Without a place nobody could withdraw the permission.
            (Settled::Allowed(_) | Settled::Undecided, None) => Answer::Denied(Denial::NoneAllowed),
        };
        Admission {
            answer,
            dry_run: DryRunReport::of(&decision.dry_run),
        }
    }

    /// What the guard has seen.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let state = self.shared.state.lock();
        Counts {
            connections: state.connections.len(),
            missing_policies: state.ledger.missing.missing().len(),
            ..state.ledger.counts
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
