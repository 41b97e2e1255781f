//! How exact a projection is.

use mesh_core::name::Name;

/// How the connections that a projection matches compare with those that its policy is about.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "these are all cases")]
pub enum Exactness {
    /// They are the same.
    Exact,
    /// They are fewer: an ALLOW allows less than it says.
    Narrower,
    /// They are more: a DENY denies more than it says.
    Wider,
    /// Something of it cannot be told apart at a node proxy at all, because of these fields. In
    /// `Strict` a DENY or CUSTOM then denies everything that the rest of the rule leaves, in
    /// `Compat` the rule has no effect.
    Unenforceable(Vec<Name>),
}
