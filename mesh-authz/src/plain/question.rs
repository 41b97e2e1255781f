//! What the plain evaluator compares with, and what it answers for parts of policies.

use crate::connection::Connection;
use crate::request::Request;
use crate::semantics::Semantics;

/// What there is to compare with.
pub(super) struct PlainFacts<'a> {
    pub(super) connection: &'a Connection<'a>,
    pub(super) request: Option<&'a Request<'a>>,
    pub(super) semantics: Semantics,
}

/// Whether something matches; what is not known lies between.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum PlainTruth {
    False,
    Unknown,
    True,
}
