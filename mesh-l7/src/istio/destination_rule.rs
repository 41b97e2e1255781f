//! `DestinationRule`.

use std::collections::BTreeMap;

use mesh_core::name::Name;

use crate::upstream::ClusterSettings;

use super::cluster::Blocks;
use super::problem::Problem;
use super::types::{DestinationRuleSpec, PortPolicy, TrafficPolicy};

/// A destination rule, compiled.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CompiledDestination {
    /// For ports that have no settings of their own.
    pub settings: ClusterSettings,
    /// For ports that do: they have nothing from [`settings`](Self::settings).
    pub ports: BTreeMap<u16, ClusterSettings>,
    /// Parts of the service's endpoints.
    pub subsets: BTreeMap<Name, Subset>,
    /// What is wrong, field by field.
    pub problems: Vec<Problem>,
}

/// A part of a service's endpoints.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Subset {
    /// Labels that its endpoints have.
    pub labels: BTreeMap<String, String>,
    /// For ports that have no settings of their own: blocks that the subset does not have are the
    /// rule's.
    pub settings: ClusterSettings,
    /// For ports that do.
    pub ports: BTreeMap<u16, ClusterSettings>,
}

impl CompiledDestination {
    /// The settings of a port, of a subset where one is given.
    #[must_use]
    pub fn settings(&self, port: u16, subset: Option<&str>) -> &ClusterSettings {
        let subset = subset.and_then(|name| self.subsets.get(name));
        let own = subset.and_then(|subset| subset.ports.get(&port));
        own.or_else(|| self.ports.get(&port))
            .unwrap_or_else(|| subset.map_or(&self.settings, |subset| &subset.settings))
    }
}

/// Makes settings of a `DestinationRule`.
#[must_use]
pub fn compile_destination_rule(spec: &DestinationRuleSpec) -> CompiledDestination {
    let mut problems = Vec::new();
    let none = TrafficPolicy::default();
    let top = spec.traffic_policy.as_ref().unwrap_or(&none);
    let mut subsets = BTreeMap::new();
    for (at, subset) in spec.subsets.iter().enumerate() {
        let field = format!("spec.subsets[{at}]");
        let policy = subset.traffic_policy.as_ref().unwrap_or(&none);
        let at_policy = format!("{field}.trafficPolicy");
        let compiled = Subset {
            labels: subset.labels.clone(),
            settings: blocks(policy)
                .or(blocks(top))
                .settings(&at_policy, &mut problems),
            ports: ports(&policy.port_level_settings, &at_policy, &mut problems),
        };
        if subset.name.is_empty() {
            problems.push(Problem::new(format!("{field}.name"), "is empty"));
        }
        if subsets
            .insert(subset.name.as_str().into(), compiled)
            .is_some()
        {
            let problem = format!("a second subset {:?}", subset.name);
            problems.push(Problem::new(format!("{field}.name"), problem));
        }
    }
    let field = "spec.trafficPolicy";
    let settings = blocks(top).settings(field, &mut problems);
    let ports = ports(&top.port_level_settings, field, &mut problems);
    // What subsets have from the rule is told once.
    problems.sort_by(|a, b| a.field.cmp(&b.field));
    problems.dedup();
    CompiledDestination {
        settings,
        ports,
        subsets,
        problems,
    }
}

fn blocks(policy: &TrafficPolicy) -> Blocks<'_> {
    Blocks {
        load_balancer: policy.load_balancer.as_ref(),
        connection_pool: policy.connection_pool.as_ref(),
        outlier_detection: policy.outlier_detection.as_ref(),
        retry_budget: policy.retry_budget.as_ref(),
    }
}

fn ports(
    policies: &[PortPolicy],
    field: &str,
    problems: &mut Vec<Problem>,
) -> BTreeMap<u16, ClusterSettings> {
    let policies = policies.iter().enumerate();
    policies
        .map(|(at, policy)| {
            let blocks = Blocks {
                load_balancer: policy.load_balancer.as_ref(),
                connection_pool: policy.connection_pool.as_ref(),
                outlier_detection: policy.outlier_detection.as_ref(),
                retry_budget: policy.retry_budget.as_ref(),
            };
            let field = format!("{field}.portLevelSettings[{at}]");
            (policy.port.number, blocks.settings(&field, problems))
        })
        .collect()
}

#[cfg(test)]
mod tests;
