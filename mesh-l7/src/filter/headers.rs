//! Headers set, added and removed.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Edits of headers: first what is set replaces all values, then what is added comes after those that
/// are there, then what is removed goes.
///
/// Source: `HTTPHeaderFilter` of the Gateway API; `Headers` of Istio.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct HeaderEdits {
    /// Replaced, or added where absent.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Added as one more line.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Removed.
    pub remove: Vec<HeaderName>,
}

impl HeaderEdits {
    /// Edits headers.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name.clone(), value.clone());
        }
        for name in &self.remove {
            headers.remove(name);
        }
    }

    /// Whether nothing is edited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_come_in_their_order() {
        let name = HeaderName::from_static;
        let value = HeaderValue::from_static;
        let edits = HeaderEdits {
            set: vec![(name("a"), value("set")), (name("new"), value("set"))],
            add: vec![(name("a"), value("added")), (name("b"), value("added"))],
            remove: vec![name("c")],
        };
        let mut headers = HeaderMap::new();
        for (key, text) in [("a", "1"), ("a", "2"), ("b", "1"), ("c", "1"), ("c", "2")] {
            headers.append(name(key), value(text));
        }
        edits.apply(&mut headers);
        let of = |key| {
            headers
                .get_all(key)
                .iter()
                .map(|v| v.to_str().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("a"), ["set", "added"]);
        assert_eq!(of("b"), ["1", "added"]);
        assert_eq!(of("new"), ["set"]);
        assert!(of("c").is_empty());
    }
}
