//! PROXY protocol version 2: who is at the other end, in front of the bytes of a connection.
//!
//! Source: "The PROXY protocol", section 2.2, of the HAProxy project. Version 1 is not supported,
//! and neither are checksums: their TLV is passed over like any unknown one.

mod decode;
mod encode;
mod header;
#[cfg(test)]
mod tests;

pub use decode::{DecodeError, Decoded, Limits, decode};
pub use encode::EncodeError;
pub use header::{Addresses, Header, TLV_IDENTITY, TLV_SERVICE, Tlv};
