//! The request as it goes to hosts, once or several times.

use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, Request};
use http_body::Body as _;

use super::replay::{Memory, Replay};
use crate::body::Body;
use crate::downstream::Downstream;
use crate::hygiene::Admitted;
use crate::record::Record;

/// The request as it goes to hosts, once or several times.
pub(super) struct Outgoing<'p> {
    /// Its head; without extensions after the first time.
    pub(super) parts: &'p mut Parts,
    carried: Carried,
    body: Source,
}

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
            carried: Carried::of(&parts.extensions),
            parts,
            body: source,
        }
    }

    /// The request for the next attempt. `last` says that there will not be another.
    pub(super) fn next(&mut self, last: bool) -> Request<Body> {
        let body = match &mut self.body {
            Source::Empty => Body::empty(),
            Source::Once(body) => body.take().unwrap_or_default(),
            Source::Replay(replay) => replay.begin(),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = self.parts.uri.clone();
        *request.version_mut() = self.parts.version;
        *request.headers_mut() = if last {
            std::mem::take(&mut self.parts.headers)
        } else {
            self.parts.headers.clone()
        };
        *request.extensions_mut() = std::mem::take(&mut self.parts.extensions);
        if request.extensions().is_empty() {
            self.carried.fill(request.extensions_mut());
        }
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
