//! Where keys come from, as far as it can be seen without cryptography.

use serde_json::Value;

use crate::kube::caution::Caution;
use crate::kube::fault::Fault;
use crate::kube::finding::Findings;
use crate::kube::path::Path;

/// The longest address of a key set, in bytes.
const MAX_URI: usize = 2048;

/// Members of a key that are to be kept secret. Source: RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// That something is the address of a key set.
pub(super) fn uri(from: &str, at: &Path<'_>, found: &mut Findings) {
    if from.len() > MAX_URI {
        let length = from.len();
        return found.fault(
            at,
            Fault::TooLong {
                length,
                limit: MAX_URI,
            },
        );
    }
    let uri = from.parse::<http::Uri>().ok();
    let right = uri.is_some_and(|uri| {
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        scheme && uri.host().is_some_and(|host| !host.is_empty())
    });
    if !right {
        found.fault(at, Fault::JwksUri { found: from.into() });
    }
}

/// That something is a key set. What its keys are is looked at when tokens are verified.
///
/// Source: RFC 7517 section 5; a single key (section 4) is taken too, as Istio does.
pub(super) fn set(from: &str, at: &Path<'_>, found: &mut Findings) {
    let bad = |reason: &str| Fault::Jwks {
        reason: reason.into(),
    };
    let value: Value = match serde_json::from_str(from) {
        Ok(value) => value,
        Err(error) => return found.fault(at, bad(&error.to_string())),
    };
    let keys = match value.get("keys") {
        None => std::slice::from_ref(&value),
        Some(Value::Array(keys)) => keys.as_slice(),
        Some(_) => return found.fault(at, bad("`keys` is not a list")),
    };
    let typed = |key: &Value| key.get("kty").is_some_and(Value::is_string);
    if !keys.iter().all(typed) {
        return found.fault(at, bad("a key has no `kty`"));
    }
    let private = |key: &Value| PRIVATE.iter().any(|member| key.get(member).is_some());
    if keys.iter().any(private) {
        found.caution(at, Caution::PrivateKey);
    }
}
