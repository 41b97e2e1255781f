//! JSON objects of bounded depth.

use serde_json::{Map, Value};

/// Deepest nesting of objects and lists in a token or a key set.
pub(super) const DEEPEST: usize = 32;

/// The object that `text` is, or `None`: not JSON, not an object, or nested deeper than
/// [`DEEPEST`]. The depth is known before anything is parsed.
pub(super) fn object(text: &[u8]) -> Option<Map<String, Value>> {
    if depth(text) > DEEPEST {
        return None;
    }
    serde_json::from_slice(text).ok()
}

/// How deep the brackets outside of strings go.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in text {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::{DEEPEST, object};

    #[test]
    fn objects_up_to_the_limit_are_read() {
        let nested = |lists: usize| format!("{{\"a\":{}{}}}", "[".repeat(lists), "]".repeat(lists));
        assert!(object(nested(DEEPEST - 1).as_bytes()).is_some());
        assert!(object(nested(DEEPEST).as_bytes()).is_none());
        assert!(object("[".repeat(100_000).as_bytes()).is_none());
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        let text = format!(r#"{{"a\"{}": "{}\\"}}"#, "[".repeat(40), "{".repeat(40));
        assert!(object(text.as_bytes()).is_some());
    }

    #[test]
    fn what_is_no_object_is_nothing() {
        for text in [
            "",
            "[]",
            "1",
            "null",
            "{",
            "{}x",
            "{\"a\":1,}",
            "\u{feff}{}",
        ] {
            assert!(object(text.as_bytes()).is_none(), "{text:?}");
        }
    }
}
