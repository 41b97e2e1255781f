//! Values of requests that buckets are found by.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::request::Parts;

use super::settings::{Entry, LimitKey, Wanted};
use crate::downstream::Downstream;
use crate::matching::Head;

/// In place of a length, where there is no value.
const NONE: usize = usize::MAX;

/// The combination of values of entries that tell them apart; `None` when the request does not meet
/// one of the entries. Each value follows its length, so that no two combinations are equal.
pub(super) fn combination(entries: &[Entry], parts: &Parts) -> Option<Vec<u8>> {
    let head = Head::of(parts);
    let mut combination = Vec::new();
    for entry in entries {
        match (&entry.wanted, value(&entry.key, parts, &head)) {
            (Wanted::Is(expected), Some(value)) if *value == *expected.as_bytes() => {}
            (Wanted::Is(_), _) | (Wanted::Each, None) => return None,
            (Wanted::EachOrNone, None) => combination.extend_from_slice(&NONE.to_le_bytes()),
            (Wanted::Each | Wanted::EachOrNone, Some(value)) => {
                combination.extend_from_slice(&value.len().to_le_bytes());
                combination.extend_from_slice(&value);
            }
        }
    }
    Some(combination)
}

/// A value of a request; `None` when it has none.
fn value<'p>(key: &LimitKey, parts: &'p Parts, head: &Head<'p>) -> Option<Cow<'p, [u8]>> {
    let downstream = Downstream::of(&parts.extensions);
    let identity = || downstream?.identity.as_ref();
    match key {
        LimitKey::Identity => {
            let mut text = String::new();
            // Writing to a string does not fail.
            let _ = write!(text, "{}", identity()?);
            Some(Cow::Owned(text.into_bytes()))
        }
        LimitKey::Namespace => Some(Cow::Borrowed(identity()?.namespace().as_bytes())),
        LimitKey::SourceAddress => {
            let address = downstream?.source.ip().to_canonical();
            Some(Cow::Owned(address.to_string().into_bytes()))
        }
        LimitKey::Header(name) => head.header(name),
        LimitKey::Path => Some(Cow::Borrowed(head.path.as_bytes())),
        LimitKey::Method => Some(Cow::Borrowed(head.method.as_bytes())),
        LimitKey::Host => Some(Cow::Owned(head.host.to_ascii_lowercase().into_bytes())),
    }
}
