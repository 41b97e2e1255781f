//! The rule that came nearest to allowing what nothing allows.

use mesh_authz::NearestRule;
use serde::Serialize;

use super::field::Condition;
use super::written::at;
use crate::case::Case;
use crate::mesh::Mesh;

/// The rule with the fewest conditions that are not met.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Nearest {
    pub(crate) policy: String,
    pub(crate) rule: usize,
    pub(crate) place: Option<String>,
    /// What would all have to be met. With one only, meeting it turns the answer around.
    pub(crate) conditions: Vec<Condition>,
}

impl Nearest {
    pub(super) fn of(mesh: &Mesh, case: &Case<'_>, nearest: &NearestRule) -> Self {
        let key = nearest.policy.as_str();
        let failed = nearest.failed.iter();
        Self {
            conditions: failed
                .map(|field| Condition::of(mesh, case, key, field))
                .collect(),
            place: mesh.authorization(key).map(|policy| at(policy)),
            policy: key.to_owned(),
            rule: mesh.written_rule(case.layer, key, nearest.rule),
        }
    }
}
