//! Checking a policy and bringing it into its compact form.

use std::fmt::Display;

use mesh_core::name::Name;

use super::rule::{Clause, Field, Match, Rule};
use super::values::{Accounts, Ports, Ranges, Texts, Values};
use crate::invalid::{InvalidPolicy, Problem};
use crate::limits::Limits;
use crate::spec::{
    Action, ClauseSpec, MatchSpec, PolicySpec, RuleSpec, ServiceAccountMatch, StringMatch,
};

/// The rules of a policy, or its first mistake.
pub(super) fn compile(spec: &PolicySpec, limits: &Limits) -> Result<Box<[Rule]>, InvalidPolicy> {
    let mut compiler = Compiler { limits, parts: 0 };
    compiler.policy(spec).map_err(|mistake| InvalidPolicy {
        policy: spec.key(),
        place: mistake.place.into(),
        problem: mistake.problem,
    })
}

struct Compiler<'a> {
    limits: &'a Limits,
    /// Clauses, matches and values so far.
    parts: usize,
}

/// A problem and where it is, which is put together on the way up.
struct Mistake {
    place: String,
    problem: Problem,
}

impl Mistake {
    fn at(place: impl Display, problem: Problem) -> Self {
        let place = place.to_string();
        Self { place, problem }
    }

    fn below(self, place: &str, at: usize) -> Self {
        let place = format!("{place}[{at}].{}", self.place);
        Self { place, ..self }
    }
}

