//! The tree of values of a manifest, each with its place in the text.

use std::fmt;
use std::sync::Arc;

use super::scalar::{Meaning, Scalar};

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Mark {
    /// Counted from 1.
    pub(super) line: u32,
    /// Counted from 1, in characters.
    pub(super) column: u32,
}

/// A value of a manifest with its place in the text: a scalar, a list or a map.
///
/// Every serde type is read from it by [`Document::read`](super::Document::read).
#[derive(Clone, Debug)]
pub struct Node {
    pub(super) at: Mark,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// An entry of a map. Keys are unique.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Arc<str>,
    pub(super) at: Mark,
    pub(super) value: Node,
}

impl Node {
    /// The line, counted from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.at.line.into()
    }

    /// The column, counted from 1 in characters.
    #[must_use]
    pub fn column(&self) -> u64 {
        self.at.column.into()
    }

    /// The value of a field of a map; `None` when this is no map, or when the field is absent or
    /// null.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        let entry = self.entries().iter().find(|entry| &*entry.key == name)?;
        (!entry.value.is_null()).then_some(&entry.value)
    }

    /// The items of a list; none when this is no list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar(_) | Value::Map(_) => &[],
        }
    }

    /// The keys and values of a map, in the order of the text; none when this is no map.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.entries()
            .iter()
            .map(|entry| (&*entry.key, &entry.value))
    }

    /// The text of a scalar that is a string; `None` for all else, numbers and words such as
    /// `yes` included.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Text(text) => Some(text),
                _ => None,
            },
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether the value is absent, written `null`, `~` or nothing at all.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// The value at a path such as `spec.rules[0].to`, or the nearest one around where it would be.
    ///
    /// Names that have dots themselves, such as those of labels, are found too.
    #[must_use]
    pub fn nearest(&self, path: &str) -> &Self {
        let mut node = self;
        let mut rest = path;
        while let Some((next, after)) = node.step(rest) {
            node = next;
            rest = after;
        }
        node
    }

    /// The child that a path starts with, and the rest of the path.
    fn step<'a>(&self, path: &'a str) -> Option<(&Self, &'a str)> {
        let path = path.strip_prefix('.').unwrap_or(path);
        if let Some(index) = path.strip_prefix('[') {
            let (index, rest) = index.split_once(']')?;
            return Some((self.items().get(index.parse::<usize>().ok()?)?, rest));
        }
        // The longest key that fits: one key may be the beginning of another one.
        let fitting = self.entries().iter().filter_map(|entry| {
            let rest = path.strip_prefix(&*entry.key)?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then_some((&entry.value, rest))
        });
        fitting.min_by_key(|(_, rest)| rest.len())
    }

    pub(super) fn empty_map(at: Mark) -> Self {
        let value = Value::Map(Vec::new());
        Self { at, value }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Scalar(_) | Value::List(_) => &[],
        }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }
}

/// What it is, for messages: `the number 7`, `a list`.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scalar = match &self.value {
            Value::List(_) => return f.write_str("a list"),
            Value::Map(_) => return f.write_str("a map"),
            Value::Scalar(scalar) => scalar,
        };
        match scalar.meaning() {
            Meaning::Null => f.write_str("nothing"),
            Meaning::Bool(value) if &*scalar.text == if value { "true" } else { "false" } => {
                write!(f, "the truth value {value}")
            }
            Meaning::Bool(value) => write!(f, "`{}`, the truth value {value}", scalar.text),
            Meaning::Unsigned(_) | Meaning::Signed(_) | Meaning::Float(_) => {
                write!(f, "the number {}", scalar.text)
            }
            Meaning::Text(text) => write!(f, "`{}`", Shortened(text)),
        }
    }
}

/// A text of someone else in a message: on one line, and not all of a long one.
pub(super) struct Shortened<'a>(pub(super) &'a str);

/// The most characters of a text that a message repeats.
const MOST_CHARACTERS: usize = 120;

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        for character in characters.by_ref().take(MOST_CHARACTERS) {
            write!(f, "{}", character.escape_debug())?;
        }
        if characters.next().is_some() {
            f.write_str("...")?;
        }
        Ok(())
    }
}
