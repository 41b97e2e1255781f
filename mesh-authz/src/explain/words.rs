//! Decisions in words.

use crate::decision::{Decision, Verdict};

/// Such as `denied: explicitly denied by: shop/no-batch`.
pub(super) fn verdict(decision: &Decision<'_>) -> String {
    match decision.verdict {
        Verdict::Allow(reason) => format!("allowed: {reason}"),
        Verdict::Deny(reason) => format!("denied: {reason}"),
        Verdict::Undecided(missing) => format!("undecided: {missing}"),
    }
}
