//! The path of a target: escapes, backslashes, dot segments and repeated slashes, in one pass.

use std::borrow::Cow;

use super::bad::BadTarget;
use super::output::Output;
use super::rules::{EscapedSlashes, TargetRules};

/// The text of bytes that are all visible ASCII characters.
pub(super) fn visible(raw: &[u8]) -> Result<&str, BadTarget> {
    if let Some(position) = raw.iter().position(|b| !b.is_ascii_graphic()) {
        return Err(BadTarget::Character { position });
    }
    std::str::from_utf8(raw).map_err(|error| BadTarget::Character {
        position: error.valid_up_to(),
    })
}

/// Whether a path has `%2F` or `%5C`.
pub(super) fn escapes_slash(path: &str) -> bool {
    path.split('%').skip(1).any(|after| {
        let slash = escape(after.as_bytes());
        slash.is_some_and(|(byte, _)| is_slash(byte))
    })
}

/// A path that begins with `/`, normalised; borrowed as long as it is the beginning of the path.
pub(super) fn normalize<'a>(path: &'a str, rules: &TargetRules) -> Result<Cow<'a, str>, BadTarget> {
    let decode_slashes = !matches!(
        rules.escaped_slashes,
        EscapedSlashes::Keep | EscapedSlashes::Reject
    );
    if !may_change(path, rules, decode_slashes) {
        return Ok(Cow::Borrowed(path));
    }
    let mut pass = Pass {
        output: Output::new(path.as_bytes()),
        segment: 0,
        stray: None,
        normalize: rules.normalize,
        decode_slashes,
    };
    pass.run(path.as_bytes())?;
    if rules.merge_slashes {
        pass.output.merge_slashes();
    }
    match pass.output.finish() {
        // Both cannot fail: what is written of visible ASCII is visible ASCII.
        Cow::Borrowed(bytes) => Ok(Cow::Borrowed(visible(bytes)?)),
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(error) => Err(BadTarget::Character {
                position: error.utf8_error().valid_up_to(),
            }),
        },
    }
}

/// Whether there is anything in a path that these rules look at. Most paths have nothing.
fn may_change(path: &str, rules: &TargetRules, decode_slashes: bool) -> bool {
    let mut after_slash = false;
    path.bytes().any(|byte| {
        let found = match byte {
            b'%' => rules.normalize || decode_slashes,
            b'/' => rules.merge_slashes && after_slash,
            b'.' => rules.normalize && after_slash,
            _ => rules.normalize && (byte == b'\\' || is_unsafe(byte)),
        };
        after_slash = byte == b'/';
        found
    })
}

struct Pass<'a> {
    output: Output<'a>,
    /// Where the present segment begins in the output, after its slash.
    segment: usize,
    /// Where the output has a percent sign, in this segment, that began no escape in the input.
    stray: Option<usize>,
    normalize: bool,
    decode_slashes: bool,
}

impl Pass<'_> {
    fn run(&mut self, mut input: &[u8]) -> Result<(), BadTarget> {
        while let Some((&byte, rest)) = input.split_first() {
            input = rest;
            match byte {
                b'%' => match escape(rest) {
                    Some((value, after)) => {
                        input = after;
                        self.escaped(value, rest)?;
                    }
                    None => self.stray_percent(),
                },
                b'/' => self.slash(),
                b'\\' if self.normalize => self.slash(),
                _ if self.normalize && is_unsafe(byte) => self.escape(byte),
                _ => self.plain(byte),
            }
        }
        self.end_segment(true);
        Ok(())
    }

    /// A byte that is written as `%` and the two digits that `digits` begins with.
    fn escaped(&mut self, value: u8, digits: &[u8]) -> Result<(), BadTarget> {
        if self.decode_slashes && is_slash(value) {
            match self.normalize || value == b'/' {
                true => self.slash(),
                false => self.plain(value),
            }
        } else if self.normalize && value == 0 {
            return Err(BadTarget::Nul);
        } else if self.normalize && is_unreserved(value) {
            self.plain(value);
        } else {
            self.output.push(b'%');
            digits.iter().take(2).for_each(|&d| self.output.push(d));
        }
        Ok(())
    }

    fn stray_percent(&mut self) {
        self.stray = Some(self.output.len());
        self.output.push(b'%');
    }

    fn escape(&mut self, byte: u8) {
        const DIGITS: [u8; 16] = *b"0123456789ABCDEF";
        self.output.push(b'%');
        for digit in [byte >> 4, byte & 15] {
            let digit = DIGITS.get(usize::from(digit)).copied();
            self.output.push(digit.unwrap_or(b'0'));
        }
    }

    fn plain(&mut self, byte: u8) {
        // A decoded character must not make an escape of a percent sign that was none.
        let first = match self
            .stray
            .and_then(|at| self.output.as_slice().get(at + 1..))
        {
            Some(&[first]) if is_hex(first) && is_hex(byte) => Some(first),
            _ => None,
        };
        if let Some(first) = first {
            self.output.truncate(self.output.len().saturating_sub(1));
            [b'2', b'5', first]
                .iter()
                .for_each(|&b| self.output.push(b));
            self.stray = None;
        }
        self.output.push(byte);
    }

    /// The end of a segment and the slash that follows it.
    fn slash(&mut self) {
        self.end_segment(false);
        self.segment = self.output.len();
    }

    /// Ends a segment, and writes the slash after it unless it is the last one. A dot segment is
    /// taken back, and for `..` the one before it; the slash before what was taken stays.
    fn end_segment(&mut self, last: bool) {
        self.stray = None;
        let written = self.output.as_slice();
        let (before, segment) = written
            .split_at_checked(self.segment)
            .unwrap_or((written, b""));
        let name = segment.split(|&b| b == b';').next().unwrap_or_default();
        // The path begins with a slash, so before the first one there is no segment.
        match name {
            b"." if self.normalize && !before.is_empty() => self.output.truncate(before.len()),
            b".." if self.normalize && !before.is_empty() => {
                let parent = before.strip_suffix(b"/").unwrap_or(before);
                let slash = parent.iter().rposition(|&b| b == b'/');
                let kept = slash.map_or(1, |slash| slash + 1);
                self.output.truncate(kept);
            }
            _ if last => {}
            _ => self.output.push(b'/'),
        }
    }
}

/// The byte that two hexadecimal digits at the beginning stand for, and what comes after them.
fn escape(after_percent: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], rest) = after_percent.split_first_chunk::<2>()?;
    Some((hex(high)? << 4 | hex(low)?, rest))
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn is_slash(byte: u8) -> bool {
    byte == b'/' || byte == b'\\'
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Visible characters that a path has only as escapes (RFC 3986 §3.3), without `[`, `]`, which
/// clients send as they are, and the backslash.
fn is_unsafe(byte: u8) -> bool {
    b"\"<>^`{|}".contains(&byte)
}
