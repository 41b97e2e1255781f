//! Resources of the type `istio.security.Authorization`: policies.
//!
//! Nothing in a policy is guessed: whatever is not understood rejects it as a whole.

use std::collections::HashSet;
use std::fmt;

use mesh_authz::spec::{
    Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, Scope, ServiceAccountMatch, StringMatch,
    cidr, port,
};
use mesh_authz::store::PolicyStore;
use mesh_authz::{InvalidPolicy, quarantine};
use mesh_core::name::Name;
use mesh_core::store::Update;
use prost::Message;

use super::error::{ConvertError, Problem};
use super::field::{Converter, known_or_reject};
use super::known;
use crate::apply::{Apply, Rejection, Updates};
use crate::delta::{Applied, Change, Incoming, Resources};
use crate::wire::security as wire;

/// The type URL of authorization policies.
pub const AUTHORIZATION: &str = "type.googleapis.com/istio.security.Authorization";

/// Authorization policies, which go to a sink in one batch for each response.
///
/// A policy that is rejected and has no good version is replaced by one that denies everything in
/// its scope ([`mesh_authz::quarantine`]), as far as its name and scope can be read and it is no dry
/// run: otherwise a DENY that this version does not understand would let pass what it was meant to
/// deny. It is replaced by the first good version and goes with the resource.
pub struct Policies<S> {
    sink: S,
    converter: Converter,
    rejected: Rejected,
}

/// What becomes of a policy that is rejected and has no good version.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Rejected {
    /// Everything in its scope is denied.
    #[default]
    Denies,
    /// It is left out, as Istio's ztunnel does.
    LeftOut,
}

impl<S: Apply<Updates<PolicySpec>>> Policies<S> {
    /// Resources that fill `sink`.
    #[must_use]
    pub fn new(sink: S) -> Self {
        Self {
            sink,
            converter: Converter::new(),
            rejected: Rejected::default(),
        }
    }

    /// What becomes of policies that are rejected and have no good version; default
    /// [`Rejected::Denies`].
    #[must_use]
    pub fn rejected(mut self, rejected: Rejected) -> Self {
        self.rejected = rejected;
        self
    }

    /// What takes the place of a rejected policy that has no good version, if something does.
    fn replacement(&self, rejected: &Incoming) -> Option<PolicySpec> {
        if rejected.known || self.rejected == Rejected::LeftOut {
            return None;
        }
        let message = wire::Authorization::decode(&*rejected.body).ok()?;
        let scope = scope(message.scope).ok()?;
        let (namespace, name) = rejected.name.split_once('/')?;
        let readable = !namespace.is_empty() && !name.is_empty() && !name.contains('/');
        (readable && !message.dry_run).then(|| quarantine(namespace, name, scope))
    }
}

/// A policy that does not compile is rejected; the last good one stays.
impl Apply<Updates<PolicySpec>> for PolicyStore {
    fn apply(&self, batch: Updates<PolicySpec>) -> Vec<Rejection> {
        let rejected = Self::apply(self, batch).rejected.into_iter();
        let rejection = |invalid: InvalidPolicy| {
            let reason = format!("{}: {}", invalid.place, invalid.problem);
            Rejection::new(invalid.policy, reason)
        };
        rejected.map(rejection).collect()
    }
}

impl<S: Apply<Updates<PolicySpec>>> Resources for Policies<S> {
    fn type_url(&self) -> &str {
        AUTHORIZATION
    }

    fn apply(&mut self, change: Change) -> Applied {
        let mut updates: Vec<_> = change.removed.into_iter().map(Update::Remove).collect();
        let (mut rejected, mut replaced) = (Vec::new(), Vec::new());
        for incoming in &change.resources {
            match self
                .converter
                .policy_resource(&incoming.name, &incoming.body)
            {
                Ok(policy) => updates.push(Update::Upsert(policy)),
                Err(error) => {
                    rejected.push(Rejection::new(incoming.name.clone(), error));
                    if let Some(policy) = self.replacement(incoming) {
                        replaced.push(incoming.name.clone());
                        updates.push(Update::Upsert(policy));
                    }
                }
            }
        }
        let ignored = self.converter.finish();
        let by_sink = self.sink.apply(updates);
        replaced.retain(|name| !by_sink.iter().any(|each| each.name == *name));
        replaced.extend(self.replace(&by_sink, &change.resources));
        rejected.extend(by_sink);
        Applied::new(rejected, ignored).replacing(replaced)
    }
}

impl<S: Apply<Updates<PolicySpec>>> Policies<S> {
    /// Replaces what the sink has rejected; gives what was replaced.
    fn replace(&self, rejected: &[Rejection], resources: &[Incoming]) -> Vec<Name> {
        if rejected.is_empty() {
            return Vec::new();
        }
        let rejected: HashSet<&str> = rejected.iter().map(|each| &*each.name).collect();
        let resources = resources
            .iter()
            .filter(|each| rejected.contains(&*each.name));
        let policies: Vec<_> = resources
            .filter_map(|each| self.replacement(each))
            .collect();
        let names: Vec<_> = policies.iter().map(PolicySpec::key).collect();
        let again = self
            .sink
            .apply(policies.into_iter().map(Update::Upsert).collect());
        let failed: HashSet<&str> = again.iter().map(|each| &*each.name).collect();
        names
            .into_iter()
            .filter(|name| !failed.contains(&**name))
            .collect()
    }
}

