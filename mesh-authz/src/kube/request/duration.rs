//! Durations as Go writes them: `5s`, `1m30s`, `1.5h`.

use std::time::Duration;

/// Nanoseconds of each unit. The longer of two that begin alike comes first.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A duration that is not negative, below about 584 years.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() || total == 0 {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at_checked(end)?;
        let unit = after.find(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (unit, after) = after.split_at_checked(unit.unwrap_or(after.len()))?;
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(part(number, *nanos)?)?;
        rest = after;
        if rest.is_empty() {
            return Some(Duration::from_nanos(total));
        }
    }
    Some(Duration::from_nanos(total))
}

/// So many of a unit. What is less than a nanosecond is left out.
fn part(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut nanos = whole.checked_mul(unit)?;
    let mut unit = unit;
    for digit in fraction.bytes() {
        unit /= 10;
        nanos = nanos.checked_add(u64::from(digit.checked_sub(b'0')?).checked_mul(unit)?)?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of Go's `time.ParseDuration`.
    #[test]
    fn durations_of_go_are_read() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("5s", 5_000),
            ("30s", 30_000),
            ("1478s", 1_478_000),
            ("+5s", 5_000),
            ("5.0s", 5_000),
            ("5.6s", 5_600),
            ("5.s", 5_000),
            (".5s", 500),
            ("1.004s", 1_004),
            ("13ms", 13),
            ("12us", 0),
            ("1.5h", 5_400_000),
            ("3h30m", 12_600_000),
            ("10.5s4m", 250_500),
            ("2m3.4s", 123_400),
        ] {
            let read = duration(text).map(|read| read.as_millis());
            assert_eq!(read, Some(millis), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            "3",
            "-5s",
            "s",
            ".",
            "-.",
            ".s",
            "+.s",
            "1d",
            "5 s",
            "1..5s",
            "1s2",
            "9999999999h",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
