//! One object of a manifest: what every Kubernetes object has, and the rest as a tree of values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mesh_core::name::Name;
use serde::de::DeserializeOwned;

use super::de::{self, ReadError};
use super::node::{Mark, Node};
use super::packed::Packed;
use super::problem::Problem;
use super::unread::Unread;
use crate::place::Place;

/// The group and the kind of an object, such as `networking.istio.io` and `ServiceEntry`.
///
/// The group of the core kinds (`v1`) is empty.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a pair by definition")]
pub struct GroupKind {
    /// The API group, without a version.
    pub group: Name,
    /// The kind.
    pub kind: Name,
}

impl GroupKind {
    /// A kind of a group.
    #[must_use]
    pub fn new(group: impl Into<Name>, kind: impl Into<Name>) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
        }
    }
}

/// `ServiceEntry.networking.istio.io`, or `Pod` for core kinds.
impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// What makes an object one: two with the same key are two states of one object.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the key of an object by definition"
)]
pub struct ObjectKey {
    /// Group and kind; the version is no part of it.
    pub kind: GroupKind,
    /// The namespace; empty for kinds that have none.
    pub namespace: Name,
    /// The name.
    pub name: Name,
}

/// `Pod default/web`, or `Namespace default`.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// What is read of an object's metadata.
///
/// Source: Kubernetes API, `ObjectMeta` v1.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The namespace as it is written; empty when it is not.
    pub namespace: String,
    /// Labels.
    pub labels: Labels,
    /// Annotations.
    pub annotations: Labels,
    /// When the object was made, as RFC 3339 in UTC (`2026-01-31T12:00:00Z`), which sorts as text.
    /// Empty for objects that no API server has seen.
    pub creation_timestamp: String,
    /// When its removal began; empty while nobody removes it.
    pub deletion_timestamp: String,
    /// What the API server calls it; empty for objects that no API server has seen.
    pub uid: String,
    /// What owns it.
    pub owner_references: Vec<OwnerReference>,
    /// What the name starts with, where the server chooses the rest.
    pub generate_name: String,
    deletion_grace_period_seconds: Unread,
    finalizers: Unread,
    generation: Unread,
    managed_fields: Unread,
    resource_version: Unread,
    self_link: Unread,
}

/// Labels or annotations, sorted by name.
pub type Labels = BTreeMap<String, String>;

/// What owns an object. Source: Kubernetes API, `OwnerReference` v1.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct OwnerReference {
    /// Its kind, such as `ReplicaSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Whether it is the one that made the object.
    pub controller: bool,
    api_version: Unread,
    block_owner_deletion: Unread,
    uid: Unread,
}

/// Where an object begins. Its line changes when something above it does: an object that only moved stays the one
/// that it is, with all that was made of it.
#[derive(Debug)]
pub(super) struct Begin {
    line: AtomicU32,
    column: u32,
}

impl Begin {
    pub(super) fn line(&self) -> u32 {
        self.line.load(Ordering::Relaxed)
    }

    pub(super) fn move_to(&self, line: u32) {
        self.line.store(line, Ordering::Relaxed);
    }
}

impl From<Mark> for Begin {
    fn from(Mark { line, column }: Mark) -> Self {
        let line = line.into();
        Self { line, column }
    }
}

impl Clone for Begin {
    fn clone(&self) -> Self {
        let (line, column) = (self.line(), self.column);
        Mark { line, column }.into()
    }
}

/// An object of a manifest, with its places.
///
/// ```
/// use mesh_xds::manifest::parse;
///
/// let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  nodeName: 7\n";
/// let web = &parse(text, "web.yaml")?[0];
/// assert_eq!(web.key().to_string(), "Pod default/web");
///
/// #[derive(Debug, serde::Deserialize)]
/// #[serde(rename_all = "camelCase")]
/// struct Spec { node_name: Option<String> }
/// assert_eq!(
///     web.read_field::<Spec>("spec").unwrap_err().to_string(),
///     "web.yaml:5:13: spec.nodeName: expected a text, got the number 7; quote it",
/// );
/// # Ok::<(), mesh_xds::manifest::Problem>(())
/// ```
#[derive(Clone, Debug)]
pub struct Document {
    pub(super) file: Arc<str>,
    /// The path to it within its file, such as `items[3]`; empty for a document of its own.
    pub(super) within: String,
    pub(super) begin: Begin,
    pub(super) packed: Packed,
    pub(super) key: ObjectKey,
    pub(super) version: Name,
    pub(super) metadata: Metadata,
}

