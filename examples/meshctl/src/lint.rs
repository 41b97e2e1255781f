//! `authz lint`: what the policies of the manifests do that their authors may not have meant.

mod inventory;

use std::io::{self, Write};

use mesh_authz::lint::{Level, Lint, lint};
use serde_json::json;

use crate::configuration::Configuration;
use crate::manifests::Manifests;
use crate::style::Style;

/// What was found, at a level or above.
pub(crate) fn find(
    manifests: &Manifests,
    configuration: &Configuration,
    level: Level,
) -> Vec<Lint> {
    let found = lint(&inventory::of(manifests, configuration));
    // Errors come first in the order of levels.
    found
        .into_iter()
        .filter(|lint| lint.rule.level() <= level)
        .collect()
}

/// As compilers do: `policies.yaml:12: shop/p: error[L01]: spec.rules[0]: ...`.
pub(crate) fn write_text(found: &[Lint], style: Style, mut to: impl Write) -> io::Result<()> {
    for lint in found {
        let (level, id) = (lint.rule.level(), lint.rule.id());
        let level = format!("{level}[{id}]");
        let level = match lint.rule.level() {
            Level::Error => style.red(&level),
            Level::Warning => style.yellow(&level),
            Level::Info => style.bold(&level),
        };
        let (place, field, message) = (&lint.provenance, &lint.field, &lint.message);
        writeln!(to, "{place}: {level}: {field}: {message}")?;
    }
    Ok(())
}

/// One object a finding, in a list.
pub(crate) fn write_json(found: &[Lint], mut to: impl Write) -> io::Result<()> {
    let each = found.iter().map(|lint| {
        let place = &lint.provenance;
        json!({
            "rule": lint.rule.id(),
            "level": lint.rule.level().to_string(),
            "file": place.file.as_deref(),
            "line": place.line,
            "object": place.key().as_str(),
            "field": lint.field,
            "message": lint.message,
        })
    });
    let all: Vec<_> = each.collect();
    serde_json::to_writer_pretty(&mut to, &all)?;
    writeln!(to)
}
