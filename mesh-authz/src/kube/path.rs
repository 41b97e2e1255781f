//! Where in an object something is, such as `spec.rules[0].from[1].source.ipBlocks[2]`.

use std::fmt;

/// A field of an object, as a chain on the stack: it costs nothing until it is written down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    part: Part<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Part<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// A field of the object itself.
    pub(super) const fn root(field: &'a str) -> Self {
        Self {
            parent: None,
            part: Part::Field(field),
        }
    }

    /// A field inside of this one.
    pub(super) const fn field(&'a self, field: &'a str) -> Self {
        self.child(Part::Field(field))
    }

    /// An element of this list.
    pub(super) const fn index(&'a self, index: usize) -> Self {
        self.child(Part::Index(index))
    }

    /// An entry of this map.
    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        self.child(Part::Key(key))
    }

    const fn child(&'a self, part: Part<'a>) -> Self {
        Self {
            parent: Some(self),
            part,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.part {
            Part::Field(field) if self.parent.is_none() => f.write_str(field),
            Part::Field(field) => write!(f, ".{field}"),
            Part::Index(index) => write!(f, "[{index}]"),
            Part::Key(key) => write!(f, "[{key}]"),
        }
    }
}
