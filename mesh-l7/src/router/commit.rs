//! The response on its way to the client: nothing may be tried again any more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use mesh_core::lb::Active;
use mesh_core::limits::Permit;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::limits::{Activity, Expired, TimeLimits};
use crate::body::{Body, BodyError};
use crate::record::{Flags, Record};

/// What an attempt holds until its response has ended.
#[derive(Debug)]
pub(super) struct Held {
    _places: Option<(Permit, Active)>,
}

impl Held {
    pub(super) fn new(request: Permit, active: Active) -> Self {
        Self {
            _places: Some((request, active)),
        }
    }

    /// Nothing.
    pub(super) const fn nothing() -> Self {
        Self { _places: None }
    }
}

/// Notes that the client is gone when it is dropped, unless it is told otherwise.
#[derive(Debug)]
pub(super) struct Gone(Option<Record>);

impl Gone {
    pub(super) fn watch(record: &Record) -> Self {
        Self(Some(record.clone()))
    }

    /// The client is still there.
    pub(super) fn stays(&mut self) {
        self.0 = None;
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        if let Some(record) = &self.0 {
            note(record, Flags::CLIENT_GONE, "downstream_remote_disconnect");
        }
    }
}

fn note(record: &Record, flags: Flags, detail: &'static str) {
    record.note(|entry| {
        entry.flags = entry.flags.and(flags);
        entry.detail = detail;
    });
}

/// The body of a response, with what is held until it has ended and the time that it has.
pub(super) fn held(body: Body, held: Held, limits: TimeLimits, record: &Record) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(Committed {
        body,
        held: Some(held),
        limits,
        gone: Gone::watch(record),
        sleep: None,
    })
}

/// The body of a request, each frame of which counts as a sign of life.
pub(super) fn watched(body: Body, activity: Arc<Activity>) -> Body {
    if body.is_end_stream() {
        activity.complete();
        return body;
    }
    Body::new(Watched { body, activity })
}

pin_project! {
    struct Committed {
        #[pin]
        body: Body,
        held: Option<Held>,
        limits: TimeLimits,
        // Forgets the record when the body has ended.
        gone: Gone,
        #[pin]
        sleep: Option<Sleep>,
    }
}

pin_project! {
    struct Watched {
        #[pin]
        body: Body,
        activity: Arc<Activity>,
    }
}

/// The time for a response was over.
#[derive(Debug, thiserror::Error)]
#[error("the time for the response was over")]
struct TimedOut;

impl Committed {
    /// Nothing is held any more.
    fn end(self: Pin<&mut Self>) {
        let this = self.project();
        *this.held = None;
        this.gone.stays();
    }

    /// The same, and why it was not the end of the response.
    fn fail(self: Pin<&mut Self>, flags: Flags, detail: &'static str) {
        if let Some(record) = &self.gone.0 {
            note(record, flags, detail);
        }
        self.end();
    }

    /// Which time limit is over, if one is.
    fn poll_expired(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Expired> {
        loop {
            let mut this = self.as_mut().project();
            let Some(nearest) = this.limits.nearest() else {
                return Poll::Pending;
            };
            match this.sleep.as_mut().as_pin_mut() {
                None => this.sleep.set(Some(sleep_until(nearest))),
                Some(mut sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    if let Some(expired) = this.limits.expired(Instant::now()) {
                        return Poll::Ready(expired);
                    }
                    sleep.reset(nearest);
                }
            }
        }
    }
}

impl http_body::Body for Committed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.held.is_some()
            && let Poll::Ready(expired) = self.as_mut().poll_expired(cx)
        {
            let (flags, detail) = match expired {
                Expired::Idle(_) => (Flags::IDLE, "stream_idle_timeout"),
                Expired::Stream(_) => (Flags::CLIENT_MAX_DURATION, "max_duration_timeout"),
                _ => (Flags::TIMEOUT, "response_timeout"),
            };
            self.as_mut().fail(flags, detail);
            // What the upstream still sends is not wanted: dropping the body resets its stream.
            self.project().body.set(Body::empty());
            return Poll::Ready(Some(Err(BodyError::new(TimedOut))));
        }
        let frame = ready!(self.as_mut().project().body.poll_frame(cx));
        match &frame {
            Some(Ok(_)) => {
                if let Some(activity) = &self.limits.activity {
                    activity.stamp();
                }
                if self.body.is_end_stream() {
                    self.end();
                }
            }
            None => self.end(),
            Some(Err(_)) => self.fail(
                Flags::UPSTREAM_CLOSED,
                "upstream_reset_after_response_started{connection_termination}",
            ),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        let mut body = this.body;
        let frame = ready!(body.as_mut().poll_frame(cx));
        this.activity.stamp();
        if frame.is_none() || body.is_end_stream() {
            this.activity.complete();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
