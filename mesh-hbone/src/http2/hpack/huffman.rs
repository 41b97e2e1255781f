//! Strings in the Huffman code of HPACK (RFC 7541 §5.2 and Appendix B).

use super::error::DecodeError;

/// The length of the longest codes, in bits. One of them, all ones, is the end-of-string symbol.
const LONGEST: u32 = 30;

/// The symbols whose codes have one length.
struct Codes {
    /// Of each code, in bits.
    length: u32,
    /// The code of the first symbol; the others follow one by one, as the code is canonical.
    first: u64,
    symbols: &'static [u8],
}

/// Replaces `text` by what `coded` says.
///
/// At most 8/5 of the length of `coded`, as no symbol has less than five bits.
pub(super) fn decode(coded: &[u8], text: &mut Vec<u8>) -> Result<(), DecodeError> {
    text.clear();
    let mut coded = coded.iter();
    // The next bits from the highest down: `held` bits of the string, then ones.
    let mut ahead = u64::MAX;
    let mut held = 0;
    loop {
        while held <= u64::BITS - u8::BITS
            && let Some(byte) = coded.next()
        {
            ahead ^= u64::from(!byte) << (u64::BITS - u8::BITS - held);
            held += u8::BITS;
        }
        if held < u8::BITS && ahead == u64::MAX {
            return Ok(());
        }
        let Some((symbol, length)) = next_symbol(ahead) else {
            // Ones, for the length of the longest code.
            return Err(if held < LONGEST {
                DecodeError::Padding
            } else {
                DecodeError::EndOfString
            });
        };
        // The ones behind the string would have to complete a symbol.
        held = held.checked_sub(length).ok_or(DecodeError::Padding)?;
        ahead = !(!ahead << length);
        text.push(symbol);
    }
}

/// The symbol whose code is in the highest bits, and the code's length; `None` for the end of the
/// string.
fn next_symbol(ahead: u64) -> Option<(u8, u32)> {
    CODES.iter().find_map(|codes| {
        let code = ahead >> (u64::BITS - codes.length);
        let nth = usize::try_from(code.checked_sub(codes.first)?).ok()?;
        Some((*codes.symbols.get(nth)?, codes.length))
    })
}

const fn codes(length: u32, first: u64, symbols: &'static [u8]) -> Codes {
    Codes {
        length,
        first,
        symbols,
    }
}

/// All symbols but the end of the string, shorter codes first.
const CODES: [Codes; 21] = [
    codes(5, 0x0, b"012aceiost"),
    codes(6, 0x14, b" %-./3456789=A_bdfghlmnpru"),
    codes(7, 0x5C, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    codes(8, 0xF8, b"&*,;XZ"),
    codes(10, 0x3F8, b"!\"()?"),
    codes(11, 0x7FA, b"'+|"),
    codes(12, 0xFFA, b"#>"),
    codes(13, 0x1FF8, b"\0$@[]~"),
    codes(14, 0x3FFC, b"^}"),
    codes(15, 0x7FFC, b"<`{"),
    codes(19, 0x7FFF0, b"\x5C\xC3\xD0"),
    codes(20, 0xFFFE6, b"\x80\x82\x83\xA2\xB8\xC2\xE0\xE2"),
    codes(
        21,
        0x1FFFDC,
        b"\x99\xA1\xA7\xAC\xB0\xB1\xB3\xD1\xD8\xD9\xE3\xE5\xE6",
    ),
    codes(
        22,
        0x3FFFD2,
        b"\x81\x84\x85\x86\x88\x92\x9A\x9C\xA0\xA3\xA4\xA9\xAA\xAD\xB2\xB5\
          \xB9\xBA\xBB\xBD\xBE\xC4\xC6\xE4\xE8\xE9",
    ),
    codes(
        23,
        0x7FFFD8,
        b"\x01\x87\x89\x8A\x8B\x8C\x8D\x8F\x93\x95\x96\x97\x98\x9B\x9D\x9E\
          \xA5\xA6\xA8\xAE\xAF\xB4\xB6\xB7\xBC\xBF\xC5\xE7\xEF",
    ),
    codes(
        24,
        0xFFFFEA,
        b"\x09\x8E\x90\x91\x94\x9F\xAB\xCE\xD7\xE1\xEC\xED",
    ),
    codes(25, 0x1FFFFEC, b"\xC7\xCF\xEA\xEB"),
    codes(
        26,
        0x3FFFFE0,
        b"\xC0\xC1\xC8\xC9\xCA\xCD\xD2\xD5\xDA\xDB\xEE\xF0\xF2\xF3\xFF",
    ),
    codes(
        27,
        0x7FFFFDE,
        b"\xCB\xCC\xD3\xD4\xD6\xDD\xDE\xDF\xF1\xF4\xF5\xF6\xF7\xF8\xFA\xFB\
          \xFC\xFD\xFE",
    ),
    codes(
        28,
        0xFFFFFE2,
        b"\x02\x03\x04\x05\x06\x07\x08\x0B\x0C\x0E\x0F\x10\x11\x12\x13\x14\
          \x15\x17\x18\x19\x1A\x1B\x1C\x1D\x1E\x1F\x7F\xDC\xF9",
    ),
    codes(30, 0x3FFFFFFC, b"\x0A\x0D\x16"),
];
