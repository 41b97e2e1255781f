//! What a value does to a row.

/// What a value does to a row.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Effect {
    LetsThrough,
    ShutsOut,
}
