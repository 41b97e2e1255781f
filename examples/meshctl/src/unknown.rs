//! What is not known of a connection or request, and whether policies ask for it.

use std::fmt;

use mesh_authz::spec::{Action, MatchSpec, RuleSpec};
use mesh_core::name::Name;

use crate::mesh::Layered;

/// Something that a question may leave out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Attribute {
    Source,
    Destination,
    Method,
    Host,
    Path,
}

/// The field of a question.
impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source.address",
            Self::Destination => "destination.address",
            Self::Method => "request.method",
            Self::Host => "request.host",
            Self::Path => "request.path",
        })
    }
}

/// A rule that asks for something that is not known.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) policy: Name,
    pub(crate) rule: usize,
    pub(crate) attribute: Attribute,
}

/// The first rule of policies with an action that asks for something that is not known.
pub(crate) fn asking(
    layered: &Layered,
    keys: &[Name],
    action: Action,
    unknown: &[Attribute],
) -> Option<Asking> {
    if unknown.is_empty() {
        return None;
    }
    let specs = layered.specs.borrow();
    let applying = keys.iter().filter_map(|key| Some((key, specs.get(key)?)));
    let mut enforced = applying.filter(|(_, spec)| spec.action == action && !spec.dry_run);
    enforced.find_map(|(key, spec)| {
        let mut rules = spec.rules.iter().enumerate();
        rules.find_map(|(at, rule)| {
            let attribute = of_rule(rule, unknown)?;
            Some(Asking {
                policy: key.clone(),
                rule: at,
                attribute,
            })
        })
    })
}

/// What a rule of a policy asks for that is not known.
pub(crate) fn asked_by(
    layered: &Layered,
    key: &str,
    rule: usize,
    unknown: &[Attribute],
) -> Option<Attribute> {
    let specs = layered.specs.borrow();
    let rule = specs.get(key)?.rules.get(rule)?;
    of_rule(rule, unknown)
}

fn of_rule(rule: &RuleSpec, unknown: &[Attribute]) -> Option<Attribute> {
    let matches = rule.clauses.iter().flat_map(|clause| &clause.matches);
    let mut asked = matches.filter_map(|one| {
        let mut unknown = unknown.iter().copied();
        unknown.find(|attribute| asks(one, *attribute))
    });
    asked.next()
}

fn asks(one: &MatchSpec, attribute: Attribute) -> bool {
    let header = |name: &str| one.headers.iter().any(|header| header.name == *name);
    match attribute {
        Attribute::Source => !one.source_ips.is_empty() || !one.not_source_ips.is_empty(),
        Attribute::Destination => {
            !one.destination_ips.is_empty()
                || !one.not_destination_ips.is_empty()
                || !one.destination_ports.is_empty()
                || !one.not_destination_ports.is_empty()
        }
        Attribute::Method => {
            !one.methods.is_empty() || !one.not_methods.is_empty() || header(":method")
        }
        Attribute::Host => {
            !one.hosts.is_empty() || !one.not_hosts.is_empty() || header(":authority")
        }
        Attribute::Path => !one.paths.is_empty() || !one.not_paths.is_empty() || header(":path"),
    }
}
