//! Header blocks of RFC 7541 and of an encoder that knows all of it.

mod appendix_b;
mod appendix_c;
mod decoding;
mod encoder;
mod encoding;
mod malformed;
mod settings;

use super::Decoder;
use super::error::DecodeError;

/// Name and value.
type Field = (Vec<u8>, Vec<u8>);

fn owned(fields: &[(&str, &str)]) -> Vec<Field> {
    let owned =
        |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    fields.iter().map(owned).collect()
}

/// All fields of a block.
fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Field>, DecodeError> {
    let mut fields = Vec::new();
    decoder.decode(block, |name, value| {
        fields.push((name.to_vec(), value.to_vec()))
    })?;
    Ok(fields)
}

/// The bytes of hexadecimal digits, as RFC 7541 prints them.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
