//! The rules of a host.

use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;
use mesh_core::name::Name;

use super::rules::{Matched, Rules};
use crate::matching::Head;

/// Host names that a list of rules is for.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_enums,
    reason = "all that host names are in both APIs"
)]
pub enum HostMatch {
    /// All.
    Any,
    /// `*.example.com`: any number of labels before the rest, at least one. The text begins with the
    /// dot.
    Below(Name),
    /// One name.
    Exact(Name),
}

/// A host name that is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("host {0:?}: expected a host name, `*.` and a host name, or `*`")]
#[expect(clippy::exhaustive_structs, reason = "it is the text")]
pub struct InvalidHost(pub String);

impl HostMatch {
    /// `*`, `*.example.com` or `example.com`; upper and lower case are the same.
    ///
    /// # Errors
    /// [`InvalidHost`] when it is none of these.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        let invalid = || InvalidHost(text.chars().take(256).collect());
        let lower = text.to_ascii_lowercase();
        let (wildcard, name) = match lower.strip_prefix('*') {
            Some("") => return Ok(Self::Any),
            Some(rest) => (true, rest.strip_prefix('.').ok_or_else(invalid)?),
            None => (false, lower.as_str()),
        };
        let ordinary = |byte: u8| byte.is_ascii_graphic() && !b"*/?#@\"\\<>".contains(&byte);
        if name.is_empty() || name.len() > 255 || !name.bytes().all(ordinary) {
            return Err(invalid());
        }
        Ok(match wildcard {
            true => Self::Below(format!(".{name}").into()),
            false => Self::Exact(name.into()),
        })
    }

    /// Whether a host, in lower case and without port, is meant.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(end) => host.len() > end.len() && host.ends_with(end.as_str()),
            Self::Exact(name) => host == name.as_str(),
        }
    }

    /// How specific it is, for precedence: characters of an exact name, then of any.
    #[must_use]
    pub fn rank(&self) -> (usize, usize) {
        match self {
            Self::Any => (0, 0),
            // With the `*`, which Gateway API counts as well.
            Self::Below(end) => (0, end.len() + 1),
            Self::Exact(name) => (name.len(), name.len()),
        }
    }

    /// What both mean: the more specific of two of which one is in the other.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let covers = |wide: &Self, narrow: &Self| match narrow {
            Self::Any => *wide == Self::Any,
            Self::Exact(name) => wide.matches(name),
            Self::Below(end) => match wide {
                Self::Any => true,
                Self::Below(wide) => end.ends_with(wide.as_str()),
                Self::Exact(_) => false,
            },
        };
        if covers(self, other) {
            Some(other.clone())
        } else {
            covers(other, self).then(|| self.clone())
        }
    }
}

impl fmt::Display for HostMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(end) => write!(f, "*{end}"),
            Self::Exact(name) => f.write_str(name),
        }
    }
}

/// Rules by host: an exact name first, then the longest `*.` that fits, then `*`. A request belongs to
/// one host only; where none of its rules matches, the others are not asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostTable {
    exact: HashMap<Name, Arc<Rules>, foldhash::fast::RandomState>,
    below: HashMap<Name, Arc<Rules>, foldhash::fast::RandomState>,
    any: Option<Arc<Rules>>,
}

impl HostTable {
    /// Rules for hosts; of two for one host the first counts.
    #[must_use]
    pub fn new(hosts: impl IntoIterator<Item = (HostMatch, Arc<Rules>)>) -> Self {
        let mut table = Self::default();
        for (host, rules) in hosts {
            match host {
                HostMatch::Any => {
                    table.any.get_or_insert(rules);
                }
                HostMatch::Below(end) => {
                    table.below.entry(end).or_insert(rules);
                }
                HostMatch::Exact(name) => {
                    table.exact.entry(name).or_insert(rules);
                }
            }
        }
        table
    }

    /// Rules for all hosts, as behind the address of one service.
    #[must_use]
    pub fn of_any(rules: Rules) -> Self {
        Self::new([(HostMatch::Any, Arc::new(rules))])
    }

