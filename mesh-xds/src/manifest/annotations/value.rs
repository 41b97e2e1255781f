//! The value of one annotation, and what it should have been.

use mesh_core::lb::SmallFleet;

use crate::manifest::{Document, Problem};

/// What the value of an annotation should have been, in words that follow "expected".
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {0}")]
pub struct Expected(String);

impl Expected {
    /// These words.
    #[must_use]
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.0
    }
}

/// The value of an object's annotation: `None` when it is not there, and `before` where it is wrong, which becomes
/// one of the `problems` with file, line, field and what was expected. The same problem is told once.
///
/// ```
/// use mesh_core::lb::SmallFleet;
/// use mesh_xds::manifest::{Catalog, annotations};
///
/// let mut catalog = Catalog::new();
/// catalog.set_file("web.yaml", "
/// apiVersion: v1
/// kind: Service
/// metadata: {name: web, namespace: shop, annotations: {outlier.waypoint/small-fleet: two}}
/// spec: {clusterIP: 10.1.0.1, ports: [{port: 80}]}
/// ");
/// catalog.settle();
/// let inventory = catalog.inventory();
/// let web = inventory.services.get("shop", "web").ok_or("no service")?;
/// let mut problems = Vec::new();
/// let before = Some(SmallFleet::One);
/// let name = "outlier.waypoint/small-fleet";
/// let value = annotations::value(&web.document, name, annotations::small_fleet, before, &mut problems);
/// assert_eq!(value, before);
/// assert!(problems[0].to_string().ends_with("`two`, expected one or never"));
/// # Ok::<(), &str>(())
/// ```
pub fn value<T>(
    document: &Document,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, Expected>,
    before: Option<T>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let text = document.metadata().annotations.get(name)?;
    match parse(text.trim()) {
        Ok(value) => Some(value),
        Err(expected) => {
            let path = format!("metadata.annotations.{name}");
            let text = format!("`{}`, {expected}", text.trim());
            let problem = document.problem(&path, text);
            // An object with several hosts is read once for each.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
            before
        }
    }
}

/// `one`: one endpoint may be taken out however few there are; `never`: only as many as `maxEjectionPercent` says.
///
/// # Errors
/// [`Expected`] for other words.
pub fn small_fleet(text: &str) -> Result<SmallFleet, Expected> {
    match text {
        "one" => Ok(SmallFleet::One),
        "never" => Ok(SmallFleet::Never),
        _ => Err(Expected::new("one or never")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_fleet_spares_one_or_none() {
        assert_eq!(small_fleet("one"), Ok(SmallFleet::One));
        assert_eq!(small_fleet("never"), Ok(SmallFleet::Never));
        for text in ["", "two", "One", "one never"] {
            assert!(small_fleet(text).is_err(), "{text}");
        }
    }
}
