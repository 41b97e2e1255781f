//! An inner service that is watched, a sink that remembers, a clock that stands still.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use mesh_authz::layer::{AuditRecord, Counter, Refusal, Sink};
use mesh_core::clock::WallClock;
use tower_service::Service;

pub(crate) const NOW: u64 = 1_800_000_000;

/// Counts its calls, and how many of its clones have reserved something. Panics when it is called
/// without having been ready, as services may.
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) seen: Arc<Mutex<Vec<http::request::Parts>>>,
    pub(crate) reserved: Arc<Mutex<usize>>,
    ready: bool,
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        Self {
            seen: self.seen.clone(),
            reserved: self.reserved.clone(),
            ready: false,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.ready {
            *self.reserved.lock().unwrap() -= 1;
        }
    }
}

impl Service<Request<()>> for Inner {
    type Response = Response<Bytes>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Bytes>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if !self.ready {
            *self.reserved.lock().unwrap() += 1;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(self.ready, "called without having been ready");
        self.ready = false;
        *self.reserved.lock().unwrap() -= 1;
        self.seen.lock().unwrap().push(request.into_parts().0);
        ready(Ok(Response::new("inner".into())))
    }
}

/// Makes ready and calls.
pub(crate) fn send<S>(service: &mut S, request: Request<()>) -> Response<Bytes>
where
    S: Service<Request<()>, Response = Response<Bytes>, Error = Infallible>,
{
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    tokio_test::block_on(service.call(request)).unwrap()
}

pub(crate) fn header<'r, B>(response: &'r Response<B>, name: &str) -> Option<&'r str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[derive(Debug, Default)]
pub(crate) struct Remembers {
    pub(crate) counters: Mutex<Vec<Counter>>,
    pub(crate) records: Mutex<Vec<String>>,
    /// What was answered without a policy: path and reason.
    pub(crate) refused: Mutex<Vec<String>>,
}

impl Sink for Remembers {
    fn count(&self, counter: &Counter) {
        self.counters.lock().unwrap().push(counter.clone());
    }

    fn refused(&self, request: &Parts, why: &Refusal) {
        let line = format!("{} {}", request.uri.path(), why.details());
        self.refused.lock().unwrap().push(line);
    }

    fn audit(&self, record: &AuditRecord) {
        self.records.lock().unwrap().push(record.json());
    }
}

#[derive(Debug)]
pub(crate) struct Stopped;

impl WallClock for Stopped {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }
}
