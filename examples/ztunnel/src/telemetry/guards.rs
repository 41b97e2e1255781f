//! Figures about policies and the connections that they were asked about.

use mesh_authz::guard::{Counts, Guard};
use parking_lot::RwLock;

use mesh_core::exposition::{Kind, Writer};

/// The guards of the workers.
#[derive(Debug, Default)]
pub(crate) struct Guards(RwLock<Vec<Guard>>);

impl Guards {
    /// Shows a guard from now on.
    pub(crate) fn add(&self, guard: Guard) {
        self.0.write().push(guard);
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let counts: Vec<Counts> = self.0.read().iter().map(Guard::counts).collect();
        let sum = |of: fn(&Counts) -> u64| counts.iter().map(of).sum::<u64>();
        // The guards share what is missing.
        let most = |of: fn(&Counts) -> usize| counts.iter().map(of).max().unwrap_or(0);
        writer.metric(
            "mesh_authz_missing_policies",
            Kind::Gauge,
            "Policies not known that workloads name, as connections met them; after 5 s they deny (unstable).",
            [("", most(|counts| counts.missing_policies))],
        );
        for (name, help, value) in [
            (
                "mesh_authz_missing_policy",
                "Decisions that met a policy that is not known (unstable).",
                sum(|counts| counts.missing_policy_decisions),
            ),
            (
                "mesh_authz_decided_again",
                "Running and waiting connections that were decided again (unstable).",
                sum(|counts| counts.decided_again),
            ),
            (
                "mesh_authz_cut",
                "Running connections that a change of policies ended (unstable).",
                sum(|counts| counts.cut),
            ),
        ] {
            writer.metric(name, Kind::Counter, help, [("", value)]);
        }
    }
}
