//! The texts of one claim.

use serde_json::Value;

/// Borrowing iterator over the texts of one claim; see
/// [`VerifiedClaims::strings`](crate::claims::VerifiedClaims::strings).
#[derive(Clone, Debug)]
#[must_use]
pub struct Strings<'a>(Kind<'a>);

#[derive(Clone, Debug)]
enum Kind<'a> {
    One(Option<&'a str>),
    List(std::slice::Iter<'a, Value>),
    Words(std::str::Split<'a, char>),
}

impl<'a> Strings<'a> {
    pub(super) fn none() -> Self {
        Self(Kind::One(None))
    }

    pub(super) fn of(value: &'a Value) -> Self {
        Self(match value {
            Value::String(text) => Kind::One(Some(text)),
            Value::Array(items) => Kind::List(items.iter()),
            _ => Kind::One(None),
        })
    }

    pub(super) fn words(text: &'a str) -> Self {
        Self(Kind::Words(text.split(' ')))
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        match &mut self.0 {
            Kind::One(text) => text.take(),
            Kind::List(items) => items.find_map(Value::as_str),
            Kind::Words(words) => words.find(|word| !word.is_empty()),
        }
    }
}
