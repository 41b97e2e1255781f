//! Where a claim is: names of nested objects, in the spellings of conditions and of routes.

use mesh_core::name::Name;

use super::verified::VerifiedClaims;

/// Most names of one path, and most bytes of a key: deeper claims than a token may have name nothing.
const MOST_NAMES: usize = 32;
const LONGEST_KEY: usize = 2048;

/// The key of conditions of policies, before the brackets.
const CONDITION: &str = "request.auth.claims";
/// The key of header matches of routes, compared without case.
const ROUTE: &str = "@request.auth.claims";

/// Names that lead from the claims of a token to one of them: at least one, none of them empty.
///
/// | spelling | where | path |
/// |---|---|---|
/// | `request.auth.claims[a][b]` | conditions of policies | `a`, `b` |
/// | `@request.auth.claims.a.b` | header matches of routes | `a`, `b` |
/// | `@request.auth.claims[a][b.c]` | header matches of routes | `a`, `b.c` |
///
/// Source: Istio, the reference of authorization policy conditions and of `HTTPMatchRequest`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ClaimPath(Vec<Name>);

/// Why a text names no claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidClaimPath {
    /// The text does not start as keys of claims do.
    #[error("the key must start with `request.auth.claims[`")]
    Key,
    /// The names are neither in brackets nor, in a route, separated by dots.
    #[error(
        "names of claims must be in brackets, such as `[a][b]`, or in a route follow dots, such as `.a.b`"
    )]
    Shape,
    /// A name between two brackets or dots is empty.
    #[error("the name of a claim is empty")]
    EmptyName,
    /// More than 32 names, or a key of more than 2048 bytes.
    #[error("more than {MOST_NAMES} names of claims or more than {LONGEST_KEY} bytes")]
    TooLong,
}

impl ClaimPath {
    /// A path of these names.
    ///
    /// # Errors
    /// [`InvalidClaimPath`] when there is no name, when one is empty, or when there are more than 32.
    pub fn new(names: Vec<Name>) -> Result<Self, InvalidClaimPath> {
        if names.is_empty() || names.iter().any(|name| name.is_empty()) {
            return Err(InvalidClaimPath::EmptyName);
        }
        if names.len() > MOST_NAMES {
            return Err(InvalidClaimPath::TooLong);
        }
        Ok(Self(names))
    }

    /// The path of the key of a condition, `request.auth.claims[a][b]`.
    ///
    /// # Errors
    /// [`InvalidClaimPath`], also for any other key.
    pub fn from_condition_key(key: &str) -> Result<Self, InvalidClaimPath> {
        let brackets = key.strip_prefix(CONDITION).ok_or(InvalidClaimPath::Key)?;
        Self::from_brackets(brackets)
    }

    /// The path of what follows `request.auth.claims` in a condition: `[a][b]`.
    ///
    /// Where the text is not a row of clean groups, everything inside of the outermost brackets is
    /// one name: `[a[b]` names the claim `a[b`.
    ///
    /// # Errors
    /// [`InvalidClaimPath`] when the text does not start with `[` and end with `]`, when a name is
    /// empty, or when there are too many.
    pub fn from_brackets(text: &str) -> Result<Self, InvalidClaimPath> {
        if text.len() > LONGEST_KEY {
            return Err(InvalidClaimPath::TooLong);
        }
        let inside = inside(text).ok_or(InvalidClaimPath::Shape)?;
        match groups(text) {
            Some(names) => Self::new(names),
            None => Self::new(vec![Name::from(inside)]),
        }
    }

    /// The path of the key of a route's header match, or `None` when the key is an ordinary header
    /// name: `@request.auth.claims` in any case of letters, then `.a.b` or `[a][b.c]`.
    ///
    /// # Errors
    /// [`InvalidClaimPath`] when the key starts so, but names no claim. It must not be taken as a
    /// header name then: a client could send such a header.
    pub fn from_route_key(key: &str) -> Result<Option<Self>, InvalidClaimPath> {
        let Some((prefix, rest)) = key.split_at_checked(ROUTE.len()) else {
            return Ok(None);
        };
        if !prefix.eq_ignore_ascii_case(ROUTE) {
            return Ok(None);
        }
        if key.len() > LONGEST_KEY {
            return Err(InvalidClaimPath::TooLong);
        }
        let names: Vec<Name> = if let Some(dotted) = rest.strip_prefix('.') {
            dotted.split('.').map(Name::from).collect()
        } else {
            let inside = inside(rest).ok_or(InvalidClaimPath::Shape)?;
            inside.split("][").map(Name::from).collect()
        };
        Self::new(names).map(Some)
    }

    /// The names, outermost first.
    #[must_use]
    pub fn names(&self) -> &[Name] {
        &self.0
    }

    /// Whether any text of the claim is as wanted: how routes match claims. A claim that is a list
    /// matches when one of its strings does; without the claim nothing matches.
    pub fn any(&self, claims: &VerifiedClaims, wanted: impl FnMut(&str) -> bool) -> bool {
        claims.strings(&self.0).any(wanted)
    }
}

/// What is between the first and the last bracket.
fn inside(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

/// The names of a row of groups without brackets in any name.
fn groups(text: &str) -> Option<Vec<Name>> {
    let mut names = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.strip_prefix('[')?.split_once(']')?;
        if name.contains('[') {
            return None;
        }
        names.push(Name::from(name));
        rest = after;
    }
    Some(names)
}
