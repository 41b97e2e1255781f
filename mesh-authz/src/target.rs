//! Which policies apply to what is asked for.

use mesh_core::model::Workload;
use mesh_core::name::Name;

/// The policies that apply: those of all workloads, those of a namespace, those that are named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PolicyTarget<'a> {
    pub(crate) scopes: Option<&'a Name>,
    pub(crate) named: &'a [Name],
}

impl<'a> PolicyTarget<'a> {
    /// What applies to a workload: the policies of all workloads, of its namespace, and those that
    /// its record names.
    #[must_use]
    pub fn workload(workload: &'a Workload) -> Self {
        Self {
            scopes: Some(workload.namespace()),
            named: workload.authorization_policies(),
        }
    }

    /// What applies to a service at its waypoint: only the policies with these keys
    /// (`namespace/name`), those whose `targetRefs` say so.
    #[must_use]
    pub fn named(policies: &'a [Name]) -> Self {
        Self {
            scopes: None,
            named: policies,
        }
    }
}
