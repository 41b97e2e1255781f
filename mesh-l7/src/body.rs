//! The body of a message on its way through.

mod error;
#[cfg(feature = "serve")]
mod received;

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

pub use error::BodyError;

/// A body: bytes and trailers as they come, from a connection or from here.
///
/// ```
/// use http_body::Body as _;
/// use mesh_l7::body::Body;
///
/// assert!(Body::empty().is_end_stream());
/// assert_eq!(Body::from("no healthy upstream").size_hint().exact(), Some(19));
/// ```
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    #[cfg(feature = "serve")]
    Incoming(hyper::body::Incoming),
    #[cfg(feature = "serve")]
    Received(received::Received),
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>),
}

impl Body {
    /// No bytes and no trailers.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// Any other body.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self(Kind::Boxed(Box::pin(Told { body })))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self(Kind::Full(bytes))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

#[cfg(feature = "serve")]
impl From<hyper::body::Incoming> for Body {
    fn from(body: hyper::body::Incoming) -> Self {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Kind::Incoming(body))
    }
}

/// The body of a message on an HTTP/2 stream. Capacity is given back as data is taken.
#[cfg(feature = "serve")]
impl From<h2::RecvStream> for Body {
    fn from(stream: h2::RecvStream) -> Self {
        if stream.is_end_stream() {
            return Self::empty();
        }
        Self(Kind::Received(received::Received::new(stream)))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("size", &self.size_hint())
            .finish_non_exhaustive()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            #[cfg(feature = "serve")]
            Kind::Incoming(body) => {
                let frame = Pin::new(body).poll_frame(cx);
                frame.map_ok(cleaned).map_err(BodyError::from)
            }
            #[cfg(feature = "serve")]
            Kind::Received(body) => body.poll_frame(cx).map_ok(cleaned),
            Kind::Boxed(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            #[cfg(feature = "serve")]
            Kind::Incoming(body) => body.is_end_stream(),
            #[cfg(feature = "serve")]
            Kind::Received(body) => body.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            #[cfg(feature = "serve")]
            Kind::Incoming(body) => body.size_hint(),
            #[cfg(feature = "serve")]
            Kind::Received(_) => SizeHint::default(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

/// Trailers come from outside: those that no message may have are taken out where they come in.
#[cfg(feature = "serve")]
fn cleaned(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        crate::hygiene::clean_trailers(trailers);
    }
    frame
}

pin_project_lite::pin_project! {
    /// A body whose errors are told as [`BodyError`].
    struct Told<B> {
        #[pin]
        body: B,
    }
}

impl<B> http_body::Body for Told<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.project().body.poll_frame(cx).map_err(BodyError::new)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
