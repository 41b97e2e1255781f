//! Durations of the Gateway API.

use std::time::Duration;

/// A text that is no duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?}: expected one to four groups of up to five digits and a unit of h, m, s, ms, such as 1m30s"
)]
#[expect(clippy::exhaustive_structs, reason = "it is the text")]
pub struct InvalidDuration(pub String);

/// Reads a duration: one to four groups of up to five digits and a unit of `h`, `m`, `s` or `ms`.
///
/// Source: GEP-2257.
///
/// # Errors
/// [`InvalidDuration`] for everything else, fractions and signs among it.
///
/// ```
/// use std::time::Duration;
/// use mesh_l7::gateway_api::parse_duration;
///
/// assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
/// assert!(parse_duration("1.5s").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.chars().take(64).collect());
    let mut rest = text;
    let mut sum = Duration::ZERO;
    let mut groups = 0;
    while !rest.is_empty() {
        groups += 1;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at_checked(digits).ok_or_else(invalid)?;
        let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        let unit = units.into_iter().find(|(name, _)| unit.starts_with(name));
        let (name, millis) = unit.ok_or_else(invalid)?;
        if groups > 4 || !(1..=5).contains(&digits) {
            return Err(invalid());
        }
        let number: u64 = number.parse().map_err(|_| invalid())?;
        sum += Duration::from_millis(number * millis);
        rest = rest.get(digits + name.len()..).ok_or_else(invalid)?;
    }
    if groups == 0 { Err(invalid()) } else { Ok(sum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of GEP-2257.
    #[test]
    fn durations_are_those_of_the_gep() {
        let valid = [
            ("0s", 0),
            ("0h0m0s", 0),
            ("10s", 10_000),
            ("500ms", 500),
            ("2h45m", 9_900_000),
            ("30m", 1_800_000),
            ("1h", 3_600_000),
            ("10s30m1h", 5_410_000),
            ("100ms200ms300ms", 600),
            ("99999h", 359_996_400_000),
        ];
        for (text, millis) in valid {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        let invalid = [
            "",
            "1",
            "1d",
            "1h1m1s1ms1h",
            "1.5h",
            "-15m",
            "100000h",
            "1us",
            " 1s",
            "1s ",
            "s",
            "1 s",
            "\u{0661}s",
        ];
        for text in invalid {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
