//! What an `AuthorizationPolicy` becomes.

use mesh_core::name::Name;

use super::{AuthorizationPolicy, AuthorizationPolicySpec, Rule, RuleFrom, RuleTo};
use crate::kube::caution::Caution;
use crate::kube::fault::Fault;
use crate::kube::finding::{Finding, Findings, Invalid};
use crate::kube::path::Path;
use crate::kube::provenance::Provenance;
use crate::kube::selector::{Attachment, attachment};
use crate::kube::settings::Settings;
use crate::kube::timestamp::Timestamp;
use crate::spec::{Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope};

/// The most rules of a policy, and the most sources of a rule.
const MAX_RULES: usize = 512;

/// An `AuthorizationPolicy` that has been checked, in the form that decisions are made from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Authorization {
    /// What it says. It has not been expanded by [`TrustDomains`](crate::kube::TrustDomains) yet.
    pub policy: PolicySpec,
    /// What it applies to.
    pub attachment: Attachment,
    /// When it was created; one without is older than all others.
    pub created: Option<Timestamp>,
    /// Which object it is.
    pub provenance: Provenance,
    /// What is questionable about it.
    pub cautions: Vec<Finding<Caution>>,
    /// For each clause of each rule of the policy, what of the object it is.
    pub origins: Vec<Vec<Origin>>,
}

/// What of a rule a clause is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a rule has these three")]
pub enum Origin {
    /// Its sources, `from`.
    From,
    /// Its operations, `to`.
    To,
    /// A condition of `when`, with its key as it is written.
    When(Name),
}

impl AuthorizationPolicy {
    /// Checks everything and makes a policy of it.
    ///
    /// The namespace and name of the policy are those of `provenance`; service accounts without a
    /// namespace are in that namespace.
    ///
    /// A rule becomes one clause whose matches are its sources, one whose matches are its
    /// operations, and one for each condition.
    ///
    /// # Errors
    /// [`Invalid`] with all faults, not only the first one: whatever Istio's admission webhook or
    /// the schema of the resource rejects.
    ///
    /// ```
    /// use mesh_authz::kube::{AuthorizationPolicy, Provenance, Settings};
    ///
    /// let text = r#"{ "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
    ///     "metadata": { "name": "allow-cart", "namespace": "shop" },
    ///     "spec": { "rules": [{ "to": [{ "operation": { "paths": ["/cart/{*}"] }}] }] } }"#;
    /// let object = AuthorizationPolicy::read(&mut serde_json::Deserializer::from_str(text))?;
    /// let accepted = object.convert(&Settings::default(), Provenance::of(&object.metadata))?;
    /// assert_eq!(accepted.policy.key(), "shop/allow-cart");
    /// assert_eq!(accepted.policy.rules[0].clauses[0].matches[0].paths.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn convert(
        &self,
        settings: &Settings,
        provenance: Provenance,
    ) -> Result<Authorization, Invalid> {
        let mut conversion = Conversion {
            settings,
            namespace: &provenance.namespace,
            action: self.spec.action.into(),
            found: Findings::default(),
        };
        let (version, kind) = (&self.api_version, &self.kind);
        conversion
            .found
            .object_type(version, kind, "AuthorizationPolicy");
        conversion.found.key(&provenance);
        let attachment = conversion.attachment(&self.spec);
        let rules = conversion.rules(self.spec.rules.as_deref());
        let (rules, origins) = rules.into_iter().unzip();
        let policy = PolicySpec {
            scope: conversion.scope(&attachment),
            action: conversion.action,
            dry_run: conversion.dry_run(&self.metadata.annotations),
            provider: conversion.provider(&self.spec),
            rules,
            namespace: provenance.namespace.clone(),
            name: provenance.name.clone(),
        };
        Ok(Authorization {
            policy,
            attachment,
            created: self.metadata.creation_timestamp,
            cautions: conversion.found.close(&provenance)?,
            origins,
            provenance,
        })
    }
}

/// The scope of what selects nothing.
pub(super) fn scope_of_namespace(namespace: &str, settings: &Settings) -> Scope {
    match *namespace == *settings.root_namespace {
        true => Scope::Global,
        false => Scope::Namespace,
    }
}

/// An object on its way.
pub(super) struct Conversion<'a> {
    pub(super) settings: &'a Settings,
    pub(super) namespace: &'a Name,
    pub(super) action: Action,
    pub(super) found: Findings,
}

