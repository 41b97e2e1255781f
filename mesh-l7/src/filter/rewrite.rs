//! Another path or host before forwarding.

use http::uri::PathAndQuery;
use mesh_core::name::Name;

use super::path::{InvalidTarget, PathChange};
use crate::matching::PathMatch;

/// A change of the request before it is forwarded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct Rewrite {
    /// How the path is changed.
    pub path: Option<PathChange>,
    /// What the host becomes.
    pub host: Option<Name>,
}

impl Rewrite {
    /// The target of a request as it becomes when `matched` was the rule's condition on the path;
    /// `None` when it stays.
    ///
    /// # Errors
    /// [`InvalidTarget`] when what comes out is no target.
    pub fn target(
        &self,
        target: &PathAndQuery,
        matched: Option<&PathMatch>,
    ) -> Result<Option<PathAndQuery>, InvalidTarget> {
        let Some(change) = &self.path else {
            return Ok(None);
        };
        let mut changed = change.apply(target.path(), matched)?;
        if let Some(query) = target.query() {
            changed.push('?');
            changed.push_str(query);
        }
        match PathAndQuery::try_from(changed.as_str()) {
            Ok(changed) => Ok(Some(changed)),
            Err(_) => Err(InvalidTarget(changed.chars().take(256).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_stays() {
        let rewrite = Rewrite {
            path: Some(PathChange::Below("/v2".into())),
            host: None,
        };
        let target = "/v1/items?x=/v1".parse().unwrap();
        let matched = PathMatch::Below("/v1".into());
        let changed = rewrite.target(&target, Some(&matched)).unwrap().unwrap();
        assert_eq!(changed.as_str(), "/v2/items?x=/v1");
        assert_eq!(Rewrite::default().target(&target, None), Ok(None));
    }
}
