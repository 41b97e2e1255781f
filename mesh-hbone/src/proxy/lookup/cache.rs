//! Answers to lookups, kept for a while.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// The addresses of a host name; never empty.
pub type Addresses = Arc<[IpAddr]>;

/// An answer with the time until which it is kept; a failure by its kind.
type Answer = (Result<Addresses, io::ErrorKind>, Instant);

/// Answers by name, failures included, at most a fixed number.
#[derive(Debug)]
pub(super) struct Cache {
    capacity: usize,
    kept: Duration,
    failure_kept: Duration,
    answers: Mutex<HashMap<Box<str>, Arc<OnceCell<Answer>>>>,
}

impl Cache {
    pub(super) fn new(capacity: usize, kept: Duration, failure_kept: Duration) -> Self {
        Self {
            capacity,
            kept,
            failure_kept,
            answers: Mutex::default(),
        }
    }

    /// The kept answer, else that of `ask`, which is asked once however many wait for it.
    pub(super) async fn get<F>(&self, name: &str, ask: impl FnOnce() -> F) -> io::Result<Addresses>
    where
        F: Future<Output = io::Result<Addresses>>,
    {
        let cell = self.cell(name);
        let answer = cell.get_or_init(|| async {
            let answer = ask().await.map_err(|error| error.kind());
            let kept = match answer {
                Ok(_) => self.kept,
                Err(_) => self.failure_kept,
            };
            (answer, Instant::now() + kept)
        });
        let (answer, _) = answer.await;
        answer.clone().map_err(io::Error::from)
    }

    /// The place for the answer: with one that still holds, with one that is on its way, or empty.
    fn cell(&self, name: &str) -> Arc<OnceCell<Answer>> {
        let now = Instant::now();
        let holds = |cell: &OnceCell<Answer>| cell.get().is_none_or(|(_, until)| *until > now);
        let mut answers = self.answers.lock();
        if let Some(cell) = answers.get(name).filter(|cell| holds(cell)) {
            return cell.clone();
        }
        if answers.len() >= self.capacity {
            answers.retain(|_, cell| holds(cell));
        }
        if answers.len() >= self.capacity {
            // All of them hold: begin anew rather than grow. Those under way still reach whoever
            // waits for them.
            answers.clear();
        }
        let cell = Arc::<OnceCell<Answer>>::default();
        answers.insert(name.into(), cell.clone());
        cell
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.answers.lock().len()
    }
}
