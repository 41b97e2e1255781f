//! Conditions that have a name: on headers, claims, and what earlier parts of a proxy have noted.

use super::{Compiler, Mistake};
use crate::invalid::Problem;
use crate::policy::bytes::Writer;
use crate::policy::dimension::Dimension;
use crate::policy::field::SEPARATOR;
use crate::spec::{MatchSpec, StringMatch};

impl Compiler<'_> {
    pub(super) fn conditions(
        &mut self,
        fields: &mut Writer,
        spec: &MatchSpec,
    ) -> Result<(), Mistake> {
        for (at, one) in spec.headers.iter().enumerate() {
            if !is_header(&one.name) {
                let place = format_args!("headers[{at}].name");
                return Err(Mistake::at(place, Problem::HeaderName));
            }
            let lists = [&one.values, &one.not_values];
            self.condition(fields, (Dimension::Header, at), &one.name, lists)?;
        }
        for (at, one) in spec.claims.iter().enumerate() {
            let name = |name: &mesh_core::name::Name| name.is_empty() || name.contains(SEPARATOR);
            if one.path.is_empty() || one.path.iter().any(name) {
                let place = format_args!("claims[{at}].path");
                return Err(Mistake::at(place, Problem::ClaimPath));
            }
            let path: Vec<_> = one.path.iter().map(|name| name.as_str()).collect();
            let name = path.join("\0");
            let lists = [&one.values, &one.not_values];
            self.condition(fields, (Dimension::Claim, at), &name, lists)?;
        }
        for (at, one) in spec.metadata.iter().enumerate() {
            let bad = |name: &str| name.is_empty() || name.contains(SEPARATOR);
            if bad(&one.filter) || bad(&one.key) {
                let place = format_args!("metadata[{at}].key");
                return Err(Mistake::at(place, Problem::MetadataKey));
            }
            let element = if one.element { "\0[]" } else { "" };
            let name = format!("{}\0{}{element}", one.filter, one.key);
            let lists = [&one.values, &one.not_values];
            self.condition(fields, (Dimension::Metadata, at), &name, lists)?;
        }
        Ok(())
    }

    fn condition(
        &mut self,
        fields: &mut Writer,
        (dimension, at): (Dimension, usize),
        name: &str,
        lists: [&Vec<StringMatch>; 2],
    ) -> Result<(), Mistake> {
        let place = format_args!("{}[{at}]", dimension.field());
        if lists.iter().all(|list| list.is_empty()) {
            return Err(Mistake::at(place, Problem::NoValues));
        }
        self.count(1)?;
        self.text(place, name)?;
        self.texts(fields, dimension, name, lists)
            .map_err(|mistake| {
                let below = mistake.place.replacen(dimension.field(), "values", 1);
                Mistake::at(format_args!("{place}.{below}"), mistake.problem)
            })
    }
}

/// Whether a text is the name of a header in lower case, or of a pseudo-header.
fn is_header(name: &str) -> bool {
    let name = name.strip_prefix(':').unwrap_or(name);
    let token = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
    };
    !name.is_empty() && name.bytes().all(token)
}
