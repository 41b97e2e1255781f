//! How often something may happen.

use mesh_core::limits::BucketSettings;

use super::value::Expected;
use crate::duration;

/// What is said about a rate that is none.
const RATE: &str = "a number and a time such as 100/1s: at least 1, in 50ms to 365d";

/// `number/time`, such as `100/1s`: the bucket holds that many tokens, and gets as many in each such time. The
/// number is 1 to 2^32-1; the time is 50 ms to 365 days, with the units of [`duration::parse`].
///
/// ```
/// use std::time::Duration;
/// use mesh_core::limits::BucketSettings;
/// use mesh_xds::manifest::annotations;
///
/// let fifty_a_minute = BucketSettings::new(50, 50, Duration::from_secs(60))?;
/// assert_eq!(annotations::rate("50/1m"), Ok(fifty_a_minute));
/// # Ok::<(), mesh_core::limits::InvalidBucket>(())
/// ```
///
/// # Errors
/// [`Expected`] for anything else.
pub fn rate(text: &str) -> Result<BucketSettings, Expected> {
    let (number, time) = text.split_once('/').ok_or_else(expected)?;
    bucket(number, time, None)
}

/// A bucket of `burst` tokens, where that is given, which gets `number` of them in each `time`.
pub(super) fn bucket(
    number: &str,
    time: &str,
    burst: Option<u32>,
) -> Result<BucketSettings, Expected> {
    let digits = number.trim();
    let number: u32 = digits.parse().map_err(|_| expected())?;
    let time = duration::parse(time.trim()).ok_or_else(expected)?;
    let most = burst.unwrap_or(number);
    if most < number {
        let words = format!("a burst of at least {number}, as that many come back at once");
        return Err(Expected::new(words));
    }
    BucketSettings::new(most, number, time).map_err(|_| expected())
}

fn expected() -> Expected {
    Expected::new(RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        for text in ["100/1s", "1/1m", "5 / 500ms", "4294967295/365d", "1/50ms"] {
            assert!(rate(text).is_ok(), "{text}");
        }
        let wrong = [
            "",
            "100",
            "0/1s",
            "-1/1s",
            "1/0s",
            "1/49ms",
            "a/1s",
            "1/x",
            "1/366d",
            "4294967296/1s",
            "1/1s/1s",
            "1.5/1s",
        ];
        for text in wrong {
            assert_eq!(rate(text), Err(expected()), "{text}");
        }
    }
}
