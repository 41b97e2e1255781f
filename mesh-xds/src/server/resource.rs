//! A resource as a server has it.

use std::hash::{BuildHasher, Hasher};

use bytes::Bytes;

use crate::wire::discovery::{Any, Resource};

/// A resource of any type, with any content: also one that clients have to reject.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServedResource {
    /// Other names that it is found by, such as `network/ip`.
    pub aliases: Vec<String>,
    /// The type URL that goes with the content. Most often that under which it is served.
    pub type_url: String,
    /// The encoded message.
    pub body: Bytes,
    /// What tells this content from any other: by default a hash of it, which is the same after a
    /// restart.
    pub version: String,
}

impl ServedResource {
    /// A resource with this content.
    #[must_use]
    pub fn new(type_url: impl Into<String>, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut hasher = foldhash::quality::FixedState::with_seed(0).build_hasher();
        hasher.write(&body);
        Self {
            aliases: Vec::new(),
            type_url: type_url.into(),
            version: format!("{:016x}", hasher.finish()),
            body,
        }
    }

    /// Other names that it is found by.
    #[must_use]
    pub fn aliases(self, aliases: impl IntoIterator<Item = String>) -> Self {
        Self {
            aliases: aliases.into_iter().collect(),
            ..self
        }
    }

    pub(super) fn encode(&self, name: &str) -> Resource {
        Resource {
            name: name.to_owned(),
            version: self.version.clone(),
            aliases: self.aliases.clone(),
            resource: Some(Any {
                type_url: self.type_url.clone(),
                value: self.body.clone(),
            }),
            ..Resource::default()
        }
    }
}
