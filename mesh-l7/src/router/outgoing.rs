//! The request as it goes to hosts, once or several times.

use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Request, Uri};
use http_body::Body as _;

use super::replay::{Memory, Replay};
use crate::attempt::AttemptError;
use crate::body::Body;
use crate::downstream::Downstream;
use crate::hygiene::Admitted;
use crate::kept_lines::KeptLines;
use crate::record::Record;

/// The request as it goes to hosts, once or several times.
pub(super) struct Outgoing<'p> {
    /// Its head; empty after it has been sent.
    parts: &'p mut Parts,
    /// The head again, where there may be further attempts.
    kept: Option<Kept>,
    body: Source,
    /// The head has been given to an attempt.
    sent: bool,
}

/// The head for further attempts.
struct Kept {
    method: Method,
    uri: Uri,
    lines: KeptLines,
    carried: Carried,
}

/// The head for a further attempt is not there.
#[derive(Debug, thiserror::Error)]
#[error("the head of the request was not kept")]
struct NotKept;

/// Where the body of each attempt comes from.
enum Source {
    /// There is none.
    Empty,
    /// It can be sent once. `None` when it has been.
    Once(Option<Body>),
    /// It can be sent again, as long as it fits.
    Replay(Replay),
}

/// What further attempts have in their extensions.
struct Carried {
    downstream: Option<Arc<Downstream>>,
    record: Option<Record>,
    admitted: Option<Admitted>,
}

impl<'p> Outgoing<'p> {
    /// A request of which at most `buffer` bytes are kept for further attempts; `None` when there will
    /// be none. Of a request that switches protocols nothing is kept: it may be sent again as long as
    /// nothing of what follows was.
    pub(super) fn new(
        parts: &'p mut Parts,
        body: Body,
        buffer: Option<usize>,
        memory: &Memory,
    ) -> Self {
        let source = match buffer {
            _ if body.is_end_stream() => Source::Empty,
            None => Source::Once(Some(body)),
            Some(_) if switches(parts) => Source::Replay(Replay::new(body, 0, memory.clone())),
            Some(most) => Source::Replay(Replay::new(body, most, memory.clone())),
        };
        Self {
            kept: buffer.map(|_| Kept::of(parts)),
            parts,
            body: source,
            sent: false,
        }
    }

    /// The lines of the next attempt's head, to be changed for it.
    ///
    /// # Errors
    /// [`AttemptError::Request`] when there was to be no further attempt.
    pub(super) fn lines(&mut self) -> Result<&mut HeaderMap, AttemptError> {
        if self.sent {
            let kept = self.kept.as_ref().and_then(|kept| kept.restore(self.parts));
            kept.ok_or_else(|| AttemptError::Request(Box::new(NotKept)))?;
            self.sent = false;
        }
        Ok(&mut self.parts.headers)
    }

    /// The request for the next attempt, with the lines that [`lines`](Self::lines) has prepared.
    pub(super) fn next(&mut self) -> Request<Body> {
        self.sent = true;
        let body = match &mut self.body {
            Source::Empty => Body::empty(),
            Source::Once(body) => body.take().unwrap_or_default(),
            Source::Replay(replay) => replay.begin(),
        };
        let mut request = Request::new(body);
        *request.method_mut() = std::mem::take(&mut self.parts.method);
        *request.uri_mut() = std::mem::take(&mut self.parts.uri);
        *request.version_mut() = self.parts.version;
        *request.headers_mut() = std::mem::take(&mut self.parts.headers);
        *request.extensions_mut() = std::mem::take(&mut self.parts.extensions);
        request
    }

    /// Whether it can be sent again.
    pub(super) fn is_replayable(&self) -> bool {
        match &self.body {
            Source::Empty => true,
            Source::Once(body) => body.is_some(),
            Source::Replay(replay) => replay.is_complete(),
        }
    }

    /// There will be no further attempt: what was kept is freed as soon as it is sent.
    pub(super) fn settle(&self) {
        if let Source::Replay(replay) = &self.body {
            replay.settle();
        }
    }
}

fn switches(parts: &Parts) -> bool {
    let admitted = parts.extensions.get::<Admitted>();
    admitted.is_some_and(|admitted| admitted.upgrade.is_some())
}

impl Kept {
    fn of(parts: &Parts) -> Self {
        Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            lines: KeptLines::of(&parts.headers),
            carried: Carried::of(&parts.extensions),
        }
    }

    fn restore(&self, parts: &mut Parts) -> Option<()> {
        parts.headers = self.lines.headers()?;
        parts.method = self.method.clone();
        parts.uri = self.uri.clone();
        self.carried.fill(&mut parts.extensions);
        Some(())
    }
}

impl Carried {
    fn of(extensions: &Extensions) -> Self {
        Self {
            downstream: extensions.get().cloned(),
            record: extensions.get().cloned(),
            admitted: extensions.get().cloned(),
        }
    }

    fn fill(&self, extensions: &mut Extensions) {
        if let Some(downstream) = &self.downstream {
            extensions.insert(downstream.clone());
        }
        if let Some(record) = &self.record {
            extensions.insert(record.clone());
        }
        if let Some(admitted) = &self.admitted {
            extensions.insert(admitted.clone());
        }
    }
}
