//! The compiled index of all policies.
//!
//! A rule that does not match must cost nothing. Each rule is therefore filed under the values of
//! one of its fields, the most selective one ([`choice`]), and a connection or request looks up what
//! it has: its port, its service account, the beginnings of its path, and so on ([`probe`]). Rules
//! that are found so are looked at in full. Rules that have no selective field, such as those that
//! only exclude, are kept in a [`sieve`]: tables of bits that rule out 64 rules at a time.
//!
//! | level | structure |
//! |---|---|
//! | policies | one row of bytes each, in numbered [`slots`]; their numbers by key |
//! | rules of one scope and action | [`rules`]: [`pivots`] of connections and of requests, sieve for the rest; up to 16 rules one by one |
//! | scope | one for all workloads, one for each namespace; policies with a selector by key |
//!
//! All tables are cut into pages ([`table`]) that indexes share: a change copies the pages it is in.

mod asked;
mod choice;
mod decide;
mod keys;
mod pivots;
mod probe;
mod probes;
mod providers;
mod residual;
mod rules;
mod scope;
mod sieve;
mod slots;
mod snapshot;
mod table;
mod value;

pub use providers::Providers;
#[cfg(feature = "tower")]
pub(crate) use residual::Remainder;
pub use residual::Residual;
pub use snapshot::PolicyIndex;
