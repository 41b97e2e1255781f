//! Base64 as tokens and keys have it (RFC 4648), strict in both directions.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The bytes that `text` stands for in the URL-safe alphabet without padding (RFC 7515 section 2).
///
/// `None` for any other character, for a length that no bytes have, and for unused bits that are
/// not zero: one value has one spelling.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        let mut bits: u32 = 0;
        for &character in group {
            bits = bits << 6 | u32::from(sextet(character)?);
        }
        let [_, first, second, third] = match group.len() {
            4 => bits,
            3 => bits << 6,
            2 => bits << 12,
            _ => return None,
        }
        .to_be_bytes();
        match group.len() {
            4 => bytes.extend([first, second, third]),
            3 if third == 0 => bytes.extend([first, second]),
            2 if second == 0 && third == 0 => bytes.push(first),
            _ => return None,
        }
    }
    Some(bytes)
}

/// `bytes` in the standard alphabet, with padding.
pub(super) fn encode_standard(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4_usize {
            let sextet = (bits >> (18 - 6 * place) & 63) as usize;
            let character = STANDARD.get(sextet).filter(|_| place <= group.len());
            text.push(character.map_or('=', |&character| char::from(character)));
        }
    }
    text
}

fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode_standard};

    /// RFC 4648 section 10, without padding, and RFC 7515 appendix C.
    #[test]
    fn the_vectors_of_the_rfcs_are_read() {
        let cases: [(&[u8], &str); 8] = [
            (b"", ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (&[3, 236, 255, 224, 193], "A-z_4ME"),
        ];
        for (bytes, text) in cases {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
    }

    #[test]
    fn the_vectors_of_rfc_4648_are_written_with_padding() {
        assert_eq!(encode_standard(b"fooba"), "Zm9vYmE=");
        assert_eq!(encode_standard(b"foob"), "Zm9vYg==");
        assert_eq!(encode_standard(&[3, 236, 255]), "A+z/");
    }

    #[test]
    fn anything_else_is_refused() {
        let cases = [
            "Z", "Zm9vY", "Zg==", "Zm8=", "Zm9v ", "Zm+v", "Zm/v", "Zh", "Zm9", "Zm\n9v",
        ];
        for text in cases {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
    }
}
