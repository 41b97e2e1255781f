//! Policies at one moment, prepared for the requests of a connection.

use std::fmt;
use std::sync::Arc;

use mesh_core::model::Workload;
use mesh_core::name::Name;

use super::connection::ConnectionFacts;
use crate::index::{PolicyIndex, Remainder};
use crate::target::PolicyTarget;

/// Which policies apply to requests: a [`PolicyTarget`] that owns what it says.
#[derive(Clone)]
#[expect(clippy::exhaustive_enums, reason = "policies apply in these two ways")]
pub enum AppliesTo {
    /// Those of a workload; see [`PolicyTarget::workload`].
    Workload(Arc<Workload>),
    /// Those with these keys (`namespace/name`), for a service at its waypoint; see
    /// [`PolicyTarget::named`].
    Named(Arc<[Name]>),
}

impl AppliesTo {
    /// The target as the index takes it.
    #[must_use]
    pub fn target(&self) -> PolicyTarget<'_> {
        match self {
            Self::Workload(workload) => PolicyTarget::workload(workload),
            Self::Named(names) => PolicyTarget::named(names),
        }
    }
}

/// The policies at one moment, as far as the connection does not decide about them.
pub(super) struct Prepared {
    pub(super) index: Arc<PolicyIndex>,
    pub(super) applies: Arc<AppliesTo>,
    pub(super) remainder: Remainder,
    /// Whether there are CUSTOM policies, so that external authorizers may have to be asked.
    pub(super) asks: bool,
}

impl Prepared {
    pub(super) fn new(
        index: Arc<PolicyIndex>,
        applies: Arc<AppliesTo>,
        facts: &ConnectionFacts,
    ) -> Self {
        let remainder = Remainder::of(&index, &applies.target(), &facts.connection());
        let asks = index.asks(&applies.target());
        Self {
            index,
            applies,
            remainder,
            asks,
        }
    }
}

impl fmt::Debug for AppliesTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target().fmt(f)
    }
}
