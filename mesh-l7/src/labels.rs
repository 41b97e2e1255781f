//! Whether something has labels.

use std::collections::BTreeMap;

/// Whether something has all of some labels; what has unknown labels has none.
pub(crate) fn has_labels(
    labels: Option<&BTreeMap<String, String>>,
    wanted: &BTreeMap<String, String>,
) -> bool {
    wanted.is_empty()
        || labels.is_some_and(|labels| {
            let mut wanted = wanted.iter();
            wanted.all(|(name, value)| labels.get(name) == Some(value))
        })
}