impl Document {
    /// What makes it this object.
    #[must_use]
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The version of its API group, such as `v1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its metadata.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The namespace that it counts for: `default` when a kind with namespaces names none; empty
    /// for kinds without.
    #[must_use]
    pub fn namespace(&self) -> &Name {
        &self.key.namespace
    }

    /// The file, as the caller named it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The values of the object, made anew by each call: documents keep them in few bytes.
    #[must_use]
    pub fn root(&self) -> Node {
        self.packed.node(self.begin.line())
    }

    /// The place of the object as a whole.
    #[must_use]
    pub fn place(&self) -> Place {
        self.placed(self.line(), self.begin.column.into(), "")
    }

    /// The line that the object begins in, counted from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.begin.line().into()
    }

    /// The place of a field such as `spec.rules[0]`, or of the nearest value around where it would
    /// be, with the path in full.
    #[must_use]
    pub fn place_of(&self, path: &str) -> Place {
        let root = self.root();
        let node = root.nearest(path);
        self.placed(node.line(), node.column(), path)
    }

    /// A problem with a field.
    #[must_use]
    pub fn problem(&self, path: &str, text: impl Into<String>) -> Problem {
        Problem::new(self.place_of(path), text)
    }

    /// The object as a type, and the fields that the type does not know.
    ///
    /// Types that know no field `apiVersion`, `kind` and `metadata` find them reported as unknown.
    ///
    /// # Errors
    /// [`Problem`] with the place and the path of the value that is not what the type needs.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Read<T>, Problem> {
        self.read_node(&self.root(), "")
    }

    /// A field of the object, such as `spec`, as a type; absent and null fields are read as an
    /// empty map.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_field<T: DeserializeOwned>(&self, field: &str) -> Result<Read<T>, Problem> {
        let root = self.root();
        match root.field(field) {
            Some(node) => self.read_node(node, field),
            None => self.read_node(&Node::empty_map(root.at), field),
        }
    }

    fn read_node<T: DeserializeOwned>(&self, node: &Node, path: &str) -> Result<Read<T>, Problem> {
        match de::read(node) {
            Ok((value, unknown)) => {
                let unknown = unknown.into_iter().map(|unknown| {
                    let path = joined(path, &unknown.path);
                    let (line, column) = (unknown.at.line.into(), unknown.at.column.into());
                    Problem::new(self.placed(line, column, &path), "unknown field")
                });
                let unknown = unknown.collect();
                Ok(Read { value, unknown })
            }
            Err(ReadError { problem, found }) => {
                let (at, inner) = found.unwrap_or_else(|| (node.at, String::new()));
                let path = joined(path, &inner);
                let place = self.placed(at.line.into(), at.column.into(), &path);
                Err(Problem::new(place, problem))
            }
        }
    }

    /// Whether both are of one file and say the same, each perhaps in other lines.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.file == other.file
            && self.within == other.within
            && self.begin.column == other.begin.column
            && self.packed == other.packed
            && (&self.key, &self.version) == (&other.key, &other.version)
    }

    /// The path within the object of a path within its file.
    pub(super) fn path_within<'p>(&self, path: &'p str) -> &'p str {
        let inner = path.strip_prefix(self.within.as_str()).unwrap_or(path);
        inner.strip_prefix('.').unwrap_or(inner)
    }

    fn placed(&self, line: u64, column: u64, path: &str) -> Place {
        Place::at(&self.file, line, column, joined(&self.within, path))
    }
}

/// A value that was read, and what of the text it does not know.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a pair by definition")]
pub struct Read<T> {
    /// The value.
    pub value: T,
    /// Fields that the type does not know.
    pub unknown: Vec<Problem>,
}

fn joined(path: &str, inner: &str) -> String {
    match (path.is_empty(), inner.is_empty()) {
        (true, _) => inner.to_owned(),
        (_, true) => path.to_owned(),
        (false, false) if inner.starts_with('[') => format!("{path}{inner}"),
        (false, false) => format!("{path}.{inner}"),
    }
}
