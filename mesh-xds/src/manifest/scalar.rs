//! What a scalar means: the words and numbers of YAML 1.1 as kubectl reads them.

use std::sync::Arc;

/// A scalar as it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Scalar {
    pub(super) text: Arc<str>,
    /// Without quotes, so that the text may be a number or a word with a meaning.
    pub(super) plain: bool,
}

/// What a scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    /// Words and numbers are those of go-yaml 2, which kubectl and the Kubernetes API read with:
    /// `yes`, `on` and `y` are true, `010` is 8, and dates are text.
    pub(super) fn meaning(&self) -> Meaning<'_> {
        if !self.plain {
            return Meaning::Text(&self.text);
        }
        match &*self.text {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
                Meaning::Bool(true)
            }
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off"
            | "OFF" => Meaning::Bool(false),
            text => number(text).unwrap_or(Meaning::Text(text)),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.meaning() == Meaning::Null
    }
}

/// A number, when the text is one.
fn number(text: &str) -> Option<Meaning<'static>> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || b"+-.".contains(&first)) {
        return None;
    }
    special_float(text)
        .or_else(|| integer(text))
        .or_else(|| float(text))
}

fn special_float(text: &str) -> Option<Meaning<'static>> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    match rest {
        ".inf" | ".Inf" | ".INF" if negative => Some(Meaning::Float(f64::NEG_INFINITY)),
        ".inf" | ".Inf" | ".INF" => Some(Meaning::Float(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if rest == text => Some(Meaning::Float(f64::NAN)),
        _ => None,
    }
}

fn integer(text: &str) -> Option<Meaning<'static>> {
    let text: String = text.chars().filter(|c| *c != '_').collect();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (radix, digits) = radix(digits);
    // `from_str_radix` takes another sign.
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    if !negative {
        return Some(Meaning::Unsigned(value));
    }
    let value = 0_i64.checked_sub_unsigned(value)?;
    Some(Meaning::Signed(value))
}

fn radix(digits: &str) -> (u32, &str) {
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let rest = digits.get(2..).unwrap_or_default();
    match lower.as_deref() {
        Some("0x") => (16, rest),
        Some("0o") => (8, rest),
        Some("0b") => (2, rest),
        Some(two) if two.starts_with('0') => (8, digits.get(1..).unwrap_or_default()),
        _ => (10, digits),
    }
}

/// Digits with at most one point and an exponent; what Rust reads beyond that (`inf`) is text.
fn float(text: &str) -> Option<Meaning<'static>> {
    let known = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
    let digits = text.bytes().any(|b| b.is_ascii_digit());
    if !digits || !text.bytes().all(known) {
        return None;
    }
    text.parse().ok().map(Meaning::Float)
}

#[cfg(test)]
mod tests {
    use super::{Meaning, Scalar};

    fn plain(text: &str) -> Scalar {
        Scalar {
            text: text.into(),
            plain: true,
        }
    }

    /// The rules of go-yaml 2 (`resolve.go`), which sigs.k8s.io/yaml reads with.
    #[test]
    fn plain_scalars_mean_what_kubectl_takes_them_for() {
        let cases: &[(&str, Meaning<'_>)] = &[
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("null", Meaning::Null),
            ("nUll", Meaning::Text("nUll")),
            ("yes", Meaning::Bool(true)),
            ("on", Meaning::Bool(true)),
            ("y", Meaning::Bool(true)),
            ("off", Meaning::Bool(false)),
            ("N", Meaning::Bool(false)),
            ("yEs", Meaning::Text("yEs")),
            ("0", Meaning::Unsigned(0)),
            ("8080", Meaning::Unsigned(8080)),
            ("+7", Meaning::Unsigned(7)),
            ("-7", Meaning::Signed(-7)),
            ("-9223372036854775808", Meaning::Signed(i64::MIN)),
            ("18446744073709551615", Meaning::Unsigned(u64::MAX)),
            ("010", Meaning::Unsigned(8)),
            ("0o10", Meaning::Unsigned(8)),
            ("0x1F", Meaning::Unsigned(31)),
            ("0b101", Meaning::Unsigned(5)),
            ("1_000", Meaning::Unsigned(1000)),
            ("08", Meaning::Float(8.0)),
            ("1.5", Meaning::Float(1.5)),
            (".5", Meaning::Float(0.5)),
            ("1e3", Meaning::Float(1000.0)),
            ("-.inf", Meaning::Float(f64::NEG_INFINITY)),
            ("inf", Meaning::Text("inf")),
            ("nan", Meaning::Text("nan")),
            ("1.2.3", Meaning::Text("1.2.3")),
            ("10.0.0.1", Meaning::Text("10.0.0.1")),
            ("10.0.0.0/8", Meaning::Text("10.0.0.0/8")),
            (
                "2001-12-14T21:59:43Z",
                Meaning::Text("2001-12-14T21:59:43Z"),
            ),
            ("12:30:45", Meaning::Text("12:30:45")),
            ("-", Meaning::Text("-")),
            ("--1", Meaning::Text("--1")),
            ("0x", Meaning::Text("0x")),
            ("v1", Meaning::Text("v1")),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text).meaning(), *expected, "{text:?}");
        }
    }

    #[test]
    fn quoted_scalars_are_text() {
        for text in ["", "null", "yes", "8080"] {
            let scalar = Scalar {
                text: text.into(),
                plain: false,
            };
            assert_eq!(scalar.meaning(), Meaning::Text(text));
        }
    }
}