    /// The rules of all hosts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rules>> {
        let named = self.exact.values().chain(self.below.values());
        named.chain(&self.any)
    }

    /// The rules of a host, given without port in any case; a dot at its end says nothing.
    #[must_use]
    pub fn rules(&self, host: &str) -> Option<&Arc<Rules>> {
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.lower(&host.to_ascii_lowercase());
        }
        self.lower(host)
    }

    fn lower(&self, host: &str) -> Option<&Arc<Rules>> {
        let exact = || self.exact.get(host);
        let below = || {
            let dots = host.match_indices('.').filter(|(at, _)| *at > 0);
            let mut ends = dots.filter_map(|(at, _)| host.get(at..));
            ends.find_map(|end| self.below.get(end))
        };
        exact().or_else(below).or(self.any.as_ref())
    }

    /// The first rule of the request's host that matches it.
    #[must_use]
    pub fn select(&self, head: &Head<'_>) -> Option<Matched<'_>> {
        self.rules(head.host)?.select(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Action, Rule};

    fn table(hosts: &[&str]) -> HostTable {
        let rules = |host: &&str| {
            let rules = Rules::new([Rule::new(*host, Action::not_found())]);
            (HostMatch::parse(host).unwrap(), Arc::new(rules))
        };
        HostTable::new(hosts.iter().map(rules))
    }

    #[test]
    fn the_most_specific_host_counts() {
        let all = table(&[
            "*",
            "*.com",
            "*.example.com",
            "a.example.com",
            "*.a.example.com",
        ]);
        let cases = [
            ("a.example.com", "a.example.com"),
            ("A.Example.COM", "a.example.com"),
            ("a.example.com.", "a.example.com"),
            ("b.example.com", "*.example.com"),
            ("x.y.example.com", "*.example.com"),
            ("x.a.example.com", "*.a.example.com"),
            ("example.com", "*.com"),
            ("com", "*"),
            ("other.org", "*"),
            (".com", "*"),
        ];
        for (host, chosen) in cases {
            let rules = all.rules(host).unwrap().rules();
            assert_eq!(rules[0].name.as_str(), chosen, "{host}");
        }
        assert!(table(&["*.example.com"]).rules("example.com").is_none());
    }

    #[test]
    fn hosts_are_read_and_written() {
        for text in ["*", "*.example.com", "example.com", "10.0.0.1", "[::1]"] {
            assert_eq!(HostMatch::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "*.",
            "*example.com",
            "a.*.com",
            "a b",
            "a/b",
            &"a".repeat(256),
        ] {
            assert!(HostMatch::parse(text).is_err(), "{text}");
        }
    }

    /// The examples of `HTTPRouteSpec.hostnames` in the Gateway API.
    #[test]
    fn two_hosts_have_in_common_what_the_narrower_means() {
        let cases = [
            (
                "*.example.com",
                "test.example.com",
                Some("test.example.com"),
            ),
            (
                "*.example.com",
                "foo.test.example.com",
                Some("foo.test.example.com"),
            ),
            ("*.example.com", "*.example.com", Some("*.example.com")),
            ("*.example.com", "example.com", None),
            ("*.example.com", "test.example.net", None),
            (
                "test.example.com",
                "test.example.com",
                Some("test.example.com"),
            ),
            (
                "test.example.com",
                "*.example.com",
                Some("test.example.com"),
            ),
            ("test.example.com", "*.com", Some("test.example.com")),
            ("*", "*.com", Some("*.com")),
            ("*.com", "*.example.com", Some("*.example.com")),
        ];
        for (one, other, common) in cases {
            let [a, b] = [one, other].map(|text| HostMatch::parse(text).unwrap());
            let common = common.map(|text| HostMatch::parse(text).unwrap());
            assert_eq!(a.intersection(&b), common, "{one} and {other}");
            assert_eq!(b.intersection(&a), common, "{other} and {one}");
        }
    }
}