impl Compiler<'_> {
    fn policy(&mut self, spec: &PolicySpec) -> Result<Box<[Rule]>, Mistake> {
        for (place, text) in [("namespace", &spec.namespace), ("name", &spec.name)] {
            if text.is_empty() || text.contains('/') {
                return Err(Mistake::at(place, Problem::Key));
            }
        }
        if matches!(spec.action, Action::Audit | Action::Custom) {
            return Err(Mistake::at("action", Problem::Unsupported));
        }
        if spec.provider.is_some() != (spec.action == Action::Custom) {
            return Err(Mistake::at("provider", Problem::Provider));
        }
        at_most("rules", spec.rules.len(), self.limits.rules)?;
        each("rules", &spec.rules, |rule| self.rule(rule))
    }

    fn rule(&mut self, spec: &RuleSpec) -> Result<Rule, Mistake> {
        at_most("clauses", spec.clauses.len(), self.limits.clauses)?;
        self.count(spec.clauses.len())?;
        each("clauses", &spec.clauses, |clause| self.clause(clause)).map(Rule)
    }

    fn clause(&mut self, spec: &ClauseSpec) -> Result<Clause, Mistake> {
        at_most("matches", spec.matches.len(), self.limits.matches)?;
        self.count(spec.matches.len())?;
        each("matches", &spec.matches, |one| self.one_match(one)).map(Clause)
    }

    /// The fields that are set; those that are quick to compare come first.
    fn one_match(&mut self, spec: &MatchSpec) -> Result<Match, Mistake> {
        let known = MatchSpec {
            namespaces: spec.namespaces.clone(),
            not_namespaces: spec.not_namespaces.clone(),
            principals: spec.principals.clone(),
            not_principals: spec.not_principals.clone(),
            source_ips: spec.source_ips.clone(),
            not_source_ips: spec.not_source_ips.clone(),
            destination_ips: spec.destination_ips.clone(),
            not_destination_ips: spec.not_destination_ips.clone(),
            destination_ports: spec.destination_ports.clone(),
            not_destination_ports: spec.not_destination_ports.clone(),
            service_accounts: spec.service_accounts.clone(),
            not_service_accounts: spec.not_service_accounts.clone(),
            ..MatchSpec::default()
        };
        if *spec != known {
            return Err(Mistake::at("request", Problem::Unsupported));
        }
        let mut fields = Vec::new();
        let ports = [&spec.destination_ports, &spec.not_destination_ports];
        for (excludes, list) in [false, true].into_iter().zip(ports) {
            self.count(list.len())?;
            push(&mut fields, excludes, list, |list| {
                Values::DestinationPorts(Ports::of(list))
            });
        }
        let destinations = [&spec.destination_ips, &spec.not_destination_ips];
        for (excludes, list) in [false, true].into_iter().zip(destinations) {
            self.count(list.len())?;
            push(&mut fields, excludes, list, |list| {
                Values::DestinationIps(Ranges::of(list))
            });
        }
        let sources = [&spec.source_ips, &spec.not_source_ips];
        for (excludes, list) in [false, true].into_iter().zip(sources) {
            self.count(list.len())?;
            push(&mut fields, excludes, list, |list| {
                Values::SourceIps(Ranges::of(list))
            });
        }
        self.identity_fields(spec, &mut fields)?;
        Ok(Match(fields.into()))
    }

    fn identity_fields(
        &mut self,
        spec: &MatchSpec,
        fields: &mut Vec<Field>,
    ) -> Result<(), Mistake> {
        let accounts = [
            ("service_accounts", &spec.service_accounts),
            ("not_service_accounts", &spec.not_service_accounts),
        ];
        for (excludes, (place, list)) in [false, true].into_iter().zip(accounts) {
            self.accounts(place, list)?;
            push(fields, excludes, list, |list| {
                Values::ServiceAccounts(Accounts::of(list))
            });
        }
        let namespaces = [
            ("namespaces", &spec.namespaces),
            ("not_namespaces", &spec.not_namespaces),
        ];
        for (excludes, (place, list)) in [false, true].into_iter().zip(namespaces) {
            self.texts(place, list)?;
            push(fields, excludes, list, |list| {
                Values::Namespaces(Box::new(Texts::of(list)))
            });
        }
        let principals = [
            ("principals", &spec.principals),
            ("not_principals", &spec.not_principals),
        ];
        for (excludes, (place, list)) in [false, true].into_iter().zip(principals) {
            self.texts(place, list)?;
            push(fields, excludes, list, |list| {
                Values::Principals(Box::new(Texts::of(list)))
            });
        }
        Ok(())
    }

    fn accounts(&mut self, place: &str, list: &[ServiceAccountMatch]) -> Result<(), Mistake> {
        self.count(list.len())?;
        for (at, account) in list.iter().enumerate() {
            let ServiceAccountMatch {
                namespace,
                service_account,
            } = account;
            if namespace.is_empty() || service_account.is_empty() {
                let place = format_args!("{place}[{at}]");
                return Err(Mistake::at(place, Problem::ServiceAccount));
            }
            self.text(place, at, namespace)?;
            self.text(place, at, service_account)?;
        }
        Ok(())
    }

    fn texts(&mut self, place: &str, list: &[StringMatch]) -> Result<(), Mistake> {
        self.count(list.len())?;
        for (at, one) in list.iter().enumerate() {
            match one {
                StringMatch::Exact(text)
                | StringMatch::Prefix(text)
                | StringMatch::Suffix(text) => self.text(place, at, text)?,
                StringMatch::Presence => {}
            }
        }
        Ok(())
    }

    fn text(&self, place: &str, at: usize, text: &Name) -> Result<(), Mistake> {
        let (length, limit) = (text.len(), self.limits.text);
        let problem = match length {
            0 => Problem::EmptyText,
            _ if length > limit => Problem::LongText { length, limit },
            _ => return Ok(()),
        };
        Err(Mistake::at(format_args!("{place}[{at}]"), problem))
    }

    /// Counts parts before they are compiled, so that a policy that is too large costs nothing.
    fn count(&mut self, parts: usize) -> Result<(), Mistake> {
        self.parts = self.parts.saturating_add(parts);
        at_most("parts", self.parts, self.limits.parts)
    }
}

fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), Mistake> {
    if found > limit {
        return Err(Mistake::at(what, Problem::TooMany { what, found, limit }));
    }
    Ok(())
}

fn each<S, T>(
    place: &str,
    specs: &[S],
    mut compile: impl FnMut(&S) -> Result<T, Mistake>,
) -> Result<Box<[T]>, Mistake> {
    let compiled = specs.iter().enumerate();
    let compiled = compiled.map(|(at, spec)| compile(spec).map_err(|m| m.below(place, at)));
    compiled.collect()
}

fn push<T>(
    fields: &mut Vec<Field>,
    excludes: bool,
    list: &[T],
    values: impl FnOnce(&[T]) -> Values,
) {
    if !list.is_empty() {
        let values = values(list);
        fields.push(Field { excludes, values });
    }
}

#[cfg(test)]
mod tests;
