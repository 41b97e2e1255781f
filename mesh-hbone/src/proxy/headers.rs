//! The headers of CONNECT requests and answers.
//!
//! Source: Istio for the names and their form; none of them influences a security decision.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::baggage::Baggage;
use mesh_core::forwarded;
use mesh_core::model::{Service, Workload};
use mesh_core::traceparent::TraceParent;
use parking_lot::Mutex;

use mesh_core::random::ThreadRandom;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const NETWORK: HeaderName = HeaderName::from_static("x-forwarded-network");

/// Makes headers on behalf of one local workload, whose description it keeps. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderSource(Arc<Mutex<Option<Description>>>);

/// A workload and its `baggage`.
#[derive(Debug)]
struct Description {
    workload: Arc<Workload>,
    baggage: HeaderValue,
}

impl HeaderSource {
    /// The headers of a request for an application at `client`.
    pub(super) fn request(
        &self,
        local: &Arc<Workload>,
        client: SocketAddr,
        service: Option<&Service>,
    ) -> HeaderMap {
        let host = service.map(|service| service.spec().hostname.as_str());
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(BAGGAGE, self.baggage(local));
        if let Ok(forwarded) = HeaderValue::try_from(forwarded::encode(client, host)) {
            headers.insert(FORWARDED, forwarded);
        }
        let trace = TraceParent::random(&mut ThreadRandom).to_bytes();
        if let Ok(trace) = HeaderValue::from_bytes(&trace) {
            headers.insert(TRACEPARENT, trace);
        }
        headers
    }

    /// The headers of an answer.
    pub(super) fn answer(&self, local: &Arc<Workload>) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(BAGGAGE, self.baggage(local));
        headers
    }

    fn baggage(&self, local: &Arc<Workload>) -> HeaderValue {
        let mut kept = self.0.lock();
        if let Some(description) = &*kept
            && Arc::ptr_eq(&description.workload, local)
        {
            return description.baggage.clone();
        }
        let baggage = HeaderValue::try_from(Baggage::of(local).encode());
        // The encoding is visible ASCII whatever the workload is called.
        let baggage = baggage.unwrap_or(HeaderValue::from_static(""));
        *kept = Some(Description {
            workload: local.clone(),
            baggage: baggage.clone(),
        });
        baggage
    }
}

/// Adds the network that a request comes from, for the proxy behind a network gateway.
pub(super) fn add_network(headers: &mut HeaderMap, network: &str) {
    if let Ok(network) = HeaderValue::try_from(network) {
        headers.insert(NETWORK, network);
    }
}

/// The network that a request comes from.
pub(super) fn network(headers: &HeaderMap) -> Option<&str> {
    headers.get(NETWORK)?.to_str().ok()
}

/// The `host` of the `forwarded` header: the service that the client addressed.
pub(super) fn forwarded_host(headers: &HeaderMap) -> Option<&str> {
    forwarded::host(headers.get(FORWARDED)?.as_bytes())
}

/// How a peer describes its workload; `None` when it does not.
pub(super) fn baggage(headers: &HeaderMap) -> Option<Baggage> {
    let lines = headers.get_all(BAGGAGE);
    let baggage = Baggage::parse(lines.iter().map(HeaderValue::as_bytes));
    (baggage != Baggage::default()).then_some(baggage)
}

#[cfg(test)]
mod tests {
    use mesh_core::model::{ServiceSpec, WorkloadSpec};

    use super::*;

    fn workload(name: &str) -> Arc<Workload> {
        Arc::new(Workload::new(WorkloadSpec {
            workload_name: name.into(),
            namespace: "default".into(),
            ..WorkloadSpec::default()
        }))
    }

    #[test]
    fn a_request_says_who_connects_and_to_which_service() {
        let service = Service::new(ServiceSpec {
            hostname: "web.default.svc".into(),
            ..ServiceSpec::default()
        });
        let client = "10.0.0.1:40000".parse().unwrap();
        let headers = HeaderSource::default().request(&workload("a"), client, Some(&service));
        // Source: captured from Istio's node proxy.
        assert_eq!(
            headers["forwarded"],
            "for=\"10.0.0.1:40000\";host=web.default.svc"
        );
        assert_eq!(
            headers["baggage"],
            "k8s.namespace.name=default,k8s.deployment.name=a"
        );
        assert_eq!(headers["traceparent"].len(), 55);
        assert_eq!(headers.len(), 3);
        assert_eq!(forwarded_host(&headers), Some("web.default.svc"));
        assert_eq!(baggage(&headers).unwrap().workload_name, "a");
    }

    #[test]
    fn the_description_follows_the_workload() {
        let source = HeaderSource::default();
        let (one, two) = (workload("one"), workload("two"));
        for local in [&one, &one, &two] {
            let said = baggage(&source.answer(local)).unwrap();
            assert_eq!(said.workload_name, *local.workload_name());
        }
    }

    #[test]
    fn what_a_peer_does_not_say_is_not_known() {
        let mut headers = HeaderMap::new();
        assert!(baggage(&headers).is_none());
        assert!(forwarded_host(&headers).is_none() && network(&headers).is_none());
        add_network(&mut headers, "remote");
        assert_eq!(network(&headers), Some("remote"));
    }
}
