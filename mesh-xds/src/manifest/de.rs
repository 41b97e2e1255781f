//! Reading serde types from a tree of values: every error has the field and its place.
//!
//! Nothing is converted between types, as the Kubernetes API converts nothing: a number is no text
//! until it is quoted. A field of a struct that is null counts as absent.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::node::{Entry, Mark, Node, Value};
use super::scalar::Meaning;

/// The name under which [`Unread`](super::unread::Unread) asks for its value.
pub(super) const UNREAD: &str = "mesh_xds::manifest::Unread";

/// Why a value was not read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct ReadError {
    pub(super) problem: String,
    /// Where; filled in by the innermost value that knows.
    pub(super) found: Option<(Mark, String)>,
}

impl ReadError {
    fn new(problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self {
            problem,
            found: None,
        }
    }

    fn at(mut self, at: Mark, path: &Path<'_>) -> Self {
        self.found.get_or_insert_with(|| (at, path.to_string()));
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::new(problem.to_string())
    }
}

/// A field that no type asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Unknown {
    pub(super) at: Mark,
    pub(super) path: String,
}

/// Reads a value, and what of it nothing asked for.
pub(super) fn read<'de, T: de::Deserialize<'de>>(
    node: &'de Node,
) -> Result<(T, Vec<Unknown>), ReadError> {
    let unknown = RefCell::default();
    let path = Path::Root;
    let walk = Walk {
        node,
        path: &path,
        unknown: &unknown,
    };
    let value = T::deserialize(walk).map_err(|error| error.at(node.at, &path))?;
    Ok((value, unknown.into_inner()))
}

/// The steps to a value, from the inside.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Field(&'p Self, &'p str),
    Item(&'p Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// One value on the way.
#[derive(Clone, Copy)]
struct Walk<'de, 'p> {
    node: &'de Node,
    path: &'p Path<'p>,
    unknown: &'p RefCell<Vec<Unknown>>,
}

impl<'de, 'p> Walk<'de, 'p> {
    fn expected<T>(&self, what: &str) -> Result<T, ReadError> {
        let hint = match (&self.node.value, what) {
            (Value::Scalar(scalar), "a text") if !scalar.is_null() => "; quote it",
            _ => "",
        };
        let problem = format!("expected {what}, got {}{hint}", self.node);
        Err(ReadError::new(problem).at(self.node.at, self.path))
    }

    fn meaning(&self) -> Option<Meaning<'de>> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar.meaning()),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    fn list<V: Visitor<'de>>(self, items: &'de [Node], visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_seq(Items {
            items: items.iter().enumerate(),
            walk: self,
        })
    }

    fn map(self, entries: &'de [Entry], skip_null: bool) -> Fields<'de, 'p> {
        Fields {
            entries: entries.iter(),
            next: None,
            skip_null,
            walk: self,
        }
    }

    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.meaning() {
            Some(Meaning::Unsigned(value)) => visitor.visit_u64(value),
            Some(Meaning::Signed(value)) => visitor.visit_i64(value),
            // Such as `1e3` and `08`, which JSON has as whole numbers.
            Some(Meaning::Float(value)) => match whole(value) {
                Some(value) => visitor.visit_i64(value),
                None => self.expected("a whole number"),
            },
            _ => self.expected("a whole number"),
        }
    }
}

/// A float that is a whole number, as JSON does not tell the two apart.
fn whole(value: f64) -> Option<i64> {
    let whole = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
    whole.then(|| format!("{value:.0}").parse().ok()).flatten()
}

