//! Durations as they are written in annotations and in the environment: `50us`, `500ms`, `10s`, `1m30s`, `1h`.

use std::time::Duration;

/// Reads a sequence of whole numbers with the units `us`, `ms`, `s`, `m`, `h` and `d`; `None` for anything else,
/// and for more than a [`Duration`] holds.
///
/// ```
/// use std::time::Duration;
/// use mesh_xds::duration;
///
/// assert_eq!(duration::parse("1m30s"), Some(Duration::from_secs(90)));
/// assert_eq!(duration::parse("90"), None);
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.len()
            - after
                .trim_start_matches(|c: char| c.is_ascii_lowercase())
                .len();
        let (unit, after) = after.split_at_checked(letters)?;
        let number: u64 = number.parse().ok()?;
        let unit = match unit {
            "us" => Duration::from_micros(1),
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            "d" => Duration::from_hours(24),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number.try_into().ok()?)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, seconds) in [
            ("0s", Some(0.0)),
            ("50us", Some(0.000_05)),
            ("500ms", Some(0.5)),
            ("10s", Some(10.0)),
            ("1m30s", Some(90.0)),
            ("5m", Some(300.0)),
            ("1h", Some(3600.0)),
            ("1d", Some(86_400.0)),
            ("", None),
            ("10", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("10 s", None),
            ("1y", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ] {
            assert_eq!(parse(text).map(|d| d.as_secs_f64()), seconds, "{text}");
        }
    }
}
