//! Integers and strings of a header block (RFC 7541 §5).

use super::error::DecodeError;
use super::huffman;

/// The largest integer that is accepted: far above any index and any string that fits a block.
const MAX_INTEGER: u64 = 1 << 28;

/// The rest of a header block.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }

    /// The next byte, or `None` at the end of the block.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// The size in a size update, if one comes next (RFC 7541 §6.3).
    pub(super) fn size_update(&mut self) -> Result<Option<usize>, DecodeError> {
        match self.rest {
            [first @ 0b0010_0000..=0b0011_1111, rest @ ..] => {
                self.rest = rest;
                self.integer(*first, 0b0001_1111).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The integer that begins in `first`, where `prefix` has ones, and may go on in the block
    /// (RFC 7541 §5.1).
    pub(super) fn integer(&mut self, first: u8, prefix: u8) -> Result<usize, DecodeError> {
        let in_prefix = first & prefix;
        if in_prefix < prefix {
            return Ok(usize::from(in_prefix));
        }
        let mut value = u64::from(prefix);
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte().ok_or(DecodeError::Truncated)?;
            // Less than 2^8 + 2^35 in sum.
            value += u64::from(byte & 0x7F) << shift;
            if value > MAX_INTEGER {
                break;
            }
            if byte & 0x80 == 0 {
                return usize::try_from(value).map_err(|_| DecodeError::IntegerTooLarge);
            }
        }
        Err(DecodeError::IntegerTooLarge)
    }

    /// The string that comes next (RFC 7541 §5.2): a part of the block, or decoded into `scratch`.
    pub(super) fn string<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], DecodeError>
    where
        'a: 's,
    {
        let first = self.byte().ok_or(DecodeError::Truncated)?;
        let length = self.integer(first, 0b0111_1111)?;
        let (text, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        if first & 0b1000_0000 == 0 {
            return Ok(text);
        }
        huffman::decode(text, scratch)?;
        Ok(scratch)
    }
}
