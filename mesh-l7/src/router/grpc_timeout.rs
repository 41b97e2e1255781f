//! The deadline of a call of gRPC, as its head has it.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

/// The header.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The most that its digits can say.
const MOST: u128 = 99_999_999;

/// The time for a call, as `grpc-timeout` says it: 1 to 8 digits and a unit (`H`, `M`, `S`, `m`, `u` or
/// `n`). `None` for anything else.
///
/// Source: gRPC over HTTP/2, `Timeout`.
///
/// ```
/// use std::time::Duration;
/// use mesh_l7::router::grpc_timeout;
///
/// let value = http::HeaderValue::from_static("250m");
/// assert_eq!(grpc_timeout(&value), Some(Duration::from_millis(250)));
/// ```
#[must_use]
pub fn grpc_timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    let digits_only = digits.iter().all(u8::is_ascii_digit);
    if digits.is_empty() || digits.len() > 8 || !digits_only {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3_600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The header's value for a time, in the finest unit that has room for it; rounded down, so that the
/// callee gives up first.
pub(super) fn value(time: Duration) -> Option<HeaderValue> {
    let units = [
        (time.as_nanos(), 'n'),
        (time.as_micros(), 'u'),
        (time.as_millis(), 'm'),
        (u128::from(time.as_secs()), 'S'),
        (u128::from(time.as_secs() / 60), 'M'),
    ];
    let (number, unit) = units.into_iter().find(|(number, _)| *number <= MOST)?;
    HeaderValue::try_from(format!("{number}{unit}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// gRPC over HTTP/2: `TimeoutValue` is at most 8 digits, `TimeoutUnit` one of six letters.
    #[test]
    fn times_have_up_to_eight_digits_and_a_unit() {
        let cases = [
            ("1H", Some(Duration::from_hours(1))),
            ("2M", Some(Duration::from_mins(2))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("0m", Some(Duration::ZERO)),
            ("99999999H", Some(Duration::from_hours(99_999_999))),
            ("123456789m", None),
            ("", None),
            ("m", None),
            ("5", None),
            ("5x", None),
            ("-5m", None),
            ("+5m", None),
            ("5 m", None),
            ("1.5S", None),
        ];
        for (text, time) in cases {
            let value = HeaderValue::from_static(text);
            assert_eq!(grpc_timeout(&value), time, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_never_longer(nanos in 0_u64..=1 << 62) {
            let time = Duration::from_nanos(nanos);
            let read = grpc_timeout(&value(time).unwrap()).unwrap();
            prop_assert!(read <= time);
            prop_assert!(time - read < Duration::from_mins(1));
        }
    }
}
