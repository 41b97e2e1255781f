//! Writing header blocks, without a dynamic table and without Huffman codes.
//!
//! A block decodes to the same fields whatever came before it, so blocks may be written in any
//! order.

use bytes::{BufMut, BytesMut};

use super::static_table::{self, Found};

/// Appends `:status`; `status` has three digits (RFC 9113 §8.3.2).
pub(crate) fn status(block: &mut BytesMut, status: u16) {
    let digit = |number: u16| {
        let [_, digit] = (number % 10).to_be_bytes();
        b'0' | digit
    };
    let value = [digit(status / 100), digit(status / 10), digit(status)];
    field(block, b":status", &value, false);
}

/// Appends a field, whose name is in lower case.
///
/// A sensitive one is written so that no proxy on its way puts it into a table (RFC 7541 §7.1.3).
pub(crate) fn field(block: &mut BytesMut, name: &[u8], value: &[u8], sensitive: bool) {
    let literal = if sensitive { 0b0001_0000 } else { 0 };
    match static_table::find(name, value) {
        Some(Found::Field(index)) if !sensitive => {
            return integer(block, 0b1000_0000, 0b0111_1111, index);
        }
        Some(Found::Field(index) | Found::Name(index)) => {
            integer(block, literal, 0b0000_1111, index);
        }
        None => {
            block.put_u8(literal);
            string(block, name);
        }
    }
    string(block, value);
}

/// Appends the size update to zero, which goes in front of the first field (RFC 7541 §6.3).
///
/// Owed once, when the peer announces a table smaller than the initial 4096 bytes, and allowed at
/// the start of any block: it tells the peer to free its table.
pub(crate) fn size_update_zero(block: &mut BytesMut) {
    block.put_u8(0b0010_0000);
}

/// A string as it is (RFC 7541 §5.2).
fn string(block: &mut BytesMut, text: &[u8]) {
    integer(block, 0, 0b0111_1111, text.len());
    block.put_slice(text);
}

/// An integer that begins where `prefix` has ones, behind the bits of `flags` (RFC 7541 §5.1).
fn integer(block: &mut BytesMut, flags: u8, prefix: u8, value: usize) {
    let Some(mut rest) = value.checked_sub(usize::from(prefix)) else {
        let [low, ..] = value.to_le_bytes();
        return block.put_u8(flags | low);
    };
    block.put_u8(flags | prefix);
    while rest >= 0x80 {
        let [low, ..] = rest.to_le_bytes();
        block.put_u8(low | 0x80);
        rest >>= 7;
    }
    let [low, ..] = rest.to_le_bytes();
    block.put_u8(low);
}