impl Conversion<'_> {
    fn attachment(&mut self, spec: &AuthorizationPolicySpec) -> Attachment {
        let (selector, target) = (spec.selector.as_ref(), spec.target_ref.as_ref());
        attachment(selector, target, &spec.target_refs, &mut self.found)
    }

    /// Policies of the root namespace are of the whole mesh. What selects is named by the workloads
    /// and services that it selects.
    fn scope(&self, attachment: &Attachment) -> Scope {
        match attachment {
            Attachment::Scope | Attachment::Unknown => {
                scope_of_namespace(self.namespace, self.settings)
            }
            Attachment::Labels(_) | Attachment::Targets(_) => Scope::WorkloadSelector,
        }
    }

    fn rules(&mut self, rules: Option<&[Rule]>) -> Vec<(RuleSpec, Vec<Origin>)> {
        let spec = Path::root("spec");
        let at = spec.field("rules");
        let rules = rules.unwrap_or_default();
        if rules.is_empty() && matches!(self.action, Action::Deny | Action::Custom) {
            self.found.fault(&at, Fault::NoRules);
        }
        self.found.at_most(&at, MAX_RULES, rules.len());
        let each = rules.iter().enumerate();
        each.map(|(index, rule)| self.rule(rule, &at.index(index)))
            .collect()
    }

    fn rule(&mut self, rule: &Rule, at: &Path<'_>) -> (RuleSpec, Vec<Origin>) {
        let mut clauses = Vec::new();
        let mut origins = Vec::new();
        if let Some(from) = &rule.from {
            clauses.push(self.sources(from, &at.field("from")));
            origins.push(Origin::From);
        }
        if let Some(to) = &rule.to {
            clauses.push(self.operations(to, &at.field("to")));
            origins.push(Origin::To);
        }
        let when = at.field("when");
        for (index, condition) in rule.when.iter().enumerate() {
            let matches = self.condition(condition, &when.index(index));
            clauses.push(matches);
            origins.push(Origin::When(condition.key.as_str().into()));
        }
        if self.action == Action::Deny && denies_all_tcp(rule) {
            self.found.caution(at, Caution::DeniesAllTcp);
        }
        let clauses = clauses.into_iter().map(|matches| ClauseSpec { matches });
        (
            RuleSpec {
                clauses: clauses.collect(),
            },
            origins,
        )
    }

    fn sources(&mut self, from: &[RuleFrom], at: &Path<'_>) -> Vec<MatchSpec> {
        self.found.at_most(at, MAX_RULES, from.len());
        self.entries(
            at,
            "source",
            from.iter().map(|each| each.source.as_ref()),
            Self::source,
        )
    }

    fn operations(&mut self, to: &[RuleTo], at: &Path<'_>) -> Vec<MatchSpec> {
        let to = to.iter().map(|each| each.operation.as_ref());
        self.entries(at, "operation", to, Self::operation)
    }

    fn entries<'s, S: 's>(
        &mut self,
        at: &Path<'_>,
        field: &'static str,
        entries: impl ExactSizeIterator<Item = Option<&'s S>>,
        read: impl Fn(&mut Self, &S, &Path<'_>) -> MatchSpec,
    ) -> Vec<MatchSpec> {
        if entries.len() == 0 {
            self.found.fault(at, Fault::EmptyList);
        }
        let mut matches = Vec::with_capacity(entries.len());
        for (index, entry) in entries.enumerate() {
            let at = at.index(index);
            match entry {
                Some(entry) => matches.push(read(self, entry, &at.field(field))),
                None => self.found.fault(&at, Fault::Missing { field }),
            }
        }
        matches
    }
}

/// Whether a DENY rule says nothing about connections and so, on TCP, denies them all.
///
/// Source: the warning of Istio's admission webhook, which looks at sources and operations.
fn denies_all_tcp(rule: &Rule) -> bool {
    let sources = rule
        .from
        .iter()
        .flatten()
        .filter_map(|each| each.source.as_ref());
    let operations = rule
        .to
        .iter()
        .flatten()
        .filter_map(|each| each.operation.as_ref());
    let of_sources: Vec<bool> = sources.map(super::Source::is_http_only).collect();
    let of_operations: Vec<bool> = operations.map(super::Operation::is_http_only).collect();
    let all = |of: &[bool]| !of.is_empty() && of.iter().all(|http_only| *http_only);
    all(&of_operations) || (of_operations.is_empty() && all(&of_sources))
}
