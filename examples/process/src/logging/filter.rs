//! Which events are logged: a list of levels, as in `info,access=debug`.

use std::fmt;
use std::str::FromStr;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;

/// A default level and levels for scopes; the longest matching scope wins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    default: LevelFilter,
    scopes: Vec<(String, LevelFilter)>,
}

/// Why a text is not a filter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not a level or scope=level; levels are off, error, warn, info, debug and trace")]
pub struct BadFilter(String);

impl Filter {
    /// The most verbose level of all scopes.
    pub(super) fn most_verbose(&self) -> LevelFilter {
        let scopes = self.scopes.iter().map(|(_, level)| *level);
        scopes.fold(self.default, LevelFilter::max)
    }

    pub(super) fn enables(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level_of(metadata.target())
    }

    fn level_of(&self, target: &str) -> LevelFilter {
        let within = |scope: &str| {
            target
                .strip_prefix(scope)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        self.scopes
            .iter()
            .filter(|(scope, _)| within(scope))
            .max_by_key(|(scope, _)| scope.len())
            .map_or(self.default, |(_, level)| *level)
    }

    /// This filter with the parts of another text over it.
    ///
    /// # Errors
    /// [`BadFilter`] names the part that is neither a level nor `scope=level`.
    pub fn with(&self, text: &str) -> Result<Self, BadFilter> {
        let mut filter = self.clone();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let bad = || BadFilter(part.to_owned());
            match part.split_once('=') {
                None => filter.default = level(part).ok_or_else(bad)?,
                Some(("", _)) => return Err(bad()),
                Some((scope, level_text)) => {
                    let level = level(level_text).ok_or_else(bad)?;
                    filter.scopes.retain(|(other, _)| other != scope);
                    filter.scopes.push((scope.to_owned(), level));
                }
            }
        }
        Ok(filter)
    }
}

fn level(text: &str) -> Option<LevelFilter> {
    let known = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic());
    text.parse().ok().filter(|_| known)
}

impl FromStr for Filter {
    type Err = BadFilter;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let start = Self {
            default: LevelFilter::INFO,
            scopes: Vec::new(),
        };
        start.with(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (scope, level) in &self.scopes {
            write!(f, "{scope}={level},")?;
        }
        write!(f, "{}", self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_scope_decides() {
        let filter: Filter = "warn,mesh_hbone=debug,mesh_hbone::pool=off,access=info"
            .parse()
            .unwrap();
        for (target, level) in [
            ("ztunnel", LevelFilter::WARN),
            ("access", LevelFilter::INFO),
            ("mesh_hbone", LevelFilter::DEBUG),
            ("mesh_hbone::server", LevelFilter::DEBUG),
            ("mesh_hbone::pool", LevelFilter::OFF),
            ("mesh_hbone_other", LevelFilter::WARN),
        ] {
            assert_eq!(filter.level_of(target), level, "{target}");
        }
        assert_eq!(filter.most_verbose(), LevelFilter::DEBUG);
    }

    #[test]
    fn a_bare_scope_is_refused() {
        for text in ["access", "access=", "=info", "info,loud", "access=loud"] {
            assert!(Filter::from_str(text).is_err(), "{text}");
        }
    }

    #[test]
    fn later_parts_replace_earlier_ones() {
        let filter: Filter = "info,access=debug".parse().unwrap();
        assert_eq!(
            filter.with("access=off,warn").unwrap().to_string(),
            "access=off,warn"
        );
    }
}
