//! Reading header blocks.

use super::dynamic_table::DynamicTable;
use super::error::DecodeError;
use super::reader::Reader;
use super::static_table;

/// The size of a table before anything is announced, in bytes (RFC 9113 §6.5.2).
const INITIAL_SIZE: usize = 4096;

/// Decodes the header blocks of one connection, in the order in which they arrive.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: DynamicTable,
    /// What the peer may at most make of its table's size, in bytes.
    limit: usize,
    /// The smallest limit since the last block, in bytes.
    smallest: usize,
}

/// What becomes of a literal field.
#[derive(Clone, Copy)]
enum Literal {
    /// It enters the dynamic table (RFC 7541 §6.2.1).
    Indexed,
    /// It is passed on only (RFC 7541 §6.2.2 and §6.2.3).
    Plain,
}

/// Room for strings that are not in the block as they are; takes memory when it is used.
#[derive(Default)]
struct Scratch {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// With the limit of 4096 bytes that holds until the peer has acknowledged another.
    pub(crate) const fn new() -> Self {
        Self {
            table: DynamicTable::new(INITIAL_SIZE),
            limit: INITIAL_SIZE,
            smallest: INITIAL_SIZE,
        }
    }

    /// Takes the limit, in bytes, of a SETTINGS_HEADER_TABLE_SIZE that the peer has acknowledged.
    ///
    /// The table keeps its size until the next block, which has to begin with a size update when
    /// the table is larger than the limit (RFC 7541 §4.2).
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.smallest = self.smallest.min(limit);
    }

    /// Decodes a whole header block (HEADERS and its CONTINUATIONs), calling `field` with name and
    /// value of each field in order.
    ///
    /// Fields in front of an error are passed on as well. A byte of the block yields at most one
    /// field; how much text the fields are in sum is for `field` to count, as a reference to a
    /// long entry of the table is short. That a field must never be indexed is not passed on.
    ///
    /// # Errors
    /// [`DecodeError`] when the block is malformed; nothing can be decoded after it.
    pub(crate) fn decode(
        &mut self,
        block: &[u8],
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), DecodeError> {
        let mut reader = Reader::new(block);
        self.size_updates(&mut reader)?;
        let mut scratch = Scratch::default();
        while let Some(first) = reader.byte() {
            self.field(first, &mut reader, &mut scratch, &mut field)?;
        }
        Ok(())
    }

    /// The size updates at the start of a block (RFC 7541 §4.2).
    ///
    /// An encoder writes two at most; more do no harm.
    fn size_updates(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let mut owed = self.table.maximum() > self.smallest;
        while let Some(size) = reader.size_update()? {
            let bound = if owed { self.smallest } else { self.limit };
            if size > bound {
                return Err(DecodeError::SizeUpdateTooLarge);
            }
            self.table.set_maximum(size);
            owed = false;
        }
        if owed {
            return Err(DecodeError::SizeUpdateMissing);
        }
        self.smallest = self.limit;
        Ok(())
    }

    /// One representation of a field, by its first byte (RFC 7541 §6).
    fn field(
        &mut self,
        first: u8,
        reader: &mut Reader<'_>,
        scratch: &mut Scratch,
        field: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), DecodeError> {
        match first.leading_zeros() {
            0 => {
                let index = reader.integer(first, 0b0111_1111)?;
                let (name, value) = lookup(&self.table, index)?;
                field(name, value);
                Ok(())
            }
            1 => {
                let index = reader.integer(first, 0b0011_1111)?;
                self.literal(Literal::Indexed, index, reader, scratch, field)
            }
            2 => Err(DecodeError::SizeUpdateMisplaced),
            _ => {
                let index = reader.integer(first, 0b0000_1111)?;
                self.literal(Literal::Plain, index, reader, scratch, field)
            }
        }
    }

    /// A literal field whose name has `index`, or stands in the block when that is zero
    /// (RFC 7541 §6.2).
    fn literal(
        &mut self,
        literal: Literal,
        index: usize,
        reader: &mut Reader<'_>,
        scratch: &mut Scratch,
        field: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), DecodeError> {
        let name = match index {
            0 => reader.string(&mut scratch.name)?,
            _ => lookup(&self.table, index)?.0,
        };
        let value = reader.string(&mut scratch.value)?;
        field(name, value);
        if let Literal::Indexed = literal {
            // Before anything is evicted: the name may be that of an entry to be evicted.
            let entry = self.table.entry(name, value);
            self.table.insert(entry);
        }
        Ok(())
    }
}

/// Name and value at an index of both tables (RFC 7541 §2.3.3).
fn lookup(table: &DynamicTable, index: usize) -> Result<(&[u8], &[u8]), DecodeError> {
    match index.checked_sub(static_table::LENGTH + 1) {
        None => static_table::get(index),
        Some(nth) => table.get(nth),
    }
    .ok_or(DecodeError::NoSuchIndex)
}
