//! Conditions as they are called in the object that they were written in.

use mesh_authz::FieldTree;
use mesh_authz::kube::Origin;
use serde::Serialize;

use crate::case::Case;
use crate::mesh::Mesh;

/// A condition that is not met.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Condition {
    /// Its field, such as `spec.rules[0].from[1].source.notNamespaces`.
    pub(crate) field: String,
    /// What would meet it: `one of a, b*` or `none of c`.
    pub(crate) expected: String,
    /// What there is.
    pub(crate) found: String,
}

impl Condition {
    /// A field of a policy, as the object has it that the policy was made of.
    pub(super) fn of(mesh: &Mesh, case: &Case<'_>, key: &str, field: &FieldTree) -> Self {
        let written = Place::parse(&field.place).and_then(|place| {
            let rule = mesh.written_rule(case.layer, key, place.rule);
            let origins = mesh.authorization(key)?.origins.get(rule)?;
            place.written(rule, origins)
        });
        Self {
            field: written.unwrap_or_else(|| field.place.clone()),
            expected: field.expected.clone(),
            found: field.found.clone(),
        }
    }
}

/// A place in a policy: `rules[0].clauses[1].matches[2].not_paths`.
struct Place<'p> {
    rule: usize,
    clause: usize,
    entry: usize,
    field: &'p str,
}

impl<'p> Place<'p> {
    fn parse(text: &'p str) -> Option<Self> {
        let number = |text: &'p str, before: &str| {
            let (number, rest) = text.strip_prefix(before)?.split_once("].")?;
            Some((number.parse().ok()?, rest))
        };
        let (rule, rest) = number(text, "rules[")?;
        let (clause, rest) = number(rest, "clauses[")?;
        let (entry, field) = number(rest, "matches[")?;
        Some(Self {
            rule,
            clause,
            entry,
            field,
        })
    }

    fn written(&self, rule: usize, origins: &[Origin]) -> Option<String> {
        let (entry, field) = (self.entry, self.field);
        Some(match origins.get(self.clause)? {
            Origin::From => {
                let field = written(field);
                format!("spec.rules[{rule}].from[{entry}].source.{field}")
            }
            Origin::To => {
                let field = written(field);
                format!("spec.rules[{rule}].to[{entry}].operation.{field}")
            }
            Origin::When(key) => {
                let before = origins.iter().take(self.clause);
                let at = before.filter(|one| matches!(one, Origin::When(_))).count();
                let values = match field.starts_with("not_") {
                    true => "notValues",
                    false => "values",
                };
                format!("spec.rules[{rule}].when[{at}].{values} ({key})")
            }
        })
    }
}

/// The name of a field in the object.
fn written(field: &str) -> String {
    let (not, name) = match field.strip_prefix("not_") {
        Some(name) => ("not", name),
        None => ("", field),
    };
    let name = match name {
        "source_ips" => "ip_blocks",
        "remote_ips" => "remote_ip_blocks",
        "destination_ports" => "ports",
        name => name,
    };
    let mut text = not.to_owned();
    let mut capital = !not.is_empty();
    for letter in name.chars() {
        match letter {
            '_' => capital = true,
            letter if std::mem::take(&mut capital) => text.push(letter.to_ascii_uppercase()),
            letter => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_called_as_in_the_object() {
        for (field, expected) in [
            ("namespaces", "namespaces"),
            ("not_namespaces", "notNamespaces"),
            ("source_ips", "ipBlocks"),
            ("not_remote_ips", "notRemoteIpBlocks"),
            ("destination_ports", "ports"),
            ("not_service_accounts", "notServiceAccounts"),
        ] {
            assert_eq!(written(field), expected, "{field}");
        }
    }
}
