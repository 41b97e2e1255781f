//! Changes of requests that external authorizers ask for.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What an external authorizer wants of the headers of a request that it allows.
///
/// Headers of the connection and of the framing, `host`, and `x-forwarded-client-cert` stay as they are, whatever it
/// wants: what was routed and decided about must be what is forwarded.
///
/// ```
/// use http::HeaderMap;
/// use mesh_authz::external::HeaderChanges;
///
/// let mut changes = HeaderChanges::default();
/// changes.set.push(("x-user".parse()?, "ann".parse()?));
/// changes.set.push(("host".parse()?, "elsewhere".parse()?));
/// changes.remove.push("authorization".parse()?);
/// let mut headers = HeaderMap::new();
/// headers.insert("host", "web".parse()?);
/// headers.insert("authorization", "Bearer x".parse()?);
/// changes.apply(&mut headers);
/// assert_eq!((headers["x-user"].to_str()?, headers["host"].to_str()?), ("ann", "web"));
/// assert!(!headers.contains_key("authorization"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, with a default")]
pub struct HeaderChanges {
    /// Headers that are removed, before the others are set.
    pub remove: Vec<HeaderName>,
    /// Headers that have this value only.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Values that are added to what a header has, after a comma.
    pub append: Vec<(HeaderName, HeaderValue)>,
}

impl HeaderChanges {
    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.append.is_empty()
    }

    /// Makes them.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in self.remove.iter().filter(|name| may_change(name)) {
            headers.remove(name);
        }
        for (name, value) in self.set.iter().filter(|(name, _)| may_change(name)) {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in self.append.iter().filter(|(name, _)| may_change(name)) {
            let joined = headers.get(name).and_then(|before| {
                let both = [before.as_bytes(), b",", value.as_bytes()].concat();
                HeaderValue::try_from(both).ok()
            });
            headers.insert(name.clone(), joined.unwrap_or_else(|| value.clone()));
        }
    }
}

fn may_change(name: &HeaderName) -> bool {
    let fixed = [
        CONNECTION,
        CONTENT_LENGTH,
        HOST,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    !fixed.contains(name) && name != "x-forwarded-client-cert"
}
