//! A probe in four bytes.

use crate::index::probe::Part;
use crate::policy::Dimension;

/// Bits of the number of a name, and one number more than there are names.
const NAME: u32 = 9;
/// The most names.
pub(super) const NAMES: usize = (1 << NAME) - 1;
/// Bits of the kind of a part and of its length.
const PART: u32 = 19;
const LENGTH: u32 = 16;

/// A field by its dimension and the number of its name; numbers of names count from 1.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::index) struct FieldCode(u16);

/// A probe: field, kind of part, and length. In the order of these.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Packed(u32);

impl FieldCode {
    pub(in crate::index) fn new(dimension: Dimension) -> Self {
        Self(u16::from(dimension.code()) << NAME)
    }

    /// `None` when there are too many names.
    pub(super) fn named(dimension: Dimension, name: usize) -> Option<Self> {
        let number = u16::try_from(name).ok()?.checked_add(1)?;
        (number >> NAME == 0).then(|| Self(Self::new(dimension).0 | number))
    }

    pub(super) fn dimension(self) -> Dimension {
        let code = u8::try_from(self.0 >> NAME).ok();
        // Invariant: made from a dimension.
        code.and_then(Dimension::of).unwrap_or(Dimension::Metadata)
    }

    /// The number of the name, from 0.
    pub(super) fn name(self) -> Option<usize> {
        usize::from(self.0 & ((1 << NAME) - 1)).checked_sub(1)
    }

    /// Whether it is only known of a request.
    pub(in crate::index) fn needs_request(self) -> bool {
        self.dimension().needs_request()
    }
}

impl Packed {
    pub(super) fn new(field: FieldCode, part: Part) -> Self {
        let (kind, length) = match part {
            Part::Presence => (0, 0),
            Part::All => (1, 0),
            Part::First(length) => (2, length),
            Part::Last(length) => (3, length),
            Part::Bits4(length) => (4, u16::from(length)),
            Part::Bits6(length) => (5, u16::from(length)),
            Part::Issuer => (6, 0),
            Part::Segment(at) => (7, u16::from(at)),
        };
        Self(u32::from(field.0) << PART | kind << LENGTH | u32::from(length))
    }

    pub(super) fn field(self) -> FieldCode {
        // No more than 13 bits are left.
        FieldCode(u16::try_from(self.0 >> PART).unwrap_or_default())
    }

    pub(super) fn part(self) -> Part {
        let [low, high, ..] = self.0.to_le_bytes();
        let length = u16::from_le_bytes([low, high]);
        match self.0 >> LENGTH & 7 {
            0 => Part::Presence,
            1 => Part::All,
            2 => Part::First(length),
            3 => Part::Last(length),
            4 => Part::Bits4(low),
            5 => Part::Bits6(low),
            6 => Part::Issuer,
            _ => Part::Segment(low),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_in_the_same_order() {
        let parts = [
            Part::Presence,
            Part::All,
            Part::First(0),
            Part::First(u16::MAX),
            Part::Last(300),
            Part::Bits4(32),
            Part::Bits6(128),
            Part::Issuer,
            Part::Segment(u8::MAX),
        ];
        let mut all = Vec::new();
        for dimension in Dimension::ALL {
            let names = if dimension.is_named() { 0..300 } else { 0..0 };
            let named = names.map(|name| (FieldCode::named(dimension, name).unwrap(), Some(name)));
            for (field, name) in [(FieldCode::new(dimension), None)].into_iter().chain(named) {
                assert_eq!((field.dimension(), field.name()), (dimension, name));
                all.extend(parts.map(|part| (Packed::new(field, part), field, part)));
            }
        }
        assert!(all.is_sorted_by_key(|(packed, ..)| *packed));
        for (packed, field, part) in all {
            assert_eq!((packed.field(), packed.part()), (field, part));
        }
    }

    #[test]
    fn there_are_no_more_names_than_numbers() {
        assert_eq!(FieldCode::named(Dimension::Claim, 511), None);
        assert_eq!(FieldCode::named(Dimension::Claim, usize::MAX), None);
    }
}
