//! The answer under way: notes in order, and what they come to.

use std::fmt;

use serde_json::{Map, Value, json};

/// What would happen to a connection, step by step.
#[derive(Debug, Default)]
pub(super) struct Story {
    notes: Vec<Note>,
    answer: String,
    /// Whether the connection comes through, as far as this proxy can tell.
    allowed: Option<bool>,
}

/// One step.
#[derive(Debug)]
pub(super) struct Note {
    kind: &'static str,
    text: String,
    /// Things of which there are several, such as endpoints: a line for each, and the same as data.
    items: Vec<(String, Value)>,
}

impl Story {
    /// Notes a step.
    pub(super) fn note(&mut self, kind: &'static str, text: impl Into<String>) {
        self.list(kind, text, vec![]);
    }

    /// Notes a step about several things.
    pub(super) fn list(
        &mut self,
        kind: &'static str,
        text: impl Into<String>,
        items: Vec<(String, Value)>,
    ) {
        self.notes.push(Note {
            kind,
            text: text.into(),
            items,
        });
    }

    /// What it comes to. `allowed` is absent where another proxy decides.
    pub(super) fn conclude(&mut self, allowed: Option<bool>, answer: impl Into<String>) {
        self.answer = answer.into();
        self.allowed = allowed;
    }

    pub(super) fn json(&self) -> Value {
        let notes: Vec<_> = self.notes.iter().map(Note::json).collect();
        json!({ "answer": self.answer, "allowed": self.allowed, "steps": notes })
    }
}

impl Note {
    fn json(&self) -> Value {
        let mut note = Map::new();
        note.insert("step".to_owned(), self.kind.into());
        note.insert("text".to_owned(), self.text.as_str().into());
        if !self.items.is_empty() {
            let items = self.items.iter().map(|(_, item)| item.clone()).collect();
            note.insert("items".to_owned(), items);
        }
        Value::Object(note)
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, note) in self.notes.iter().enumerate() {
            writeln!(f, "{}. {}: {}", index + 1, note.kind, note.text)?;
            for (line, _) in &note.items {
                writeln!(f, "     {line}")?;
            }
        }
        writeln!(f, "answer: {}", self.answer)
    }
}
