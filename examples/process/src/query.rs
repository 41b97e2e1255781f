//! Queries of URLs.

/// The names and values of a query, decoded (WHATWG URL, `application/x-www-form-urlencoded`).
///
/// What is not a valid percent form stands for itself.
pub fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decode(name), decode(value))
    })
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = || {
            let hex = std::str::from_utf8(after.get(..2)?).ok()?;
            // No sign, which `from_str_radix` would take.
            let digits = hex.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u8::from_str_radix(hex, 16).ok()).flatten()
        };
        match first {
            b'+' => bytes.push(b' '),
            b'%' => match escaped() {
                Some(byte) => {
                    bytes.push(byte);
                    rest = after.get(2..).unwrap_or(&[]);
                }
                None => bytes.push(b'%'),
            },
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        for (query, expected) in [
            ("", vec![]),
            ("reset", vec![("reset", "")]),
            (
                "level=info%2Ca%3A%3ab%3Ddebug",
                vec![("level", "info,a::b=debug")],
            ),
            (
                "level=a=b&reset&&x=",
                vec![("level", "a=b"), ("reset", ""), ("x", "")],
            ),
            ("a=1+2%2B3", vec![("a", "1 2+3")]),
            (
                "a=100%&b=%zz&c=%2&d=%+1",
                vec![("a", "100%"), ("b", "%zz"), ("c", "%2"), ("d", "% 1")],
            ),
            ("a=%c3%a4&b=%ff", vec![("a", "ä"), ("b", "\u{fffd}")]),
        ] {
            let found: Vec<_> = pairs(query).collect();
            let found: Vec<_> = found
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            assert_eq!(found, expected, "{query}");
        }
    }
}
