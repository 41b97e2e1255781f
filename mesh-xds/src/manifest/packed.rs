//! Values of a manifest in few bytes, for as long as they may be asked for again.

use std::sync::Arc;

use super::node::{Entry, Mark, Node, Value};
use super::scalar::Scalar;

/// A [`Node`] as one block of bytes: about a quarter of its memory. Objects are read once and then kept for their
/// places, which only problems ask for.
///
/// A value is its kind, its place relative to the value around it, and its text or what is in it, in the order of
/// the text. Numbers have seven bits to a byte. Where the outermost value is, is not in it: what only moved to other
/// lines has the same bytes.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Packed(Box<[u8]>);

const PLAIN: u8 = 0;
const QUOTED: u8 = 1;
const LIST: u8 = 2;
const MAP: u8 = 3;

impl Packed {
    pub(super) fn of(node: &Node) -> Self {
        let mut to = Vec::new();
        pack(node, node.at, &mut to);
        Self(to.into())
    }

    /// The value, made anew, as it begins at this line.
    pub(super) fn node(&self, line: u32) -> Node {
        let begin = Mark { line, column: 0 };
        // What was packed here is whole.
        let node = Unpack(&self.0).node(begin);
        node.unwrap_or_else(|| Node::empty_map(begin))
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.node(1).fmt(f)
    }
}

fn pack(node: &Node, around: Mark, to: &mut Vec<u8>) {
    let kind = match &node.value {
        Value::Scalar(scalar) if scalar.plain => PLAIN,
        Value::Scalar(_) => QUOTED,
        Value::List(_) => LIST,
        Value::Map(_) => MAP,
    };
    to.push(kind);
    mark(node.at, around, to);
    match &node.value {
        Value::Scalar(scalar) => text(&scalar.text, to),
        Value::List(items) => {
            length(items.len(), to);
            for item in items {
                pack(item, node.at, to);
            }
        }
        Value::Map(entries) => {
            length(entries.len(), to);
            for entry in entries {
                text(&entry.key, to);
                mark(entry.at, node.at, to);
                pack(&entry.value, entry.at, to);
            }
        }
    }
}

/// What an alias stands for is above it, so that lines may go back.
fn mark(at: Mark, around: Mark, to: &mut Vec<u8>) {
    let ahead = i64::from(at.line) - i64::from(around.line);
    let sign = u64::from(ahead < 0);
    number(ahead.unsigned_abs() << 1 | sign, to);
    number(at.column.into(), to);
}

fn text(text: &str, to: &mut Vec<u8>) {
    length(text.len(), to);
    to.extend_from_slice(text.as_bytes());
}

fn length(length: usize, to: &mut Vec<u8>) {
    number(u64::try_from(length).unwrap_or(u64::MAX), to);
}

fn number(mut number: u64, to: &mut Vec<u8>) {
    while let Ok(last) = u8::try_from(number & 0x7f) {
        number >>= 7;
        let more = u8::from(number > 0) << 7;
        to.push(last | more);
        if more == 0 {
            return;
        }
    }
}

/// What is left of the bytes.
struct Unpack<'b>(&'b [u8]);

impl Unpack<'_> {
    fn node(&mut self, around: Mark) -> Option<Node> {
        let kind = self.byte()?;
        let at = self.mark(around)?;
        let value = match kind {
            LIST => {
                let length = self.length()?;
                let items = (0..length).map(|_| self.node(at));
                Value::List(items.collect::<Option<_>>()?)
            }
            MAP => {
                let length = self.length()?;
                let entries = (0..length).map(|_| self.entry(at));
                Value::Map(entries.collect::<Option<_>>()?)
            }
            _ => Value::Scalar(Scalar {
                text: self.text()?,
                plain: kind == PLAIN,
            }),
        };
        Some(Node { at, value })
    }

    fn entry(&mut self, around: Mark) -> Option<Entry> {
        let key = self.text()?;
        let at = self.mark(around)?;
        let value = self.node(at)?;
        Some(Entry { key, at, value })
    }

    fn mark(&mut self, around: Mark) -> Option<Mark> {
        let ahead = self.number()?;
        let lines = i64::try_from(ahead >> 1).ok()?;
        let lines = if ahead & 1 == 1 { -lines } else { lines };
        Some(Mark {
            line: u32::try_from(i64::from(around.line).checked_add(lines)?).ok()?,
            column: u32::try_from(self.number()?).ok()?,
        })
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(std::str::from_utf8(text).ok()?.into())
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << place;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read::tests::read;

    fn nodes(text: &str) -> Vec<Node> {
        read(text, "a.yaml").unwrap()
    }

    #[test]
    fn values_come_back_with_their_places() {
        let long = format!("text: {}\n", "x".repeat(300));
        let cases = [
            ("a word", "yes"),
            ("a text that looks like a word", "'yes'"),
            ("nothing in a map", "a:\nb: ~\n"),
            ("empty ones", "list: []\nmap: {}\ntext: ''\n"),
            ("lists in lists", "- [1, [2, {a: 3}]]\n-\n  - 4\n"),
            (
                "an alias, whose places are above it",
                "a: &a\n  x: {w: 1}\nb:\n\n  c: *a\n",
            ),
            (
                "far down and far to the right",
                &format!("{}{}a: 1\n", "\n".repeat(70_000), " ".repeat(200)),
            ),
            ("a long text", &long),
            (
                "characters of several bytes",
                "name: M\u{fc}ller \u{1f980}\n",
            ),
            ("JSON", r#"{"a": [true, null, -1.5, "\u0041\n"]}"#),
        ];
        for (case, text) in cases {
            for node in nodes(text) {
                let again = Packed::of(&node).node(node.at.line);
                assert_eq!(format!("{again:?}"), format!("{node:?}"), "{case}");
            }
        }
        let aliased = &nodes("a: &a\n  x: {w: 1}\nb:\n\n  c: *a\n")[0];
        let again = Packed::of(aliased).node(1);
        assert_eq!(
            (again.nearest("b.c.x.w").line(), again.nearest("b.c").line()),
            (2, 5)
        );
    }

    #[test]
    fn what_moved_to_other_lines_has_the_same_bytes() {
        let text = "a: &a\n  x: {w: 1}\nb:\n\n  c: *a\n";
        let (here, below) = (&nodes(text)[0], &nodes(&format!("\n\n{text}"))[0]);
        assert_eq!((here.at.line, below.at.line), (1, 3));
        assert!(Packed::of(here) == Packed::of(below));
        let moved = Packed::of(here).node(3);
        assert_eq!(format!("{moved:?}"), format!("{below:?}"));
        for other in [text.replace("w: 1", "w: 2"), text.replace("\n\n", "\n")] {
            assert!(Packed::of(here) != Packed::of(&nodes(&other)[0]), "{other}");
        }
    }

    #[test]
    fn it_takes_less_than_a_third_of_the_memory() {
        let text = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec:\n  \
                    selector: {app: web}\n  ports: [{name: http, port: 80, targetPort: 8080}]\n";
        let node = &nodes(text)[0];
        // Without the texts.
        fn size(node: &Node) -> usize {
            match &node.value {
                Value::Scalar(_) => 0,
                Value::List(items) => items
                    .iter()
                    .map(|item| size_of::<Node>() + size(item))
                    .sum(),
                Value::Map(entries) => {
                    let entry = |entry: &Entry| size_of::<Entry>() + size(&entry.value);
                    entries.iter().map(entry).sum()
                }
            }
        }
        let packed = Packed::of(node).0.len();
        assert!(packed * 3 < size(node), "{packed} of {}", size(node));
    }
}
