//! The fields of an encoded message, one after the other, without a copy.

/// Walks over the fields of a message. A `None` item says that what follows is malformed, or of a
/// kind that no field here has, and ends the walk.
#[derive(Clone, Debug)]
pub(super) struct Scan<'a> {
    rest: &'a [u8],
}

/// The content of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Scan<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                let (content, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Value::Bytes(content)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn number(&mut self) -> Option<u64> {
        // Nearly every number has one byte.
        if let Some((byte @ 0..=0x7f, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Some(u64::from(*byte));
        }
        prost::encoding::decode_varint(&mut self.rest).ok()
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Number(_) => None,
        }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Bytes(_) => None,
        }
    }

    /// An `int32`, `uint32` or enumeration: the low bits count.
    pub(super) fn low(self) -> Option<u32> {
        Some((self.number()? & 0xffff_ffff) as u32)
    }
}
