//! Durations as Go writes them.

use std::time::Duration;

/// A text that is no duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?}: expected a duration such as 1h, 1m30s, 1.5s or 250ms")]
#[expect(clippy::exhaustive_structs, reason = "it is the text")]
pub struct InvalidDuration(pub String);

/// Reads a duration as Go's `time.ParseDuration` does: numbers, with fractions, and units of `h`, `m`,
/// `s`, `ms`, `us` or `ns`. Negative ones are refused.
///
/// # Errors
/// [`InvalidDuration`] for everything else, and for more than 100 years.
///
/// ```
/// use std::time::Duration;
/// use mesh_l7::istio::parse_duration;
///
/// assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1_500)));
/// assert!(parse_duration("-1s").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.chars().take(64).collect());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut nanos = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
            .count();
        let (number, unit) = rest.split_at_checked(digits).ok_or_else(invalid)?;
        let units = [
            ("ms", 1e6),
            ("us", 1e3),
            ("\u{b5}s", 1e3),
            ("ns", 1.0),
            ("h", 3.6e12),
            ("m", 6e10),
            ("s", 1e9),
        ];
        let unit = units.into_iter().find(|(name, _)| unit.starts_with(name));
        let (name, scale) = unit.ok_or_else(invalid)?;
        if !number.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        nanos += number.parse::<f64>().map_err(|_| invalid())? * scale;
        rest = rest.get(digits + name.len()..).ok_or_else(invalid)?;
    }
    let longest = 100.0 * 365.0 * 24.0 * 3.6e12;
    if text.is_empty() || nanos > longest {
        return Err(invalid());
    }
    Ok(Duration::from_nanos(nanos.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cases of Go's `time` tests, negative ones aside.
    #[test]
    fn durations_are_those_of_go() {
        let valid = [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("1478s", 1_478_000_000_000),
            ("5.0s", 5_000_000_000),
            ("5.6s", 5_600_000_000),
            ("5.s", 5_000_000_000),
            (".5s", 500_000_000),
            ("10ns", 10),
            ("11us", 11_000),
            ("12\u{b5}s", 12_000),
            ("13ms", 13_000_000),
            ("15m", 900_000_000_000),
            ("16h", 57_600_000_000_000),
            ("3h30m", 12_600_000_000_000),
            ("10.5s4m", 250_500_000_000),
            ("2m3.4s", 123_400_000_000),
        ];
        for (text, nanos) in valid {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_nanos(nanos)),
                "{text}"
            );
        }
        for text in [
            "", "3", "-1s", "s", ".", ".s", "1x", "1.2.3s", "1 s", "9999999h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
