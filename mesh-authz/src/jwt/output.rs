//! What the application gets of a verified token, in headers.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Number, Value};

use super::base64;
use super::token::Token;

/// Headers that a rule writes. Nobody else may: copies that a client sends are removed first.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    pub(super) payload: Option<HeaderName>,
    /// Headers, and the names of the nested claims.
    pub(super) claims: Vec<(HeaderName, Vec<String>)>,
}

impl Output {
    /// The names of all headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.payload
            .iter()
            .chain(self.claims.iter().map(|(header, _)| header))
    }

    /// The headers for `token`. A claim that is missing, empty or not fit for a header has none.
    pub(super) fn of(&self, token: &Token<'_>) -> Vec<(HeaderName, HeaderValue)> {
        let payload = self
            .payload
            .iter()
            .map(|header| (header, Some(token.payload.to_owned())));
        let claims = self
            .claims
            .iter()
            .map(|(header, path)| (header, lookup(&token.claims, path).and_then(text)));
        payload
            .chain(claims)
            .filter_map(|(header, text)| {
                let text = text.filter(|text| !text.is_empty())?;
                Some((header.clone(), HeaderValue::from_str(&text).ok()?))
            })
            .collect()
    }
}

/// Removes what clients must not send.
pub(super) fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

fn lookup<'c>(claims: &'c Map<String, Value>, path: &[String]) -> Option<&'c Value> {
    let (first, rest) = path.split_first()?;
    let mut value = claims.get(first)?;
    for name in rest {
        value = value.as_object()?.get(name)?;
    }
    Some(value)
}

/// A claim as text, the way Envoy writes it; `HeaderValue` refuses control characters.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(decimal(number)),
        Value::Array(_) | Value::Object(_) => {
            Some(base64::encode_standard(value.to_string().as_bytes()))
        }
    }
}

/// Whole numbers without a point, others with six digits after it.
fn decimal(number: &Number) -> String {
    // Up to 2^53 every whole number is one of these.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        _ if number.is_u64() || number.is_i64() => number.to_string(),
        Some(value) if value.fract() == 0.0 && value.abs() <= EXACT => format!("{value:.0}"),
        Some(value) => format!("{value:.6}"),
        None => number.to_string(),
    }
}
