//! Rules of an earlier state, for those that still say the same.

use std::sync::Arc;

use mesh_l7::route::{RouteTable, Rule};

/// The rules of an earlier table by where they come from.
pub(super) struct EarlierRules<'a>(Vec<&'a Arc<Rule>>);

impl<'a> EarlierRules<'a> {
    pub(super) fn of(table: &'a RouteTable) -> Self {
        let mut rules: Vec<_> = table.rules().collect();
        rules.sort_unstable_by_key(|rule| origin(rule));
        Self(rules)
    }

    /// Puts the earlier one in the place of a rule that says the same.
    pub(super) fn share(&self, rule: &mut Arc<Rule>) {
        let Self(rules) = self;
        let first = rules.partition_point(|earlier| origin(earlier) < origin(rule));
        let of_origin = rules.iter().skip(first);
        let mut of_origin = of_origin.take_while(|earlier| origin(earlier) == origin(rule));
        if let Some(same) = of_origin.find(|earlier| ***earlier == *rule) {
            *rule = Arc::clone(same);
        }
    }
}

fn origin(rule: &Rule) -> (&str, &str, &str, u32) {
    let origin = &rule.origin;
    (origin.kind, &origin.namespace, &origin.name, origin.rule)
}
