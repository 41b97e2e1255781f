//! An encoder of tests: everything that RFC 7541 lets an encoder do, chosen from outside.

use super::Field;
use super::appendix_b::{CODES, LENGTHS};

/// How a field is written, as far as the tables allow it.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) form: Form,
    /// Whether the index of a known name is used.
    pub(super) name_by_index: bool,
    pub(super) huffman_name: bool,
    pub(super) huffman_value: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// By index when the field is in a table, otherwise added to it.
    Index,
    /// Added to the table, whether it is there or not.
    Add,
    Without,
    Never,
}

/// The tables of an encoder, as lists that are walked from end to end.
#[derive(Debug)]
pub(super) struct Encoder {
    known: Vec<Field>,
    /// The newest first.
    added: Vec<Field>,
    maximum: usize,
}

impl Encoder {
    pub(super) fn new() -> Self {
        let known = (1..).map_while(super::super::static_table::get);
        Self {
            known: known
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect(),
            added: Vec::new(),
            maximum: 4096,
        }
    }

    pub(super) fn size_update(&mut self, block: &mut Vec<u8>, size: usize) {
        integer(block, 0x20, 5, size);
        self.maximum = size;
        self.evict();
    }

    pub(super) fn field(&mut self, block: &mut Vec<u8>, field: &Field, choice: &Choice) {
        let mut both = self.known.iter().chain(&self.added);
        if choice.form == Form::Index
            && let Some(at) = both.position(|known| known == field)
        {
            return integer(block, 0x80, 7, at + 1);
        }
        let (flags, prefix) = match choice.form {
            Form::Index | Form::Add => (0x40, 6),
            Form::Without => (0x00, 4),
            Form::Never => (0x10, 4),
        };
        let mut both = self.known.iter().chain(&self.added);
        let at = both.position(|known| known.0 == field.0);
        match at.filter(|_| choice.name_by_index) {
            Some(at) => integer(block, flags, prefix, at + 1),
            None => {
                block.push(flags);
                string(block, &field.0, choice.huffman_name);
            }
        }
        string(block, &field.1, choice.huffman_value);
        if flags == 0x40 {
            self.added.insert(0, field.clone());
            self.evict();
        }
    }

    fn evict(&mut self) {
        let size = |added: &[Field]| -> usize {
            added
                .iter()
                .map(|(name, value)| name.len() + value.len() + 32)
                .sum()
        };
        while size(&self.added) > self.maximum {
            self.added.pop();
        }
    }
}

/// The pseudocode of RFC 7541 §5.1.
pub(super) fn integer(block: &mut Vec<u8>, flags: u8, prefix: u32, mut value: usize) {
    let limit = 2_usize.pow(prefix) - 1;
    if value < limit {
        return block.push(flags | u8::try_from(value).unwrap());
    }
    block.push(flags | u8::try_from(limit).unwrap());
    value -= limit;
    while value >= 128 {
        block.push(u8::try_from(value % 128 + 128).unwrap());
        value /= 128;
    }
    block.push(u8::try_from(value).unwrap());
}

fn string(block: &mut Vec<u8>, text: &[u8], huffman: bool) {
    if huffman {
        let coded = self::huffman(text);
        integer(block, 0x80, 7, coded.len());
        block.extend(coded);
    } else {
        integer(block, 0x00, 7, text.len());
        block.extend(text);
    }
}

/// The bits of Appendix B one after the other, padded with ones.
pub(super) fn huffman(text: &[u8]) -> Vec<u8> {
    let mut bits = Vec::new();
    for symbol in text {
        let (code, length) = (CODES[usize::from(*symbol)], LENGTHS[usize::from(*symbol)]);
        bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
    }
    bits.resize(bits.len().next_multiple_of(8), true);
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    bits.chunks(8).map(byte).collect()
}
