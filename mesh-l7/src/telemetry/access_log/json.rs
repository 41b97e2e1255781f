//! Lines that are JSON objects. Source: RFC 8259.

use std::io::Write as _;

use super::part::{Key, Part};
use super::text;
use super::value::{Context, Value};

/// Writes an object and the end of the line.
pub(super) fn write(keys: &[Key], context: &Context<'_>, to: &mut Vec<u8>) {
    to.push(b'{');
    for (place, (key, parts)) in keys.iter().enumerate() {
        if place > 0 {
            to.push(b',');
        }
        string(key.as_bytes(), to);
        to.push(b':');
        match &**parts {
            [Part::Value(operator, most)] => alone(&context.value(operator), *most, to),
            parts => {
                let mut joined = Vec::new();
                text::write(parts, context, &mut joined);
                string(&joined, to);
            }
        }
    }
    to.extend_from_slice(b"}\n");
}

/// A value that nothing stands beside keeps its type.
fn alone(value: &Value<'_>, most: Option<usize>, to: &mut Vec<u8>) {
    match value {
        Value::Absent => to.extend_from_slice(b"null"),
        Value::Number(number) => {
            // Writing to a Vec does not fail.
            let _ = write!(to, "{number}");
        }
        Value::Bytes(bytes) => {
            let end = most.unwrap_or(usize::MAX).min(bytes.len());
            string(bytes.get(..end).unwrap_or_default(), to);
        }
        // What is written from its parts has nothing that JSON escapes.
        Value::Shown(_) | Value::Time(..) => {
            to.push(b'"');
            let from = to.len();
            text::value(value, to);
            text::cut(to, from, most);
            to.push(b'"');
        }
    }
}

/// A string; bytes that are no text are taken for characters of ISO 8859-1.
fn string(bytes: &[u8], to: &mut Vec<u8>) {
    to.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' => to.extend_from_slice(&[b'\\', byte]),
                b'\n' => to.extend_from_slice(b"\\n"),
                b'\t' => to.extend_from_slice(b"\\t"),
                0..0x20 | 0x7f => {
                    let _ = write!(to, "\\u{byte:04x}");
                }
                byte => to.push(byte),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(to, "\\u{byte:04x}");
        }
    }
    to.push(b'"');
}
