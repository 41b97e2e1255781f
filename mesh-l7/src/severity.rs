//! What a problem with an object of configuration means for the object.

/// What a problem with an object of configuration means for the object.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Severity {
    /// The object is right in itself: something of it is not for this proxy, or refers to what is not
    /// there now.
    Note,
    /// A part of the object is wrong or not supported: requests that it is about are answered 500.
    Wrong,
}
