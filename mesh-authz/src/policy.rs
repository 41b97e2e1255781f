//! Compiled policies: checked, each list sorted and without what another value covers.

mod compile;
mod record;
mod rule;
mod values;

pub use record::Policy;
pub(crate) use rule::{Clause, Field, Match, Rule};
pub(crate) use values::{Texts, Values};
