//! The header lines of a request that may be sent again.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header lines of a request, kept for further attempts. The first attempt takes the lines themselves.
///
/// They are one block of text. A clone of the table would cost an allocation for each of its two parts and one for
/// each name that is not a standard one, and most requests are sent once.
#[derive(Clone, Debug)]
pub(crate) struct KeptLines {
    /// `name:value` and one of the ends below for each line: bytes that no value has.
    text: Bytes,
    lines: usize,
}

/// The end of a line.
const PLAIN: u8 = b'\n';
/// The end of a line with a value that is marked as sensitive.
const SENSITIVE: u8 = b'\r';
/// Lines that there is room for, besides those that were kept: an attempt adds some of its own.
const MORE: usize = 4;

impl KeptLines {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let size =
            |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 2;
        let mut text = Vec::with_capacity(headers.iter().map(size).sum());
        for (name, value) in headers {
            text.extend_from_slice(name.as_str().as_bytes());
            text.push(b':');
            text.extend_from_slice(value.as_bytes());
            text.push(if value.is_sensitive() {
                SENSITIVE
            } else {
                PLAIN
            });
        }
        Self {
            text: text.into(),
            lines: headers.len(),
        }
    }

    /// The lines once more. `None` would mean that they are not what was kept.
    pub(crate) fn headers(&self) -> Option<HeaderMap> {
        let mut headers = HeaderMap::try_with_capacity(self.lines.saturating_add(MORE)).ok()?;
        for line in self
            .text
            .split_inclusive(|byte| matches!(*byte, PLAIN | SENSITIVE))
        {
            let (end, line) = line.split_last()?;
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            let value = self.text.slice_ref(value.get(1..)?);
            let mut value = HeaderValue::from_maybe_shared(value).ok()?;
            value.set_sensitive(*end == SENSITIVE);
            let name = HeaderName::from_bytes(name).ok()?;
            headers.try_append(name, value).ok()?;
        }
        Some(headers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(name: &str, value: &[u8]) -> (HeaderName, HeaderValue) {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        (name, HeaderValue::from_bytes(value).unwrap())
    }

    #[test]
    fn lines_come_back_as_they_were() {
        let (host, mut token) = (line("host", b"web"), line("authorization", b"Bearer a:b"));
        token.1.set_sensitive(true);
        let cases: [(&str, Vec<(HeaderName, HeaderValue)>); 4] = [
            ("no lines", vec![]),
            (
                "standard ones and one of one's own",
                vec![host, line("x-tenant", b"gold")],
            ),
            (
                "several with one name, in their order",
                vec![line("via", b"b"), line("via", b""), line("via", b"a")],
            ),
            (
                "not text, and sensitive",
                vec![line("x-name", b"M\xfcller: 1:2\t"), token],
            ),
        ];
        for (case, lines) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, value);
            }
            let again = KeptLines::of(&headers).headers().unwrap();
            assert_eq!(again, headers, "{case}");
            let sensitive = |headers: &HeaderMap| -> Vec<bool> {
                headers.values().map(HeaderValue::is_sensitive).collect()
            };
            assert_eq!(sensitive(&again), sensitive(&headers), "{case}");
        }
    }

    proptest! {
        #[test]
        fn any_lines_come_back(
            lines in proptest::collection::vec(("[a-z][a-z0-9-]{0,8}", proptest::collection::vec(any::<u8>(), 0..20)), 0..20)
        ) {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                if let Ok(value) = HeaderValue::from_bytes(&value) {
                    headers.append(HeaderName::try_from(name).unwrap(), value);
                }
            }
            prop_assert_eq!(KeptLines::of(&headers).headers(), Some(headers));
        }
    }
}
