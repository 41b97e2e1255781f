//! Authorizers that are asked by gRPC: Istio's `envoyExtAuthzGrpc`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use mesh_core::clock::WallClock;
use prost::Message;

use super::ask::{Ask, Asked};
use super::authorizer::{ExternalAnswer, ExternalAuthorizer, ExternalDenial, ExternalError};
use super::changes::HeaderChanges;
use super::wire::{
    Address, Allowed, Attributes, CheckRequest, CheckResponse, Denied, Empty, HeaderOption,
    HttpRequest, Peer, SocketAddress, Timestamp,
};
use crate::connection::Connection;
use crate::request::Request;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An [`ExternalAuthorizer`] that is asked by gRPC: `envoy.service.auth.v3.Authorization/Check`.
///
/// - It gets the head of the request and both ends of the connection, as Envoy sends them: lines of a header joined
///   by commas, bytes that are not UTF-8 as `!`. It gets no body, and not the version of HTTP.
/// - An answer without `status` is none, and so fails. Status 0 allows, with the changes of headers that
///   `ok_response` has; its query parameters and response headers are not used. Any other denies with what
///   `denied_response` has, by default 403.
#[derive(Clone, Debug)]
pub struct GrpcAuthorizer {
    ask: Arc<dyn Ask>,
    clock: Arc<dyn WallClock>,
    authority: HeaderValue,
}

impl GrpcAuthorizer {
    /// An authorizer that is reached by `ask`, under the name `authority`.
    #[must_use]
    pub fn new(authority: HeaderValue, ask: Arc<dyn Ask>, clock: Arc<dyn WallClock>) -> Self {
        Self {
            ask,
            clock,
            authority,
        }
    }

    fn question(&self, connection: &Connection<'_>, request: &Request<'_>) -> http::Request<Bytes> {
        let time = self
            .clock
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let peer = |ip: IpAddr, port: u16, principal: String| Peer {
            address: Some(Address {
                socket_address: Some(SocketAddress {
                    address: ip.to_string(),
                    port_value: port.into(),
                }),
            }),
            principal,
        };
        let to = connection.destination;
        let identity = connection.identity.map(ToString::to_string);
        let message = CheckRequest {
            attributes: Some(Attributes {
                source: Some(peer(connection.source, 0, identity.unwrap_or_default())),
                destination: Some(peer(to.ip(), to.port(), String::new())),
                request: Some(super::wire::Request {
                    time: Some(Timestamp {
                        seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                        nanos: i32::try_from(time.subsec_nanos()).unwrap_or(0),
                    }),
                    http: Some(http_request(request)),
                }),
                metadata_context: Some(Empty {}),
                route_metadata_context: Some(Empty {}),
            }),
        };
        let length = message.encoded_len();
        let mut frame = BytesMut::with_capacity(length.saturating_add(5));
        frame.put_u8(0);
        frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        // A buffer that grows takes every message.
        let _ = message.encode(&mut frame);
        let mut asked = http::Request::new(frame.freeze());
        *asked.method_mut() = Method::POST;
        *asked.uri_mut() = Uri::from_static(CHECK);
        *asked.version_mut() = Version::HTTP_2;
        let headers = asked.headers_mut();
        headers.insert(http::header::HOST, self.authority.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        asked
    }
}

fn http_request(request: &Request<'_>) -> HttpRequest {
    let path = request.target.map_or("", |target| target.as_str());
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.headers {
        let value = text(value.as_bytes());
        let line = headers.entry(name.as_str().to_owned()).or_default();
        if !line.is_empty() {
            line.push(',');
        }
        line.push_str(&value);
    }
    let own = [
        (":method", request.method),
        (":path", path),
        (":authority", request.host),
        (":scheme", "http"),
    ];
    headers.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let id = request.headers.get(REQUEST_ID);
    HttpRequest {
        id: id.map_or_else(String::new, |id| text(id.as_bytes())),
        method: request.method.to_owned(),
        headers,
        path: path.to_owned(),
        host: request.host.to_owned(),
        scheme: "http".to_owned(),
    }
}

/// As Envoy has it: what is not UTF-8 is `!`.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::REPLACEMENT_CHARACTER, "!")
}

