//! Numbers as values of headers.

use http::HeaderValue;

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// A number in decimal; small ones are not allocated.
pub(super) fn value(number: u64) -> HeaderValue {
    let digit = usize::try_from(number).ok().and_then(|at| DIGITS.get(at));
    match digit {
        Some(digit) => HeaderValue::from_static(digit),
        None => number.into(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_decimal() {
        for number in [0, 1, 9, 10, u64::MAX] {
            assert_eq!(super::value(number), number.to_string());
        }
    }
}
