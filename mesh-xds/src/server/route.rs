//! Which gRPC service a request is for.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Handler = dyn Fn(Request<Body>) -> Answer + Send + Sync;

/// The services of a listener, by the first segment of the path.
#[derive(Clone, Default)]
pub(super) struct Routes(Vec<(&'static str, Arc<Handler>)>);

impl Routes {
    /// Adds a generated service, which is always ready and never fails.
    pub(super) fn add<S>(&mut self, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        S: NamedService + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let handler = move |request| -> Answer {
            let answer = service.clone().call(request);
            Box::pin(async move {
                let Ok(answer) = answer.await;
                answer
            })
        };
        self.0.push((S::NAME, Arc::new(handler)));
    }

    pub(super) fn call(&self, request: Request<Body>) -> Answer {
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        match self.0.iter().find(|(known, _)| *known == name) {
            Some((_, handler)) => handler(request),
            None => Box::pin(async { Status::unimplemented("no such service").into_http() }),
        }
    }
}
