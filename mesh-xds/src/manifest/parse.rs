//! From the text of a file to its objects.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use mesh_core::name::Name;

use super::de::{self, ReadError};
use super::document::{Document, GroupKind, Metadata, ObjectKey};
use super::kind;
use super::node::Node;
use super::packed::Packed;
use super::problem::Problem;
use super::read;
use crate::place::Place;

/// The objects of a text: YAML documents, JSON, or what `kubectl get ... -o yaml` prints.
///
/// Lists (`kind: List`, or a list of one kind such as `PodList`) count as their items. `file` is
/// what problems call the text. An empty text has no objects.
///
/// # Errors
/// The [`Problem`] with its place when the text is not YAML, exceeds its budget ([`MAX_BYTES`](super::MAX_BYTES),
/// [`MAX_DEPTH`](super::MAX_DEPTH), [`MAX_NODES`](super::MAX_NODES), [`MAX_ALIASED`](super::MAX_ALIASED)), or has a
/// document that says not which object it is (`apiVersion`, `kind`, `metadata.name`): nobody can tell then what
/// such a text means to have removed.
pub fn parse(text: &str, file: &str) -> Result<Vec<Document>, Problem> {
    let mut documents = Vec::new();
    parse_each(text, file, &mut |document| documents.push(document))?;
    Ok(documents)
}

/// As [`parse`], and gives each object to `take` as soon as it is read. After an error they do not count.
pub(super) fn parse_each(
    text: &str,
    file: &str,
    take: &mut dyn FnMut(Document),
) -> Result<(), Problem> {
    let file: Arc<str> = file.into();
    let names = Names::default();
    read::read(text, &file, &mut |root| {
        let whole = Part {
            file: &file,
            names: &names,
            within: String::new(),
            implied: None,
        };
        whole.add(&root, take)
    })
}

/// Kinds, versions and namespaces of a file, which few objects have to themselves: each is kept once.
#[derive(Default)]
struct Names(RefCell<HashSet<Name>>);

impl Names {
    fn name(&self, text: &str) -> Name {
        let mut known = self.0.borrow_mut();
        if let Some(known) = known.get(text) {
            return known.clone();
        }
        let new = Name::from(text);
        known.insert(new.clone());
        new
    }
}

/// A part of a file that is an object or a list of them.
struct Part<'a> {
    file: &'a Arc<str>,
    names: &'a Names,
    within: String,
    /// `apiVersion` and `kind` of items that need not name them.
    implied: Option<(String, String)>,
}

impl Part<'_> {
    fn add(self, root: &Node, take: &mut dyn FnMut(Document)) -> Result<(), Problem> {
        if !root.is_map() {
            let problem =
                format!("expected an object with apiVersion, kind and metadata, got {root}");
            return self.problem(root, "", problem);
        }
        let (api_version, kind) = self.kind_of(root)?;
        let is_list = kind.ends_with("List") && root.field("items").is_some_and(Node::is_list);
        if is_list || kind == "List" {
            return self.items(root, &api_version, &kind, take);
        }
        take(self.document(root, &api_version, &kind)?);
        Ok(())
    }

    fn kind_of(&self, root: &Node) -> Result<(String, String), Problem> {
        let given = (self.text(root, "apiVersion")?, self.text(root, "kind")?);
        match (given, &self.implied) {
            ((Some(version), Some(kind)), _) => Ok((version.to_owned(), kind.to_owned())),
            ((None, None), Some(implied)) => Ok(implied.clone()),
            ((None, _), _) => self.problem(root, "apiVersion", "missing, expected such as v1"),
            ((_, None), _) => self.problem(root, "kind", "missing, expected such as Service"),
        }
    }

    /// A field that is a text when it is there.
    fn text<'n>(&self, root: &'n Node, field: &str) -> Result<Option<&'n str>, Problem> {
        match root.field(field) {
            None => Ok(None),
            Some(node) => match node.text() {
                Some(text) if !text.is_empty() => Ok(Some(text)),
                _ => self.problem(node, field, format!("expected a text, got {node}")),
            },
        }
    }

    fn items(
        &self,
        root: &Node,
        api_version: &str,
        kind: &str,
        take: &mut dyn FnMut(Document),
    ) -> Result<(), Problem> {
        let implied = kind.strip_suffix("List").filter(|kind| !kind.is_empty());
        for (index, item) in root
            .field("items")
            .map_or(&[][..], Node::items)
            .iter()
            .enumerate()
        {
            let item_of = Part {
                file: self.file,
                names: self.names,
                within: self.path(&format!("items[{index}]")),
                implied: implied.map(|kind| (api_version.to_owned(), kind.to_owned())),
            };
            if item.field("items").is_some_and(Node::is_list) && implied.is_none() {
                let problem = "expected an object, got a list within a list";
                return item_of.problem(item, "", problem);
            }
            item_of.add(item, take)?;
        }
        Ok(())
    }

    fn document(&self, root: &Node, api_version: &str, kind: &str) -> Result<Document, Problem> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let kind = GroupKind::new(self.names.name(group), self.names.name(kind));
        let metadata = match root.field("metadata") {
            Some(node) => de::read::<Metadata>(node).map_err(|error| {
                let ReadError { problem, found } = error;
                let (at, inner) = found.unwrap_or_else(|| (node.at, String::new()));
                let path = match inner.is_empty() {
                    true => self.path("metadata"),
                    false => self.path(&format!("metadata.{inner}")),
                };
                Problem::new(
                    Place::at(self.file, at.line.into(), at.column.into(), path),
                    problem,
                )
            })?,
            None => (Metadata::default(), Vec::new()),
        };
        // Unknown fields of metadata are those of other versions of Kubernetes.
        let (metadata, _) = metadata;
        if metadata.name.is_empty() {
            return self.problem(root, "metadata.name", "missing, expected the object's name");
        }
        let namespace: Name = match metadata.namespace.as_str() {
            _ if kind::is_cluster_wide(&kind) => Name::default(),
            "" => self.names.name("default"),
            namespace => self.names.name(namespace),
        };
        Ok(Document {
            key: ObjectKey {
                kind,
                namespace,
                name: metadata.name.as_str().into(),
            },
            file: self.file.clone(),
            within: self.within.clone(),
            version: self.names.name(version),
            metadata,
            begin: root.at.into(),
            packed: Packed::of(root),
        })
    }

    fn path(&self, inner: &str) -> String {
        match (self.within.is_empty(), inner.is_empty()) {
            (true, _) => inner.to_owned(),
            (_, true) => self.within.clone(),
            (false, false) => format!("{}.{inner}", self.within),
        }
    }

    fn problem<T>(&self, node: &Node, path: &str, text: impl Into<String>) -> Result<T, Problem> {
        let place = Place::at(self.file, node.line(), node.column(), self.path(path));
        Err(Problem::new(place, text))
    }
}

#[cfg(test)]
mod tests;