impl<'de> Deserializer<'de> for Walk<'de, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let read = match &self.node.value {
            Value::List(items) => self.list(items, visitor),
            Value::Map(entries) => visitor.visit_map(self.map(entries, false)),
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => visitor.visit_unit(),
                Meaning::Bool(value) => visitor.visit_bool(value),
                Meaning::Unsigned(value) => visitor.visit_u64(value),
                Meaning::Signed(value) => visitor.visit_i64(value),
                Meaning::Float(value) => visitor.visit_f64(value),
                Meaning::Text(text) => visitor.visit_borrowed_str(text),
            },
        };
        read.map_err(|error| error.at(self.node.at, self.path))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.meaning() {
            Some(Meaning::Bool(value)) => visitor.visit_bool(value),
            _ => self.expected("true or false"),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.text() {
            Some(text) => visitor
                .visit_borrowed_str(text)
                .map_err(|error: ReadError| error.at(self.node.at, self.path)),
            None => self.expected("a text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match name {
            UNREAD => visitor.visit_unit(),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::List(items) => self
                .list(items, visitor)
                .map_err(|error| error.at(self.node.at, self.path)),
            Value::Scalar(_) | Value::Map(_) => self.expected("a list"),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Map(entries) => visitor
                .visit_map(self.map(entries, false))
                .map_err(|error| error.at(self.node.at, self.path)),
            Value::Scalar(_) | Value::List(_) => self.expected("a map"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.node.value {
            Value::Map(entries) => visitor
                .visit_map(self.map(entries, true))
                .map_err(|error| error.at(self.node.at, self.path)),
            Value::Scalar(_) | Value::List(_) => self.expected("a map"),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let read = match (&self.node.value, self.node.text()) {
            (Value::Map(entries), _) => MapAccessDeserializer::new(self.map(entries, false))
                .deserialize_enum(name, variants, visitor),
            (_, Some(text)) => {
                let text: StrDeserializer<'_, ReadError> = text.into_deserializer();
                visitor.visit_enum(text)
            }
            (Value::Scalar(_) | Value::List(_), None) => return self.expected("a text"),
        };
        read.map_err(|error| error.at(self.node.at, self.path))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.unknown.borrow_mut().push(Unknown {
            at: self.node.at,
            path: self.path.to_string(),
        });
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

/// The items of a list.
struct Items<'de, 'p> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
    walk: Walk<'de, 'p>,
}

impl<'de> de::SeqAccess<'de> for Items<'de, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some((index, node)) = self.items.next() else {
            return Ok(None);
        };
        let path = Path::Item(self.walk.path, index);
        let walk = Walk {
            node,
            path: &path,
            unknown: self.walk.unknown,
        };
        let read = seed.deserialize(walk);
        read.map(Some).map_err(|error| error.at(node.at, &path))
    }

    /// Exact: what is read is kept, and needs no room for more.
    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a map, or the fields of a struct.
struct Fields<'de, 'p> {
    entries: std::slice::Iter<'de, Entry>,
    next: Option<&'de Entry>,
    skip_null: bool,
    walk: Walk<'de, 'p>,
}

impl<'de> de::MapAccess<'de> for Fields<'de, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        let skip_null = self.skip_null;
        let given = |entry: &&Entry| !(skip_null && entry.value.is_null());
        let Some(entry) = self.entries.by_ref().find(given) else {
            return Ok(None);
        };
        self.next = Some(entry);
        let key: StrDeserializer<'_, ReadError> = (*entry.key).into_deserializer();
        let read = seed.deserialize(Key(key, &entry.key));
        let path = Path::Field(self.walk.path, &entry.key);
        read.map(Some).map_err(|error| error.at(entry.at, &path))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some(entry) = self.next.take() else {
            return Err(ReadError::new("expected a key before a value"));
        };
        let path = Path::Field(self.walk.path, &entry.key);
        let node = &entry.value;
        // What is not known is found by its key.
        let walk = Walk {
            node,
            path: &path,
            unknown: self.walk.unknown,
        };
        let read = seed.deserialize(walk);
        read.map_err(|error| error.at(node.at, &path))
    }
}

/// A key: a text, or a number where the key of the map is one (`portLevelMtls`).
struct Key<'de>(StrDeserializer<'de, ReadError>, &'de str);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_borrowed_str(self.1)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.1.parse() {
            Ok(number) => visitor.visit_u64(number),
            Err(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_enum(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests;
