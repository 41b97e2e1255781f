//! The lines of a head.

use super::bad_head::BadHead;
use super::fields::Fields;
use super::framing::Version;
use super::syntax;

/// The version of a first line.
pub(super) fn version_of(text: &[u8]) -> Result<Version, BadHead> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(BadHead::Version)
        }
        _ => Err(BadHead::StartLine),
    }
}

/// The first line without its end, and what comes after it.
pub(super) fn line(bytes: &[u8]) -> Result<(&[u8], &[u8]), BadHead> {
    let end = memchr::memchr(b'\n', bytes).ok_or(BadHead::Unfinished)?;
    let (line, rest) = bytes.split_at_checked(end).ok_or(BadHead::Unfinished)?;
    let line = line.strip_suffix(b"\r").ok_or(BadHead::BareLineFeed)?;
    Ok((line, rest.strip_prefix(b"\n").unwrap_or(rest)))
}

/// Gives header lines to `fields`, up to the empty one, after which there must be nothing. Returns
/// the value of the last `Host`.
pub(super) fn lines<'a>(
    mut bytes: &'a [u8],
    fields: &mut Fields<'_>,
) -> Result<Option<&'a [u8]>, BadHead> {
    let mut host = None;
    loop {
        let (field, rest) = line(bytes)?;
        bytes = rest;
        if field.is_empty() {
            return if rest.is_empty() {
                Ok(host)
            } else {
                Err(BadHead::Unfinished)
            };
        }
        if field.starts_with(b" ") || field.starts_with(b"\t") {
            return Err(BadHead::Folded);
        }
        let (name, value) = syntax::token(field).ok_or(BadHead::Name)?;
        let value = syntax::trim(value.strip_prefix(b":").ok_or(BadHead::Name)?);
        if !syntax::is_value(value) {
            return Err(BadHead::Value);
        }
        fields.line(name, value)?;
        if name.eq_ignore_ascii_case(b"host") {
            host = Some(value);
        }
    }
}
