//! A compiled policy.

use mesh_core::name::Name;

use super::compile::compile;
use super::rule::Rule;
use crate::connection::Facts;
use crate::invalid::InvalidPolicy;
use crate::limits::Limits;
use crate::spec::{Action, PolicySpec, Scope};

/// A policy that has been checked and compiled. It never changes.
#[derive(Debug)]
pub struct Policy {
    key: Name,
    namespace_len: usize,
    scope: Scope,
    action: Action,
    dry_run: bool,
    version: u64,
    rules: Box<[Rule]>,
}

impl Policy {
    /// Checks and compiles a policy.
    pub(crate) fn new(
        spec: &PolicySpec,
        limits: &Limits,
        version: u64,
    ) -> Result<Self, InvalidPolicy> {
        Ok(Self {
            key: spec.key(),
            namespace_len: spec.namespace.len(),
            scope: spec.scope,
            action: spec.action,
            dry_run: spec.dry_run,
            version,
            rules: compile(spec, limits)?,
        })
    }

    /// Whether a store with these limits would take a policy.
    ///
    /// # Errors
    /// The first mistake of the policy.
    pub fn check(spec: &PolicySpec, limits: &Limits) -> Result<(), InvalidPolicy> {
        Self::new(spec, limits, 0).map(drop)
    }

    /// The key, `namespace/name`.
    #[must_use]
    pub fn key(&self) -> &Name {
        &self.key
    }

    /// Namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.key.get(..self.namespace_len).unwrap_or("")
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.key.get(self.namespace_len + 1..).unwrap_or("")
    }

    /// The workloads that it applies to.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// What it says.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// Whether it only reports what it would do.
    #[must_use]
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// The number of rules.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// The policy as plain data, for dumps: the same meaning, each list in the order and without
    /// the repetitions that compiling gives it.
    #[must_use]
    pub fn to_spec(&self) -> PolicySpec {
        PolicySpec {
            dry_run: self.dry_run,
            rules: self.rules.iter().map(Rule::to_spec).collect(),
            ..PolicySpec::new(self.namespace(), self.name(), self.scope, self.action)
        }
    }

    /// A number that no other policy, and no other version of this one, has in the store.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether two policies with the same key say the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.scope == other.scope
            && self.action == other.action
            && self.dry_run == other.dry_run
            && self.rules == other.rules
    }

    /// The first rule that matches, looking at each.
    pub(crate) fn first_match(&self, facts: &Facts<'_>) -> Option<usize> {
        self.rules.iter().position(|rule| rule.matches(facts))
    }
}
