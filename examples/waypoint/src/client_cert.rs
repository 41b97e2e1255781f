//! The header that tells applications who the client is.

use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Request};
use mesh_authz::kube::GATEWAY_LABEL;
use mesh_core::identity::SpiffeId;
use mesh_xds::manifest::{Inventory, Labels};
use tower_service::Service;

/// Annotation of the waypoint's `Gateway`: whether applications are told who the client is.
const ANNOTATION: &str = "ambient.istio.io/xfcc-include-client-identity";
const CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// Whether applications are told who the client is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum ClientCert {
    /// They are not, whatever requests bring along.
    #[default]
    Removed,
    /// They are, by both ends' identities.
    Told,
}

impl ClientCert {
    /// What the `Gateway` says that a pod in a namespace, with these labels, is of.
    pub(crate) fn of(inventory: &Inventory, namespace: &str, labels: &Labels) -> Self {
        let gateway = labels.get(GATEWAY_LABEL);
        let gateway = gateway.and_then(|name| inventory.gateways.get(namespace, name));
        let said = gateway.and_then(|gateway| gateway.metadata().annotations.get(ANNOTATION));
        match said.map(String::as_str) {
            Some("true") => Self::Told,
            _ => Self::Removed,
        }
    }

    /// The header for the requests of a client, by which its identity was proved to this proxy.
    pub(crate) fn header(self, own: &SpiffeId, client: Option<&SpiffeId>) -> Option<HeaderValue> {
        let client = client.filter(|_| self == Self::Told)?;
        HeaderValue::try_from(format!("By={own};URI={client}")).ok()
    }
}

/// Replaces what requests say about the client's certificate: what a client sends is never believed.
///
/// **Order**: outside of everything that reads headers.
#[derive(Clone, Debug)]
pub(crate) struct WithClientCert<S> {
    pub(crate) value: Option<HeaderValue>,
    pub(crate) inner: S,
}

impl<B, S: Service<Request<B>>> Service<Request<B>> for WithClientCert<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let headers = request.headers_mut();
        match &self.value {
            Some(value) => {
                headers.insert(CLIENT_CERT, value.clone());
            }
            None => {
                headers.remove(CLIENT_CERT);
            }
        }
        self.inner.call(request)
    }
}
