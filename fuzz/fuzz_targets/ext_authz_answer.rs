//! Answers of external authorizers: whatever they are, they allow, change, deny or fail, and never touch what was
//! decided about.
#![no_main]

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;
use mesh_authz::external::{
    Ask, Asked, ExternalAnswer, ExternalAuthorizer, ExternalError, GrpcAuthorizer,
};
use mesh_authz::{Connection, Request};
use mesh_core::clock::SystemClock;

#[derive(Debug)]
struct Answers(Bytes);

#[async_trait]
impl Ask for Answers {
    async fn ask(&self, _: http::Request<Bytes>) -> Result<Asked, ExternalError> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        Ok(Asked {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: self.0.clone(),
            trailers,
        })
    }
}

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else { return };
    let name = http::HeaderValue::from_static("authz");
    let answers = Arc::new(Answers(Bytes::copy_from_slice(bytes)));
    let authorizer = GrpcAuthorizer::new(name, answers, Arc::new(SystemClock));
    let mut headers = HeaderMap::new();
    headers.insert("host", http::HeaderValue::from_static("web"));
    headers.insert("content-length", http::HeaderValue::from_static("1"));
    let address = std::net::SocketAddr::from(([10, 0, 0, 1], 80));
    let connection = Connection::new(address.ip(), None, address);
    let request = Request::new("GET", "web", &headers);
    let answer = runtime.block_on(authorizer.check("a", &connection, &request));
    if let Ok(ExternalAnswer::Change(changes)) = answer {
        let mut changed = headers.clone();
        changes.apply(&mut changed);
        assert_eq!(changed.get("host"), headers.get("host"));
        assert_eq!(changed.get("content-length"), headers.get("content-length"));
    }
});
