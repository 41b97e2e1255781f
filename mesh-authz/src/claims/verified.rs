//! The claims themselves.

use std::fmt;
use std::sync::Arc;

use mesh_core::name::Name;
use serde_json::{Map, Value};

use super::values::Strings;

/// Claims that every issuer writes as one string of words: Istio splits them for every rule.
const ALWAYS_SPACE_DELIMITED: [&str; 2] = ["scope", "permission"];

/// Names of top-level claims whose strings are lists of words separated by single spaces.
///
/// `scope` and `permission` are always among them. Cheap to clone.
/// Source: Istio's `JWTRule.spaceDelimitedClaims`; RFC 8693 section 4.2 for `scope`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SpaceDelimited(Arc<[Name]>);

impl SpaceDelimited {
    /// These names, beside `scope` and `permission`.
    #[must_use]
    pub fn with(names: impl IntoIterator<Item = Name>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether the claim of this name is split.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        ALWAYS_SPACE_DELIMITED.contains(&name) || self.0.iter().any(|known| *known == *name)
    }
}

/// The claims of one token that has been verified.
///
/// Look-ups borrow and allocate nothing. The values themselves are not shown by `Debug`: they may
/// be personal.
#[derive(Clone, PartialEq)]
pub struct VerifiedClaims {
    claims: Map<String, Value>,
    space_delimited: SpaceDelimited,
}

impl VerifiedClaims {
    /// Claims that the caller answers for: **nothing is verified here**. For tests, and for
    /// replaying requests whose tokens were verified when they were recorded.
    #[must_use]
    pub fn assume_verified(claims: Map<String, Value>) -> Self {
        Self::new(claims, SpaceDelimited::default())
    }

    /// [`assume_verified`](Self::assume_verified), with further claims that are lists of words.
    #[must_use]
    pub fn assume_verified_with(claims: Map<String, Value>, lists: SpaceDelimited) -> Self {
        Self::new(claims, lists)
    }

    pub(crate) fn new(claims: Map<String, Value>, space_delimited: SpaceDelimited) -> Self {
        Self {
            claims,
            space_delimited,
        }
    }

    /// The claim `iss`, when it is a string.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// The claim `sub`, when it is a string.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str)
    }

    /// The claim `aud`: a string, or the strings of a list.
    pub fn audiences(&self) -> Strings<'_> {
        self.top("aud")
    }

    /// The claim `azp`: to whom the token was issued.
    pub fn presenters(&self) -> Strings<'_> {
        self.top("azp")
    }

    /// The texts of the claim at `path`: the string itself, or the strings of a list, in their order.
    ///
    /// Numbers, booleans, objects and lists within a list give nothing, and so does a claim that is
    /// not there, or an empty path. A top-level claim that is a list of words gives its words, none
    /// of which is empty; a tabulator separates nothing.
    pub fn strings(&self, path: &[Name]) -> Strings<'_> {
        match path {
            [] => Strings::none(),
            [name] => self.top(name),
            _ => self.value(path).map_or(Strings::none(), Strings::of),
        }
    }

    /// [`strings`](Self::strings) by the names of a path one after the other.
    pub(crate) fn strings_below<'p>(&self, mut path: impl Iterator<Item = &'p str>) -> Strings<'_> {
        let Some(first) = path.next() else {
            return Strings::none();
        };
        let mut rest = path.peekable();
        if rest.peek().is_none() {
            return self.top(first);
        }
        let value = rest.try_fold(self.claims.get(first), |value, name| {
            value.map(|value| value.as_object().and_then(|object| object.get(name)))
        });
        value.flatten().map_or(Strings::none(), Strings::of)
    }

    /// The claim at `path` as the token has it; nothing is split. An empty path gives nothing.
    #[must_use]
    pub fn value(&self, path: &[Name]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let mut value = self.claims.get(first.as_str())?;
        for name in rest {
            value = value.as_object()?.get(name.as_str())?;
        }
        Some(value)
    }

    /// All claims as the token has them.
    #[must_use]
    pub fn all(&self) -> &Map<String, Value> {
        &self.claims
    }

    fn top(&self, name: &str) -> Strings<'_> {
        match self.claims.get(name) {
            Some(Value::String(words)) if self.space_delimited.contains(name) => {
                Strings::words(words)
            }
            Some(value) => Strings::of(value),
            None => Strings::none(),
        }
    }
}

/// Names of the claims, without their values.
impl fmt::Debug for VerifiedClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.claims.keys()).finish()
    }
}
