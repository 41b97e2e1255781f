//! HPACK, the compression of header fields in HTTP/2 (RFC 7541).
//!
//! Decoding is complete. Encoding keeps no state: fields are taken from the static table or written
//! as literals, so a peer needs no dynamic table for us.

mod decoder;
mod dynamic_table;
pub(crate) mod encode;
mod error;
mod huffman;
mod reader;
mod static_table;
#[cfg(test)]
mod tests;

pub(crate) use decoder::Decoder;
