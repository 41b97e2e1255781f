//! Which rule a request meets.

use std::sync::Arc;

use http::request::Parts;

use crate::matching::{Head, PathMatch};
use crate::route::{HostTable, Rule};

/// A rule that a request meets, and by which of its alternatives.
pub(super) struct Choice {
    pub(super) rule: Arc<Rule>,
    alternative: usize,
}

impl Choice {
    /// The rule of a request; `None` when it meets none.
    pub(super) fn of(routes: &HostTable, parts: &Parts) -> Option<Self> {
        let matched = routes.select(&Head::of(parts))?;
        Some(Self {
            rule: matched.rule.clone(),
            alternative: matched.alternative,
        })
    }

    /// The condition on the path that was met.
    pub(super) fn path(&self) -> Option<&PathMatch> {
        let alternative = self.rule.matches.get(self.alternative);
        alternative.map(|matches| &matches.path)
    }
}
