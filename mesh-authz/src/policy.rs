//! Compiled policies: checked, each list sorted and without what another value covers, all in one
//! row of bytes.
//!
//! | level | bytes |
//! |---|---|
//! | policy | flags, version, length of the namespace, key, provider, number of rules; then the rules |
//! | rule, clause, match | the parts one level below, each behind its length |
//! | field | dimension and whether it excludes, its name if it has one, values |
//!
//! Numbers take as many bytes as they need. The place of a rule in its policy is where it begins.

mod bytes;
mod compile;
mod dimension;
mod field;
mod list;
mod record;
mod rule;
mod to_spec;
mod values;

pub(crate) use dimension::Dimension;
pub(crate) use field::{Field, SEPARATOR, Values, header_lines};
pub use record::Policy;
pub(crate) use rule::{Clause, Match, Rule};
pub(crate) use values::{Form, Texts, text};
