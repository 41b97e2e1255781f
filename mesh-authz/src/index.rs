//! The compiled index of all policies.
//!
//! A rule that does not match must cost nothing. Each rule is therefore filed under the values of
//! one of its fields, the most selective one ([`pivot`]), and a connection looks up what it has:
//! its port, its service account, each beginning of its principal that is as long as one that some
//! rule asks for, and so on ([`probe`]). Rules that are found so are looked at in full. Rules that
//! have no selective field, such as those that only exclude, are kept in a [`sieve`]: a table of
//! bits that rules out 64 rules at a time.
//!
//! | level | structure |
//! |---|---|
//! | policy by key | persistent hash trie |
//! | rules of one scope and action | [`rules`]: hash trie of pivots behind a filter, sieve for the rest; up to 16 rules one by one |
//! | scope | one for all workloads, one for each namespace; policies with a selector by key |

mod decide;
mod filter;
mod keys;
mod pivot;
mod probe;
mod rules;
mod scope;
mod sieve;
mod snapshot;

pub use snapshot::PolicyIndex;
