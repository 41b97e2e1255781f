//! The version of a resource, opaque text, in 16 bytes.

use std::fmt;

/// The longest text that needs no memory of its own and is not a number.
const INLINE: usize = 14;

/// A version: what the server calls the state of one resource. Kept to be sent back unchanged.
///
/// Control planes use numbers and hashes: decimal and lower-case hexadecimal numbers of 64 bits
/// and short texts are kept without an allocation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Version {
    /// Up to 14 bytes; the rest is 0.
    Short(u8, [u8; INLINE]),
    /// A number without leading zeros.
    Decimal(u64),
    /// So many lower-case hexadecimal digits.
    Hex(u8, u64),
    /// Any other text, which is rare: behind one pointer.
    Long(#[expect(clippy::box_collection, reason = "8 bytes rather than 16")] Box<String>),
}

const _: () = assert!(size_of::<Version>() == 16);

impl Version {
    pub(super) fn new(text: &str) -> Self {
        let mut bytes = [0; INLINE];
        if let Some(start) = bytes.get_mut(..text.len()) {
            start.copy_from_slice(text.as_bytes());
            // At most 14.
            return Self::Short(text.len() as u8, bytes);
        }
        let number = |c: u8| c.is_ascii_digit();
        if text.bytes().all(number)
            && !text.starts_with('0')
            && let Ok(value) = text.parse()
        {
            return Self::Decimal(value);
        }
        let digit = |c: u8| number(c) || (b'a'..=b'f').contains(&c);
        if text.bytes().all(digit)
            && let Ok(value) = u64::from_str_radix(text, 16)
            && let Ok(digits) = u8::try_from(text.len())
        {
            return Self::Hex(digits, value);
        }
        Self::Long(Box::new(text.to_owned()))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Short(0, _))
    }

    /// Length of the text in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Short(len, _) => usize::from(*len),
            Self::Decimal(value) => {
                usize::try_from(value.checked_ilog10().unwrap_or(0)).map_or(1, |log| log + 1)
            }
            Self::Hex(digits, _) => usize::from(*digits),
            Self::Long(text) => text.len(),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(len, bytes) => {
                let text = bytes.get(..usize::from(*len)).unwrap_or_default();
                f.write_str(str::from_utf8(text).unwrap_or_default())
            }
            Self::Decimal(value) => write!(f, "{value}"),
            Self::Hex(digits, value) => write!(f, "{value:0width$x}", width = usize::from(*digits)),
            Self::Long(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Version;

    #[test]
    fn versions_of_control_planes_need_no_memory() {
        let short = ["", "1", "v17", "2026-11-23/00"];
        let hash = [
            "9a0c3f1e2b4d5c6f",
            "0000000000000001",
            "18446744073709551615",
        ];
        for text in short.into_iter().chain(hash) {
            let version = Version::new(text);
            assert!(!matches!(version, Version::Long(_)), "{text}");
            assert_eq!(version.to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "\\PC{0,40}|[0-9]{0,24}|[0-9a-f]{0,24}") {
            let version = Version::new(&text);
            prop_assert_eq!(version.to_string(), text.clone());
            prop_assert_eq!(version.len(), text.len());
            prop_assert_eq!(version.is_empty(), text.is_empty());
        }
    }
}
