//! One call of the service.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use tower_service::Service;

use crate::body::Body;

pin_project_lite::pin_project! {
    /// The answer of a service to one request, or one that is there already.
    #[project = CallProjection]
    pub(super) enum Call<S: Service<Request<Body>>> {
        Answered { response: Option<Response<Body>> },
        Asking { service: S, request: Option<Request<Body>> },
        Asked { #[pin] future: S::Future },
    }
}

impl<S: Service<Request<Body>>> Call<S> {
    pub(super) fn answered(response: Response<Body>) -> Self {
        Self::Answered {
            response: Some(response),
        }
    }

    pub(super) fn new(service: S, request: Request<Body>) -> Self {
        Self::Asking {
            service,
            request: Some(request),
        }
    }
}

impl<S> Future for Call<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        loop {
            let future = match self.as_mut().project() {
                CallProjection::Answered { response } => {
                    return response.take().map_or(Poll::Pending, Poll::Ready);
                }
                CallProjection::Asked { future } => {
                    return match ready!(future.poll(cx)) {
                        Ok(response) => Poll::Ready(response),
                        Err(never) => match never {},
                    };
                }
                CallProjection::Asking { service, request } => {
                    match ready!(service.poll_ready(cx)) {
                        Ok(()) => {}
                        Err(never) => match never {},
                    }
                    let Some(request) = request.take() else {
                        return Poll::Pending;
                    };
                    service.call(request)
                }
            };
            self.set(Self::Asked { future });
        }
    }
}
