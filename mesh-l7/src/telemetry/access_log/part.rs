//! The pieces of a format string.

use super::operator::Operator;
use super::problem::{BadFormat, FormatProblem, Surroundings};

/// A piece of a format.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Literal(Box<str>),
    /// A value, and how many of its bytes are written at most.
    Value(Operator, Option<usize>),
}

/// A key of a JSON object, and the format of its value.
pub(super) type Key = (Box<str>, Box<[Part]>);

/// Reads a format string.
pub(super) fn compile(format: &str, around: &Surroundings) -> Result<Box<[Part]>, BadFormat> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        literal.push_str(before);
        let after = from.strip_prefix('%').unwrap_or(from);
        if let Some(after) = after.strip_prefix('%') {
            literal.push('%');
            rest = after;
            continue;
        }
        let wrong = |problem| BadFormat {
            text: format.into(),
            position: format.len() - from.len(),
            problem,
        };
        let found = operator(after).ok_or_else(|| wrong(FormatProblem::Form))?;
        let operator = Operator::compile(found.name, found.arguments, around).map_err(wrong)?;
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal).into()));
        }
        parts.push(Part::Value(operator, found.length));
        rest = found.rest;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(parts.into())
}

/// An operator as it is written.
struct Found<'a> {
    name: &'a str,
    arguments: Option<&'a str>,
    length: Option<usize>,
    rest: &'a str,
}

/// The operator that a text after `%` begins with.
fn operator(text: &str) -> Option<Found<'_>> {
    let of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let end = text.find(|c| !of_name(c))?;
    let (name, mut rest) = text.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    let mut arguments = None;
    if let Some(from) = rest.strip_prefix('(') {
        let (inside, after) = from.split_once(')')?;
        (arguments, rest) = (Some(inside), after);
    }
    let mut length = None;
    if let Some(from) = rest.strip_prefix(':') {
        let (digits, _) = from.split_once('%')?;
        let digits_only = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        length = Some(digits.parse().ok().filter(|_| digits_only)?);
        rest = from.strip_prefix(digits)?;
    }
    Some(Found {
        name,
        arguments,
        length,
        rest: rest.strip_prefix('%')?,
    })
}
