//! The lines that a proxy logs, as they come.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use serde_json::Value;

use super::PATIENCE;

/// One line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Line(Value);

impl Line {
    /// A field's value as text; empty when the line does not have it.
    pub(crate) fn field(&self, name: &str) -> String {
        match self.0.get(name) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    pub(crate) fn message(&self) -> String {
        self.field("message")
    }

    /// Whether the line is about the end of a connection in this direction.
    pub(crate) fn is_end(&self, direction: &str) -> bool {
        self.message() == "connection complete" && self.field("direction") == direction
    }

    /// Checks fields; an empty value means that the field is absent.
    pub(crate) fn expect(&self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            assert_eq!(self.field(name), *value, "{name} in {}", self.0);
        }
    }
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    ended: bool,
}

/// The log of one proxy.
#[derive(Default)]
pub(crate) struct Log {
    state: Mutex<State>,
    grown: Condvar,
}

impl Log {
    /// A log that grows with what can be read, in a thread that ends with it.
    pub(crate) fn follow(from: impl Read + Send + 'static) -> Arc<Self> {
        let log = Arc::new(Self::default());
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                // What is not a line of the log was written by a process that could not start.
                let line = serde_json::from_str(&line)
                    .unwrap_or_else(|_| serde_json::json!({ "message": line }));
                writer.state.lock().unwrap().lines.push(Line(line));
                writer.grown.notify_all();
            }
            writer.state.lock().unwrap().ended = true;
            writer.grown.notify_all();
        });
        log
    }

    /// The first line that fits, of those that are there and those that come.
    pub(crate) fn wait_for(&self, what: &str, fits: impl Fn(&Line) -> bool) -> Line {
        self.wait_for_all(what, 1, fits).remove(0)
    }

    /// The first lines that fit.
    pub(crate) fn wait_for_all(
        &self,
        what: &str,
        count: usize,
        fits: impl Fn(&Line) -> bool,
    ) -> Vec<Line> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock().unwrap();
        loop {
            let fitting: Vec<_> = state.lines.iter().filter(|line| fits(line)).collect();
            if fitting.len() >= count {
                return fitting.into_iter().take(count).cloned().collect();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !state.ended && !left.is_zero(),
                "{} of {count} lines about {what}",
                fitting.len()
            );
            state = self.grown.wait_timeout(state, left).unwrap().0;
        }
    }

    /// The last lines, for the report of a failed test.
    pub(crate) fn tail(&self, count: usize) -> String {
        let state = self
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let from = state.lines.len().saturating_sub(count);
        let lines: Vec<_> = state.lines[from..]
            .iter()
            .map(|line| line.0.to_string())
            .collect();
        lines.join("\n")
    }
}
