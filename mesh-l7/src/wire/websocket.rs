//! The handshake of a WebSocket on HTTP/1.1 (RFC 6455 §1.3), which HTTP/2 does without (RFC 8441).

use http::HeaderValue;

use super::sha1::sha1;

const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of `sec-websocket-accept` that answers a key.
pub(crate) fn accept_value(key: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from(base64(&sha1(&[key, MAGIC].concat()))).ok()
}

/// A `sec-websocket-key` of 16 random bytes.
pub(crate) fn new_key(random: [u8; 16]) -> Option<HeaderValue> {
    HeaderValue::try_from(base64(&random)).ok()
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut number = 0;
        for at in 0..3 {
            number = number << 8 | u32::from(group.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let six = usize::try_from(number >> (18 - 6 * at) & 0x3f).unwrap_or(0);
            let letter = ALPHABET.get(six).copied().unwrap_or(b'=');
            text.push(match at > group.len() {
                true => '=',
                false => char::from(letter),
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_in_the_rfc() {
        // RFC 6455 §1.3.
        let accept = accept_value(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept.unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let key = new_key(*b"the sample nonce");
        assert_eq!(key.unwrap(), "dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn bytes_are_written_as_in_the_rfc() {
        // RFC 4648 §10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
