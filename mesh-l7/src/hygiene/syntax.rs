//! The smallest parts of the grammar.

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_token_byte(*b))
}

/// The token that a text begins with, and what comes after it; `None` where there is none.
pub(super) fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|b| !is_token_byte(*b));
    let (token, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
    (!token.is_empty()).then_some((token, rest))
}

fn is_token_byte(byte: u8) -> bool {
    // As patterns, so that it is a look at a table of bits.
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' | b'#' | b'$' | b'%'
        | b'&' | b'\'' | b'*' | b'+' | b'^' | b'`' | b'|' | b'~')
}

/// Whether a value has nothing but visible characters, bytes above ASCII, spaces and tabs.
pub(super) fn is_value(value: &[u8]) -> bool {
    // All of it, whatever the first bytes are: several bytes at a time.
    let good = |b: u8| b == b'\t' || (b >= b' ' && b != 0x7f);
    value.iter().fold(true, |all, b| all & good(*b))
}

/// Without spaces and tabs at both ends.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// The members of a comma-separated list. Empty ones are left out, as RFC 9110 §5.6.1.2 asks for.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&b| b == b',')
        .map(trim)
        .filter(|m| !m.is_empty())
}

/// One or more digits and nothing else; `None` as well when the number is too large.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// One or more hexadecimal digits; `None` as well when the number is too large.
pub(super) fn hex_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    text.iter().try_fold(0_u64, |number, &digit| {
        let value = char::from(digit).to_digit(16)?;
        number.checked_mul(16)?.checked_add(u64::from(value))
    })
}