fn scope(number: i32) -> Result<Scope, ConvertError> {
    Ok(match known_or_reject(number, "scope")? {
        wire::Scope::Global => Scope::Global,
        wire::Scope::Namespace => Scope::Namespace,
        wire::Scope::WorkloadSelector => Scope::WorkloadSelector,
    })
}

impl Converter {
    fn policy_resource(&mut self, key: &Name, body: &[u8]) -> Result<PolicySpec, ConvertError> {
        let message = wire::Authorization::decode(body)?;
        known::check(body, &known::AUTHORIZATION)?;
        let policy = self.policy(message)?;
        if policy.key() != *key {
            return Err(ConvertError::Key(policy.key().to_string()));
        }
        Ok(policy)
    }

    /// A policy.
    ///
    /// Fields that this version does not know are gone from `message` already; resources that come
    /// by [`Policies`] are rejected when they have any.
    ///
    /// # Errors
    /// When a field has a value that it cannot have or that this version does not know.
    pub fn policy(&mut self, message: wire::Authorization) -> Result<PolicySpec, ConvertError> {
        // Extensions of a policy as a whole are for other implementations, unlike those of a match.
        message.extensions.iter().for_each(|_| self.ignore());
        let rules = message.rules.into_iter().map(|rule| self.rule(rule));
        Ok(PolicySpec {
            rules: rules.collect::<Result<_, _>>()?,
            namespace: self.name(&message.namespace),
            name: message.name.into(),
            scope: scope(message.scope)?,
            action: match known_or_reject(message.action, "action")? {
                wire::Action::Allow => Action::Allow,
                wire::Action::Deny => Action::Deny,
            },
            dry_run: message.dry_run,
            provider: None,
        })
    }

    fn rule(&mut self, rule: wire::Rule) -> Result<RuleSpec, ConvertError> {
        let mut clauses = Vec::with_capacity(rule.clauses.len());
        for clause in rule.clauses {
            let matches = clause.matches.into_iter().map(|each| self.r#match(each));
            let matches = matches.collect::<Result<_, _>>()?;
            clauses.push(ClauseSpec { matches });
        }
        Ok(RuleSpec { clauses })
    }

    fn r#match(&mut self, from: wire::Match) -> Result<MatchSpec, ConvertError> {
        if !from.extensions.is_empty() {
            return Err(other(
                "extensions",
                "a condition that this version does not know",
            ));
        }
        Ok(MatchSpec {
            namespaces: self.texts(from.namespaces, "namespaces")?,
            not_namespaces: self.texts(from.not_namespaces, "not_namespaces")?,
            principals: self.texts(from.principals, "principals")?,
            not_principals: self.texts(from.not_principals, "not_principals")?,
            source_ips: ranges(&from.source_ips, "source_ips")?,
            not_source_ips: ranges(&from.not_source_ips, "not_source_ips")?,
            destination_ips: ranges(&from.destination_ips, "destination_ips")?,
            not_destination_ips: ranges(&from.not_destination_ips, "not_destination_ips")?,
            destination_ports: ports(&from.destination_ports, "destination_ports")?,
            not_destination_ports: ports(&from.not_destination_ports, "not_destination_ports")?,
            service_accounts: self.accounts(&from.service_accounts, "service_accounts")?,
            not_service_accounts: self
                .accounts(&from.not_service_accounts, "not_service_accounts")?,
            ..MatchSpec::default()
        })
    }

    fn texts(
        &mut self,
        from: Vec<wire::StringMatch>,
        field: &'static str,
    ) -> Result<Vec<StringMatch>, ConvertError> {
        use wire::string_match::MatchType;
        let text = |each: wire::StringMatch| match each.match_type {
            Some(MatchType::Exact(text)) => StringMatch::exact(self.name(&text)),
            Some(MatchType::Prefix(text)) => StringMatch::prefix(self.name(&text)),
            Some(MatchType::Suffix(text)) => StringMatch::suffix(self.name(&text)),
            Some(MatchType::Presence(())) => Ok(StringMatch::Presence),
            None => Err(mesh_authz::Problem::NoMatchType),
        };
        all(from.into_iter().map(text), field)
    }

    fn accounts(
        &mut self,
        from: &[wire::ServiceAccountMatch],
        field: &'static str,
    ) -> Result<Vec<ServiceAccountMatch>, ConvertError> {
        let account = |each: &wire::ServiceAccountMatch| {
            ServiceAccountMatch::new(self.name(&each.namespace), self.name(&each.service_account))
        };
        all(from.iter().map(account), field)
    }
}

fn ranges(from: &[wire::Address], field: &'static str) -> Result<Vec<ipnet::IpNet>, ConvertError> {
    all(
        from.iter().map(|each| cidr(&each.address, each.length)),
        field,
    )
}

fn ports(from: &[u32], field: &'static str) -> Result<Vec<u16>, ConvertError> {
    all(from.iter().map(|each| port(*each)), field)
}

fn all<T>(
    values: impl Iterator<Item = Result<T, mesh_authz::Problem>>,
    field: &'static str,
) -> Result<Vec<T>, ConvertError> {
    let values: Result<Vec<T>, _> = values.collect();
    values.map_err(|problem| other(field, problem))
}

fn other(field: &'static str, problem: impl ToString) -> ConvertError {
    Problem::Other(problem.to_string()).of(field)
}

impl<S> fmt::Debug for Policies<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
