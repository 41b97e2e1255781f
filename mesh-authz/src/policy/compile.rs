//! Checking a policy and bringing it into its compact form.

use std::fmt::Display;

use super::bytes::Writer;
use crate::invalid::{InvalidPolicy, Problem};
use crate::limits::Limits;
use crate::spec::{Action, ClauseSpec, PolicySpec, RuleSpec};

mod condition;
mod one_match;

/// The rules of a policy in bytes, or its first mistake.
pub(super) fn compile(spec: &PolicySpec, limits: &Limits) -> Result<Vec<u8>, InvalidPolicy> {
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
    fn policy(&mut self, spec: &PolicySpec) -> Result<Vec<u8>, Mistake> {
        for (place, text) in [("namespace", &spec.namespace), ("name", &spec.name)] {
            if text.is_empty() || text.contains('/') {
                return Err(Mistake::at(place, Problem::Key));
            }
        }
        let provider = spec.provider.as_ref();
        if provider.is_some_and(|name| name.is_empty())
            || provider.is_some() != (spec.action == Action::Custom)
        {
            return Err(Mistake::at("provider", Problem::Provider));
        }
        if spec.dry_run && matches!(spec.action, Action::Audit | Action::Custom) {
            return Err(Mistake::at("dry_run", Problem::DryRun));
        }
        at_most("rules", spec.rules.len(), self.limits.rules)?;
        each("rules", &spec.rules, |rule| self.rule(rule))
    }

    fn rule(&mut self, spec: &RuleSpec) -> Result<Vec<u8>, Mistake> {
        at_most("clauses", spec.clauses.len(), self.limits.clauses)?;
        self.count(spec.clauses.len())?;
        each("clauses", &spec.clauses, |clause| self.clause(clause))
    }

    fn clause(&mut self, spec: &ClauseSpec) -> Result<Vec<u8>, Mistake> {
        at_most("matches", spec.matches.len(), self.limits.matches)?;
        self.count(spec.matches.len())?;
        each("matches", &spec.matches, |one| self.one_match(one))
    }

    fn text(&self, place: impl Display, text: &str) -> Result<(), Mistake> {
        let (length, limit) = (text.len(), self.limits.text);
        let problem = match length {
            0 => Problem::EmptyText,
            _ if length > limit => Problem::LongText { length, limit },
            _ => return Ok(()),
        };
        Err(Mistake::at(place, problem))
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

/// The parts one level below, each behind its length.
fn each<S>(
    place: &str,
    specs: &[S],
    mut compile: impl FnMut(&S) -> Result<Vec<u8>, Mistake>,
) -> Result<Vec<u8>, Mistake> {
    let mut writer = Writer::default();
    for (at, spec) in specs.iter().enumerate() {
        let part = compile(spec).map_err(|mistake| mistake.below(place, at))?;
        writer.text(&part);
    }
    Ok(writer.0)
}

#[cfg(test)]
mod tests;
