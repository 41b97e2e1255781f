//! The text of a rejection.

use std::fmt::Write;

use crate::apply::Rejection;

/// `name: reason`, joined by `; `, in at most `limit` bytes; what does not fit is counted.
pub(super) fn message(rejected: &[Rejection], limit: usize) -> String {
    /// Room for `; and 18446744073709551615 more`.
    const MORE: usize = 32;
    let room = limit.saturating_sub(MORE);
    let mut text = String::new();
    for (index, Rejection { name, reason }) in rejected.iter().enumerate() {
        let separator = if text.is_empty() { "" } else { "; " };
        let needed = separator.len() + name.len() + 2 + reason.len();
        if text.len() + needed <= room {
            text.extend([separator, name, ": ", reason]);
            continue;
        }
        let left = rejected.len() - index;
        if text.is_empty() {
            // One that is longer than allowed all by itself: its beginning says most.
            let first = format!("{name}: {reason}");
            text.push_str(first.get(..first.floor_char_boundary(room)).unwrap_or(""));
            if left > 1 {
                // Writing to a string succeeds.
                let _ = write!(text, "; and {} more", left - 1);
            }
        } else {
            let _ = write!(text, "; and {left} more");
        }
        break;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Rejection, message};

    #[test]
    fn names_and_reasons_are_joined() {
        let rejected = [
            Rejection::new("a", "no address"),
            Rejection::new("b/c", "bad port"),
        ];
        assert_eq!(message(&rejected, 4096), "a: no address; b/c: bad port");
        assert_eq!(message(&rejected, 46), "a: no address; and 1 more");
        assert_eq!(message(&rejected, 40), "a: no ad; and 1 more");
    }

    proptest! {
        #[test]
        fn it_is_never_longer_than_allowed(
            rejected in prop::collection::vec(("\\PC{0,30}", "\\PC{0,60}"), 1..20),
            limit in 32..500_usize,
        ) {
            let rejected: Vec<_> =
                rejected.into_iter().map(|(name, reason)| Rejection::new(name, reason)).collect();
            prop_assert!(message(&rejected, limit).len() <= limit);
        }
    }
}
