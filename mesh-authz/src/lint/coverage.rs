//! Rules that make no difference.

use super::boxes::{Conditions, of_rule};
use super::finding::{Lint, LintRule};
use super::inventory::{Inventory, Policy};
use crate::spec::Action;

/// The most rules of policies with one attachment that are compared with each other.
const MOST: usize = 2_000;

/// A rule taken apart.
struct Apart<'i> {
    policy: &'i Policy,
    at: usize,
    boxes: Vec<Conditions>,
}

pub(super) fn lint(mesh: &Inventory, found: &mut Vec<Lint>) {
    let rules: Vec<Apart<'_>> = mesh
        .policies()
        .iter()
        .flat_map(|policy| {
            let rules = policy.read.policy.rules.iter().enumerate();
            rules.filter_map(move |(at, rule)| {
                Some(Apart {
                    policy,
                    at,
                    boxes: of_rule(rule)?,
                })
            })
        })
        .collect();
    for rule in &rules {
        if rule.boxes.iter().all(Conditions::are_unsatisfiable) {
            let message = "nothing satisfies this rule: it asks for things that exclude each other";
            found.push(rule.lint(LintRule::Unreachable, message));
        }
    }
    if rules.len() <= MOST {
        for (place, rule) in rules.iter().enumerate() {
            compare(rule, place, &rules, found);
        }
    }
    duplicates(mesh, found);
}

fn compare(rule: &Apart<'_>, place: usize, rules: &[Apart<'_>], found: &mut Vec<Lint>) {
    for (other_place, other) in rules.iter().enumerate() {
        if place == other_place || !other.applies_where(rule) || !other.covers(rule) {
            continue;
        }
        let of = |apart: &Apart<'_>| apart.policy.read.policy.action;
        let name = format!("{} rule {}", other.policy.read.provenance.key(), other.at);
        match (of(rule), of(other)) {
            (one, same) if one == same => {
                // Of two that say the same, one is told.
                let equal = rule.covers(other) && rule.applies_where(other);
                if (!equal || other_place < place)
                    && !(equal && rule.at == other.at && rule.is_of_twin(other))
                {
                    let message = format!("{name} covers it");
                    found.push(rule.lint(LintRule::Shadowed, message));
                    return;
                }
            }
            (Action::Allow, Action::Deny) => {
                let message = format!("{name} denies all that it allows");
                found.push(rule.lint(LintRule::DeniedAnyway, message));
                return;
            }
            _ => {}
        }
    }
}

/// Policies that say the same as one before them.
fn duplicates(mesh: &Inventory, found: &mut Vec<Lint>) {
    let policies = mesh.policies();
    for (at, policy) in policies.iter().enumerate() {
        let twin = policies
            .iter()
            .take(at)
            .find(|other| is_twin(policy, other));
        if let Some(twin) = twin {
            let message = format!("{} says the same", twin.read.provenance.key());
            found.push(Lint::new(
                LintRule::Duplicate,
                &policy.read.provenance,
                "spec",
                message,
            ));
        }
    }
}

fn is_twin(one: &Policy, other: &Policy) -> bool {
    one.read.provenance.namespace == other.read.provenance.namespace
        && one.object.spec == other.object.spec
        && one.read.policy.dry_run == other.read.policy.dry_run
}

impl Apart<'_> {
    fn lint(&self, rule: LintRule, message: impl std::fmt::Display) -> Lint {
        let field = format!("spec.rules[{}]", self.at);
        Lint::new(rule, &self.policy.read.provenance, field, message)
    }

    /// Whether this rule applies wherever `other` does.
    fn applies_where(&self, other: &Self) -> bool {
        let (one, other) = (&self.policy.read, &other.policy.read);
        one.policy.dry_run == other.policy.dry_run
            && one.policy.provider == other.policy.provider
            && one.provenance.namespace == other.provenance.namespace
            && (one.attachment == other.attachment
                || one.attachment == crate::kube::Attachment::Scope
                    && !matches!(other.attachment, crate::kube::Attachment::Targets(_)))
    }

    /// Whether this rule covers `other`.
    fn covers(&self, other: &Self) -> bool {
        let within = |narrow: &Conditions| self.boxes.iter().any(|wide| wide.cover(narrow));
        let possible = other
            .boxes
            .iter()
            .filter(|narrow| !narrow.are_unsatisfiable());
        let mut possible = possible.peekable();
        possible.peek().is_some() && possible.all(within)
    }

    fn is_of_twin(&self, other: &Self) -> bool {
        is_twin(self.policy, other.policy)
    }
}
