//! Path templates: `/shops/{*}/cart`, `/static/{**}/logo.png`.

use std::fmt;
use std::str::FromStr;

use mesh_core::name::Name;

#[cfg(test)]
mod tests;

const ONE: &str = "{*}";
const ANY: &str = "{**}";

/// A path with placeholders for whole segments.
///
/// | operator | stands for |
/// |---|---|
/// | `{*}` | one segment that is not empty |
/// | `{**}` | any number of characters, none included, `/` included; at most once, as the last operator |
///
/// All else is compared byte by byte, the slashes around operators and at the end too: `/a/{**}`
/// fits `/a/` and not `/a`. A path has neither query nor fragment.
///
/// It is as large as a [`Name`]. Comparing allocates nothing and takes time in proportion to the
/// shorter of the two texts.
///
/// Source: Istio's `AuthorizationPolicy`, `operation.paths`.
///
/// ```
/// use mesh_authz::spec::{PathTemplate, TemplateCharset};
///
/// let template: PathTemplate = "/store/{*}/{**}/cart".parse()?;
/// assert!(template.matches("/store/7/a/b/cart", TemplateCharset::Compat));
/// assert!(template.matches("/store/7//cart", TemplateCharset::Compat));
/// assert!(!template.matches("/store/7/cart", TemplateCharset::Compat));
/// # Ok::<(), mesh_authz::spec::InvalidTemplate>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PathTemplate(Name);

/// The characters that an operator of a template stands for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "what a path is made of, or anything"
)]
pub enum TemplateCharset {
    /// Letters, digits and ``!$%&'()*+,-.:;=@_~``, as Envoy has it. For what allows.
    Compat,
    /// Everything except `/`. For what denies, so that no character gets around it.
    AnyButSlash,
}

/// A part of a template between two slashes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are three")]
pub enum TemplateSegment<'a> {
    /// This text. Empty only as the last segment: the path ends with a slash.
    Literal(&'a str),
    /// `{*}`.
    One,
    /// `{**}`.
    Any,
}

/// Why a text is not a path template. Segments are counted from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTemplate {
    /// There is neither `{*}` nor `{**}`, and no brace at all.
    #[error("a path template has {{*}} or {{**}} as a whole segment")]
    NoOperator,
    /// The text does not begin with `/`.
    #[error("a path template begins with '/'")]
    NoSlash,
    /// A segment has `{` or `}` and is neither `{*}` nor `{**}`.
    #[error("segment {segment} has '{{' or '}}' and is neither {{*}} nor {{**}}")]
    Brace {
        /// Its position.
        segment: usize,
    },
    /// An operator comes after `{**}`.
    #[error("segment {segment} is an operator after {{**}}, which must be the last one")]
    AfterAny {
        /// Its position.
        segment: usize,
    },
    /// A segment is empty, and not the last one.
    #[error("segment {segment} is empty")]
    Empty {
        /// Its position.
        segment: usize,
    },
    /// A segment has a character that a path does not have, or `*`.
    #[error("segment {segment} has a character other than letters, digits and -._~%!$&'()+,;:@=")]
    Character {
        /// Its position.
        segment: usize,
    },
}

impl PathTemplate {
    /// A template from its text.
    ///
    /// # Errors
    /// [`InvalidTemplate`]. A value of `paths` that has a brace and is not a template is invalid as
    /// a path too.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        if !text.contains(['{', '}']) {
            return Err(InvalidTemplate::NoOperator);
        }
        let path = text.strip_prefix('/').ok_or(InvalidTemplate::NoSlash)?;
        let last = path.split('/').count().saturating_sub(1);
        let mut any = false;
        for (segment, part) in path.split('/').enumerate() {
            match part {
                ONE | ANY if any => return Err(InvalidTemplate::AfterAny { segment }),
                ONE => {}
                ANY => any = true,
                "" if segment == last => {}
                "" => return Err(InvalidTemplate::Empty { segment }),
                _ if part.contains(['{', '}']) => return Err(InvalidTemplate::Brace { segment }),
                _ if part.bytes().all(is_literal) => {}
                _ => return Err(InvalidTemplate::Character { segment }),
            }
        }
        Ok(Self(Name::from(text)))
    }

    /// Whether a value of `paths` is meant as a template: it has `{*}` or `{**}` somewhere.
    #[must_use]
    pub fn is_template(text: &str) -> bool {
        text.contains(ONE) || text.contains(ANY)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What every path that fits begins with: the text before the first operator, at least `/`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        template_prefix(self.as_str())
    }

    /// The segments, from the first one on.
    pub fn segments(&self) -> impl Iterator<Item = TemplateSegment<'_>> {
        self.as_str()
            .split('/')
            .skip(1)
            .map(|segment| match segment {
                ONE => TemplateSegment::One,
                ANY => TemplateSegment::Any,
                literal => TemplateSegment::Literal(literal),
            })
    }

    /// Whether a path fits.
    #[must_use]
    pub fn matches(&self, path: &str, charset: TemplateCharset) -> bool {
        template_matches(self.as_str(), path, charset)
    }
}

/// What every path that fits the text of a template begins with.
pub(crate) fn template_prefix(text: &str) -> &str {
    text.split_once('{').map_or(text, |(prefix, _)| prefix)
}

/// Whether a path fits the text of a template.
pub(crate) fn template_matches(text: &str, path: &str, charset: TemplateCharset) -> bool {
    let prefix = template_prefix(text);
    let Some(mut path) = path.strip_prefix(prefix) else {
        return false;
    };
    let mut template = text.strip_prefix(prefix).unwrap_or_default();
    loop {
        if let Some(tail) = template.strip_prefix(ANY) {
            let middle = path.strip_suffix(tail);
            return middle.is_some_and(|m| m.bytes().all(|b| b == b'/' || charset.has(b)));
        }
        let (wanted, more_wanted) = cut(template);
        let (found, more) = cut(path);
        let fits = match wanted {
            ONE => !found.is_empty() && found.bytes().all(|b| charset.has(b)),
            literal => literal == found,
        };
        match (more_wanted, more) {
            _ if !fits => return false,
            (None, None) => return true,
            (Some(t), Some(p)) => (template, path) = (t, p),
            _ => return false,
        }
    }
}

impl TemplateCharset {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Compat => byte == b'*' || is_literal(byte),
            Self::AnyButSlash => byte != b'/',
        }
    }
}

/// Whether a literal segment may have this byte: RFC 3986's `pchar` without `*`.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte)
}

/// The first segment, and what comes after its slash, if there is one.
fn cut(path: &str) -> (&str, Option<&str>) {
    match path.split_once('/') {
        Some((segment, rest)) => (segment, Some(rest)),
        None => (path, None),
    }
}

impl FromStr for PathTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
