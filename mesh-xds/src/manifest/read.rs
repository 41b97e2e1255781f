//! From text to trees of values, within a budget.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::node::{Entry, Mark, Node, Shortened, Value};
use super::problem::Problem;
use super::scalar::{Meaning, Scalar};
use crate::place::Place;

/// The longest file that is read, in bytes: 64 MiB.
pub const MAX_BYTES: u64 = 64 << 20;
/// The deepest nesting of lists and maps. Kubernetes objects stay below 20.
pub const MAX_DEPTH: usize = 100;
/// The most values of one file, those that aliases repeat included.
pub const MAX_NODES: usize = 8_000_000;
/// The most values of one file that come from aliases.
pub const MAX_ALIASED: usize = 100_000;

/// Texts that are kept once however often they are written: the longest, and how many. Objects of a kind have the
/// same keys, and mostly the same words for values.
const SHARED_BYTES: usize = 64;
const SHARED_TEXTS: usize = 65_536;

/// Maps from here on look for repeated keys with a set instead of one by one.
const MANY_ENTRIES: usize = 16;

/// Gives the documents of a text, YAML or JSON, to `take` one by one, empty ones left out; `file` is what problems
/// call it.
///
/// # Errors
/// The [`Problem`] with line and column: the text is not YAML, a map has a key twice, or the
/// budget ([`MAX_BYTES`], [`MAX_DEPTH`], [`MAX_NODES`], [`MAX_ALIASED`]) does not suffice. Or what `take` says.
pub(super) fn read(
    text: &str,
    file: &str,
    take: &mut dyn FnMut(Node) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if bytes > MAX_BYTES {
        let problem = format!("it has {bytes} bytes, expected at most {MAX_BYTES}");
        return Err(Problem::new(Place::file(file), problem));
    }
    let mut reader = Reader::new(text);
    loop {
        let next = reader.document().map_err(|Refused { at, problem }| {
            let place = Place::at(file, at.line.into(), at.column.into(), String::new());
            Problem::new(place, problem)
        });
        match next? {
            Some(document) => take(document)?,
            None => return Ok(()),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, (Node, usize)>,
    texts: HashSet<Arc<str>>,
    nodes: usize,
    aliased: usize,
}

/// Why a text is not read, and where.
struct Refused {
    at: Mark,
    problem: String,
}

impl From<ScanError> for Refused {
    fn from(error: ScanError) -> Self {
        Self {
            at: mark(error.marker()),
            problem: format!("expected YAML or JSON: {}", error.info()),
        }
    }
}

fn refused<T>(at: Mark, problem: impl Into<String>) -> Result<T, Refused> {
    let problem = problem.into();
    Err(Refused { at, problem })
}

fn mark(marker: &granit_parser::Marker) -> Mark {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Mark {
        line: number(marker.line()),
        column: number(marker.col()).saturating_add(1),
    }
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = MAX_DEPTH;
        options.block_nesting_limit = MAX_DEPTH;
        Self {
            parser: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
            texts: HashSet::new(),
            nodes: 0,
            aliased: 0,
        }
    }

    /// The next one that is not empty.
    fn document(&mut self) -> Result<Option<Node>, Refused> {
        loop {
            match self.event()? {
                None | Some((Event::StreamEnd, _)) => return Ok(None),
                Some((Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _)) => {
                    self.anchors.clear();
                }
                Some((event, span)) => {
                    let document = self.node(event, span, 0)?;
                    if !document.is_null() {
                        return Ok(Some(document));
                    }
                }
            }
        }
    }

    fn event(&mut self) -> Result<Option<(Event<'a>, Span)>, Refused> {
        Ok(self.parser.next_event().transpose()?)
    }

    /// The next event, where there must be one.
    fn inner_event(&mut self, at: Mark) -> Result<(Event<'a>, Span), Refused> {
        match self.event()? {
            Some(event) => Ok(event),
            None => refused(at, "expected the end of this list or map"),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Refused> {
        let at = mark(&span.start);
        if depth > MAX_DEPTH {
            return refused(at, format!("nested deeper than {MAX_DEPTH} levels"));
        }
        let before = self.nodes;
        self.count(at, 1)?;
        let (value, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = is_text(tag.as_deref(), at)?;
                let plain = style == ScalarStyle::Plain && !quoted;
                let text = self.text(&text);
                (Value::Scalar(Scalar { text, plain }), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                is_text(tag.as_deref(), at)?;
                (Value::List(self.list(at, depth)?), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                is_text(tag.as_deref(), at)?;
                (Value::Map(self.map(at, depth)?), anchor)
            }
            _ => return refused(at, "expected a value"),
        };
        let node = Node { at, value };
        if anchor != 0 {
            let size = self.nodes.saturating_sub(before);
            self.count_aliased(at, size)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    /// A copy of what has the anchor, at the place of the alias.
    fn alias(&mut self, anchor: usize, at: Mark) -> Result<Node, Refused> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return refused(at, "this alias is within what it stands for");
        };
        let (value, size) = (node.value.clone(), *size);
        self.count(at, size)?;
        self.count_aliased(at, size)?;
        Ok(Node { at, value })
    }

    /// A text; the same one where it was written before.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        if text.len() <= SHARED_BYTES && self.texts.len() < SHARED_TEXTS {
            self.texts.insert(new.clone());
        }
        new
    }

    fn count(&mut self, at: Mark, nodes: usize) -> Result<(), Refused> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return refused(at, format!("more than {MAX_NODES} values in one file"));
        }
        Ok(())
    }

    fn count_aliased(&mut self, at: Mark, nodes: usize) -> Result<(), Refused> {
        self.aliased = self.aliased.saturating_add(nodes);
        if self.aliased > MAX_ALIASED {
            return refused(
                at,
                format!("aliases stand for more than {MAX_ALIASED} values"),
            );
        }
        Ok(())
    }

    fn list(&mut self, at: Mark, depth: usize) -> Result<Vec<Node>, Refused> {
        let mut items = Vec::new();
        loop {
            match self.inner_event(at)? {
                (Event::SequenceEnd, _) => {
                    items.shrink_to_fit();
                    return Ok(items);
                }
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, at: Mark, depth: usize) -> Result<Vec<Entry>, Refused> {
        let mut entries = Entries::default();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.inner_event(at)?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.inner_event(at)?;
            let value = self.node(event, span, depth + 1)?;
            if is_merge(&key) {
                merged.push(value);
                continue;
            }
            let (key, at) = (key_of(&key)?, key.at);
            let entry = Entry { key, at, value };
            if let Some(first) = entries.add(entry) {
                let problem = format!("expected each key once, it is at line {first} already");
                return refused(at, problem);
            }
        }
        for value in merged {
            entries.merge(value)?;
        }
        let Entries(mut entries, _) = entries;
        // It stays for as long as the object is in force.
        entries.shrink_to_fit();
        Ok(entries)
    }
}

/// The entries of a map under construction.
#[derive(Default)]
struct Entries(Vec<Entry>, HashSet<Arc<str>>);

impl Entries {
    /// Adds an entry; the line of the one that has its key, when there is one.
    fn add(&mut self, entry: Entry) -> Option<u32> {
        let Self(entries, keys) = self;
        let known = if entries.len() < MANY_ENTRIES {
            entries.iter().any(|known| known.key == entry.key)
        } else {
            if keys.is_empty() {
                keys.extend(entries.iter().map(|entry| entry.key.clone()));
            }
            !keys.insert(entry.key.clone())
        };
        if known {
            let first = entries.iter().find(|known| known.key == entry.key);
            return first.map(|first| first.at.line);
        }
        entries.push(entry);
        None
    }

    /// What `<<` brings: entries of a map, or of a list of maps, whose keys are not there yet.
    fn merge(&mut self, from: Node) -> Result<(), Refused> {
        match from.value {
            Value::Map(entries) => {
                for entry in entries {
                    self.add(entry);
                }
                Ok(())
            }
            Value::List(items) if items.iter().all(Node::is_map) => {
                items.into_iter().try_for_each(|item| self.merge(item))
            }
            Value::List(_) | Value::Scalar(_) => refused(
                from.at,
                "expected a map, or a list of maps, to merge with `<<`",
            ),
        }
    }
}

fn is_merge(key: &Node) -> bool {
    matches!(&key.value, Value::Scalar(scalar) if scalar.plain && &*scalar.text == "<<")
}

/// The text of a key. Plain whole numbers are text as they are written, as kubectl has it; other
/// numbers and words with a meaning would change, so they must be quoted.
fn key_of(key: &Node) -> Result<Arc<str>, Refused> {
    let Value::Scalar(scalar) = &key.value else {
        return refused(key.at, format!("expected a text as key, got {key}"));
    };
    let usual = match scalar.meaning() {
        Meaning::Text(_) => true,
        Meaning::Unsigned(number) => number.to_string() == *scalar.text,
        Meaning::Signed(number) => number.to_string() == *scalar.text,
        Meaning::Null | Meaning::Bool(_) | Meaning::Float(_) => false,
    };
    if usual {
        return Ok(scalar.text.clone());
    }
    refused(
        key.at,
        format!("expected a text as key, got {key}; quote it"),
    )
}

/// Whether a tag makes a scalar a text whatever it looks like; refuses tags that kubectl does not
/// know.
fn is_text(tag: Option<&Tag>, at: Mark) -> Result<bool, Refused> {
    let Some(tag) = tag else { return Ok(false) };
    match tag.core_suffix() {
        Some("str") => Ok(true),
        Some("null" | "bool" | "int" | "float" | "timestamp" | "seq" | "map") => Ok(false),
        _ => {
            let tag = tag.original();
            refused(at, format!("expected no tag, got `{}`", Shortened(&tag)))
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