/// The message of a unary answer.
fn message(mut answer: Asked) -> Result<CheckResponse, ExternalError> {
    let status = answer.trailers.get(&GRPC_STATUS);
    let status = status.or_else(|| answer.headers.get(&GRPC_STATUS));
    if answer.status != StatusCode::OK || status.is_none_or(|status| status != "0") {
        return Err(ExternalError::Unavailable);
    }
    let body = &mut answer.body;
    // A byte that says whether it is compressed, which was not offered, and the length.
    if body.remaining() < 5 || body.get_u8() != 0 {
        return Err(ExternalError::BadAnswer);
    }
    let length = usize::try_from(body.get_u32()).map_err(|_| ExternalError::BadAnswer)?;
    if length != body.remaining() {
        return Err(ExternalError::BadAnswer);
    }
    CheckResponse::decode(body).map_err(|_| ExternalError::BadAnswer)
}

fn understand(answer: CheckResponse) -> Result<ExternalAnswer, ExternalError> {
    let Some(status) = answer.status else {
        return Err(ExternalError::BadAnswer);
    };
    if status.code == 0 {
        return allowed(answer.ok.unwrap_or_default());
    }
    denied(answer.denied.unwrap_or_default())
}

fn allowed(answer: Allowed) -> Result<ExternalAnswer, ExternalError> {
    let mut changes = HeaderChanges::default();
    for name in &answer.remove {
        // Pseudo headers cannot be removed, and are no names of headers.
        if !name.starts_with(':') {
            let name = name.parse().map_err(|_| ExternalError::BadAnswer)?;
            changes.remove.push(name);
        }
    }
    for option in &answer.headers {
        let Some((name, value)) = header(option)? else {
            continue;
        };
        let appended = option.append.as_ref().is_some_and(|append| append.value);
        match appended {
            true => changes.append.push((name, value)),
            false => changes.set.push((name, value)),
        }
    }
    Ok(match changes.is_empty() {
        true => ExternalAnswer::Allow,
        false => ExternalAnswer::Change(changes),
    })
}

fn denied(answer: Denied) -> Result<ExternalAnswer, ExternalError> {
    let code = answer.status.map_or(0, |status| status.code);
    let status = u16::try_from(code).ok().filter(|code| *code != 0);
    let status = status.map(StatusCode::from_u16).transpose();
    let status = status.map_err(|_| ExternalError::BadAnswer)?;
    let mut headers = HeaderMap::new();
    for option in &answer.headers {
        if let Some((name, value)) = header(option)? {
            headers.append(name, value);
        }
    }
    Ok(ExternalAnswer::Deny(ExternalDenial {
        status: status.unwrap_or(StatusCode::FORBIDDEN),
        headers,
        body: answer.body,
    }))
}

/// A header of an answer; `None` for a pseudo header, which stays as it is.
fn header(option: &HeaderOption) -> Result<Option<(HeaderName, HeaderValue)>, ExternalError> {
    let header = option.header.as_ref().ok_or(ExternalError::BadAnswer)?;
    if header.key.starts_with(':') {
        return Ok(None);
    }
    let value = match header.raw.is_empty() {
        true => &header.value,
        false => &header.raw,
    };
    let name = header.key.parse().map_err(|_| ExternalError::BadAnswer)?;
    let value = HeaderValue::from_bytes(value).map_err(|_| ExternalError::BadAnswer)?;
    Ok(Some((name, value)))
}

#[async_trait]
impl ExternalAuthorizer for GrpcAuthorizer {
    async fn check(
        &self,
        _: &str,
        connection: &Connection<'_>,
        request: &Request<'_>,
    ) -> Result<ExternalAnswer, ExternalError> {
        let answer = self.ask.ask(self.question(connection, request)).await?;
        understand(message(answer)?)
    }
}
