//! Fields that are known and of no use here.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, Visitor};

use super::de::UNREAD;

/// A field that is known and of no use here. Whatever it has is accepted, and not reported as
/// unknown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Unread;

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(UNREAD, Skip)
    }
}

struct Skip;

impl<'de> Visitor<'de> for Skip {
    type Value = Unread;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Unread, E> {
        Ok(Unread)
    }

    /// Other deserializers than that of manifests.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Unread, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Unread)
    }
}
