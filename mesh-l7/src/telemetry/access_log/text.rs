//! Lines of text.

use std::io::Write as _;

use super::part::Part;
use super::value::{Context, Value};

/// Writes a line. It ends where the format says so.
pub(super) fn write(parts: &[Part], context: &Context<'_>, to: &mut Vec<u8>) {
    for part in parts {
        match part {
            Part::Literal(literal) => to.extend_from_slice(literal.as_bytes()),
            Part::Value(operator, most) => {
                let from = to.len();
                value(&context.value(operator), to);
                cut(to, from, *most);
            }
        }
    }
}

/// Writes a value as text; `-` when it is not known.
pub(super) fn value(value: &Value<'_>, to: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    let _ = match value {
        Value::Absent => to.write_all(b"-"),
        Value::Number(number) => write!(to, "{number}"),
        Value::Bytes(bytes) => {
            escaped(bytes, to);
            Ok(())
        }
        Value::Shown(shown) => write!(to, "{shown}"),
        Value::Time(format, time) => {
            format.write(*time, to);
            Ok(())
        }
    };
}

/// Takes back what is written beyond `most` bytes from a place on, at the end of a character.
pub(super) fn cut(to: &mut Vec<u8>, from: usize, most: Option<usize>) {
    let Some(mut end) = most.and_then(|most| from.checked_add(most)) else {
        return;
    };
    // The other bytes of a character begin with 10.
    while end > from && to.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    to.truncate(end);
}

/// Bytes that could end a field or a line, or are no text, as `\xHH`.
fn escaped(bytes: &[u8], to: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            if byte.is_ascii_control() || byte == b'"' {
                let _ = write!(to, "\\x{byte:02x}");
            } else {
                to.push(byte);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(to, "\\x{byte:02x}");
        }
    }
}
