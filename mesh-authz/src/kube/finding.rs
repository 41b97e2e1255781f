//! What is wrong with an object, or questionable, and where.

use std::fmt;

use super::caution::Caution;
use super::fault::Fault;
use super::path::Path;
use super::provenance::Provenance;

/// The most faults, and the most cautions, that are told about one object; further ones are left out.
const MOST: usize = 100;

/// The versions of the group `security.istio.io` that are read. Their schemas are the same.
const API_VERSIONS: [&str; 2] = ["security.istio.io/v1", "security.istio.io/v1beta1"];

/// Something that was found in a field of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Finding<T> {
    /// The field, such as `spec.rules[0].from[1].source.ipBlocks[2]`.
    pub field: Box<str>,
    /// What was found, and what is expected there.
    pub what: T,
}

impl<T: fmt::Display> fmt::Display for Finding<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.what)
    }
}

/// An object that must not be accepted. It is rejected as a whole; the last good version of it
/// stays in force.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Invalid {
    /// Which object.
    pub provenance: Provenance,
    /// What is wrong with it, in the order of its fields; at least one, at most 100.
    pub faults: Vec<Finding<Fault>>,
    /// What is questionable beside.
    pub cautions: Vec<Finding<Caution>>,
}

/// `policies.yaml:12: shop/allow-cart: spec.selector: ...; spec.rules: ...`.
impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.provenance)?;
        for (at, fault) in self.faults.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Findings while an object is looked through.
#[derive(Debug, Default)]
pub(super) struct Findings {
    faults: Vec<Finding<Fault>>,
    cautions: Vec<Finding<Caution>>,
}

impl Findings {
    pub(super) fn fault(&mut self, at: &Path<'_>, fault: Fault) {
        push(&mut self.faults, at, fault);
    }

    pub(super) fn caution(&mut self, at: &Path<'_>, caution: Caution) {
        push(&mut self.cautions, at, caution);
    }

    /// The value of a field, or its fault.
    pub(super) fn keep<T>(&mut self, at: &Path<'_>, read: Result<T, Fault>) -> Option<T> {
        read.map_err(|fault| self.fault(at, fault)).ok()
    }

    /// That an object is of the right type.
    pub(super) fn object_type(&mut self, version: &str, kind: &str, expected: &'static str) {
        if !API_VERSIONS.contains(&version) {
            let version = version.into();
            self.fault(&Path::root("apiVersion"), Fault::ApiVersion { version });
        }
        if kind != expected {
            let found = kind.into();
            self.fault(&Path::root("kind"), Fault::Kind { found, expected });
        }
    }

    /// That name and namespace make a key.
    pub(super) fn key(&mut self, provenance: &Provenance) {
        let metadata = Path::root("metadata");
        for (field, text) in [
            ("name", &provenance.name),
            ("namespace", &provenance.namespace),
        ] {
            if text.is_empty() || text.contains('/') {
                self.fault(&metadata.field(field), Fault::Name);
            }
        }
    }

    /// That there are not more of something than there may be.
    pub(super) fn at_most(&mut self, at: &Path<'_>, limit: usize, found: usize) {
        if found > limit {
            self.fault(at, Fault::TooMany { found, limit });
        }
    }

    /// The cautions about an object that is accepted.
    ///
    /// # Errors
    /// [`Invalid`] when it is not.
    pub(super) fn close(self, provenance: &Provenance) -> Result<Vec<Finding<Caution>>, Invalid> {
        if self.faults.is_empty() {
            return Ok(self.cautions);
        }
        Err(Invalid {
            provenance: provenance.clone(),
            faults: self.faults,
            cautions: self.cautions,
        })
    }
}

fn push<T>(all: &mut Vec<Finding<T>>, at: &Path<'_>, what: T) {
    if all.len() < MOST {
        let field = at.to_string().into();
        all.push(Finding { field, what });
    }
}
