//! Which object something comes from.

use std::fmt;

use mesh_core::name::Name;

use super::meta::Metadata;

/// The namespace of objects that do not name one, as `kubectl` has it.
const DEFAULT_NAMESPACE: &str = "default";

/// The object that something comes from, and where it was read.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Provenance {
    /// The file, if it comes from one.
    pub file: Option<Name>,
    /// The line in the file, from 1; 0 when lines are not known.
    pub line: u32,
    /// Namespace of the object. What has none in its metadata is in `default`.
    pub namespace: Name,
    /// Name of the object.
    pub name: Name,
}

impl Provenance {
    /// An object that was not read from a file.
    pub fn new(namespace: impl Into<Name>, name: impl Into<Name>) -> Self {
        Self {
            file: None,
            line: 0,
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The object with this metadata; without a namespace it is in `default`.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        let namespace = metadata
            .namespace
            .as_deref()
            .filter(|text| !text.is_empty());
        Self::new(
            namespace.unwrap_or(DEFAULT_NAMESPACE),
            metadata.name.as_str(),
        )
    }

    /// The same object, read from a file. Lines count from 1.
    #[must_use]
    pub fn at(mut self, file: impl Into<Name>, line: u32) -> Self {
        self.file = Some(file.into());
        self.line = line;
        self
    }

    /// The object's key, `namespace/name`.
    #[must_use]
    pub fn key(&self) -> Name {
        format!("{}/{}", self.namespace, self.name).into()
    }
}

/// As compilers do: `policies.yaml:12: shop/allow-cart`.
impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if self.line > 0 {
                write!(f, "{}:", self.line)?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
