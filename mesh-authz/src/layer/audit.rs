//! Records of single requests.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, SET_COOKIE};
use http::request::Parts;
use mesh_core::name::Name;
use serde_json::{Map, Value, json};

use super::authorizer::{DecidedBy, RequestDecision, RequestVerdict};
use crate::claims::{ClaimPath, VerifiedClaims};

/// Version of the record.
const VERSION: u32 = 1;
/// The longest value, in bytes.
const LONGEST_VALUE: usize = 256;
/// Most lines of one header.
const MOST_LINES: usize = 16;

/// What of a request is recorded: only what some policy reads.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AuditFields {
    /// Headers that policies read. `authorization`, `cookie`, `set-cookie` and `x-api-key` are
    /// recorded without their values whatever stands here.
    pub headers: Vec<HeaderName>,
    /// Claims that policies read.
    pub claims: Vec<ClaimPath>,
    /// Further headers whose values are not recorded.
    pub redacted: Vec<HeaderName>,
}

/// The connection of a request, as it is recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AuditedConnection {
    /// Address of the TCP peer.
    pub source: SocketAddr,
    /// Address of the original client, where it is known.
    pub remote: Option<IpAddr>,
    /// Where the connection goes.
    pub destination: SocketAddr,
    /// Verified identity of the peer.
    pub peer: Option<Name>,
    /// Name that the peer asked for in TLS.
    pub sni: Option<Name>,
}

impl AuditedConnection {
    /// A connection between two addresses.
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source,
            remote: None,
            destination,
            peer: None,
            sni: None,
        }
    }
}

/// One request with its decision. [`json`](Self::json) is one line without secrets: control
/// characters are escaped, values end after 256 bytes, credentials are left out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When it was decided.
    pub time: SystemTime,
    /// What was decided.
    pub decision: RequestDecision,
    /// The connection, where the layer was told about it.
    pub connection: Option<Arc<AuditedConnection>>,
    request: Value,
}

impl AuditRecord {
    /// A record of the request `parts`, whose target was `raw` before it was normalised.
    pub(super) fn new(
        time: SystemTime,
        decision: RequestDecision,
        parts: &Parts,
        raw: &str,
        claims: Option<&VerifiedClaims>,
        fields: &AuditFields,
    ) -> Self {
        Self {
            time,
            decision,
            connection: None,
            request: request(parts, raw, claims, fields),
        }
    }

    /// The record as one JSON object on one line.
    #[must_use]
    pub fn json(&self) -> String {
        let since = self
            .time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let (verdict, reason) = match self.decision.verdict {
            RequestVerdict::Allow => ("allow", None),
            RequestVerdict::Deny(denial) => ("deny", Some(denial.label())),
        };
        let rule = |by: &Option<DecidedBy>| {
            by.as_ref()
                .map(|by| json!({"policy": by.policy.as_str(), "rule": by.rule}))
        };
        let by = self.decision.by.as_ref();
        let record = json!({
            "v": VERSION,
            "ts": since.as_secs_f64(),
            "layer": "l7",
            "verdict": verdict,
            "reason": reason,
            "policy": by.map(|by| by.policy.as_str()),
            "rule": by.map(|by| by.rule),
            "audit": rule(&self.decision.audit),
            "would_deny": self.decision.would_deny,
            "conn": self.connection.as_deref().map(connection),
            "req": self.request,
        });
        record.to_string()
    }
}

fn connection(connection: &AuditedConnection) -> Value {
    json!({
        "src_ip": connection.source.ip().to_string(),
        "src_port": connection.source.port(),
        "dst_ip": connection.destination.ip().to_string(),
        "dst_port": connection.destination.port(),
        "remote_ip": connection.remote.map(|address| address.to_string()),
        "peer_id": connection.peer.as_ref().map(|peer| shown(peer.as_bytes())),
        "sni": connection.sni.as_ref().map(|sni| shown(sni.as_bytes())),
    })
}

fn request(
    parts: &Parts,
    raw: &str,
    claims: Option<&VerifiedClaims>,
    fields: &AuditFields,
) -> Value {
    let host = parts
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let host = host.or_else(|| parts.headers.get(HOST).map(|host| host.as_bytes()));
    let mut headers = Map::new();
    for name in &fields.headers {
        let lines = parts.headers.get_all(name).iter().take(MOST_LINES);
        let secret = is_secret(name, fields);
        let value = |line: &[u8]| {
            if secret {
                "[redacted]".to_owned()
            } else {
                shown(line)
            }
        };
        let lines: Vec<String> = lines.map(|line| value(line.as_bytes())).collect();
        if !lines.is_empty() {
            headers.insert(name.to_string(), json!(lines));
        }
    }
    json!({
        "method": shown(parts.method.as_str().as_bytes()),
        "host": host.map(shown),
        "path_norm": shown(parts.uri.path().as_bytes()),
        "path_raw_hash": format!("{:016x}", hash(raw.as_bytes())),
        "headers_used": headers,
        "jwt": claims.map(|claims| jwt(claims, fields)),
    })
}

fn jwt(claims: &VerifiedClaims, fields: &AuditFields) -> Value {
    let mut used = Map::new();
    for path in &fields.claims {
        let texts: Vec<String> = claims
            .strings(path.names())
            .take(MOST_LINES)
            .map(|text| shown(text.as_bytes()))
            .collect();
        if !texts.is_empty() {
            let brackets: String = path
                .names()
                .iter()
                .map(|name| format!("[{name}]"))
                .collect();
            used.insert(brackets, json!(texts));
        }
    }
    let audiences = claims.audiences().map(|audience| hash(audience.as_bytes()));
    let audience = audiences.reduce(|all, one| all.wrapping_add(one));
    json!({
        "iss": claims.issuer().map(|text| shown(text.as_bytes())),
        "sub": claims.subject().map(|text| shown(text.as_bytes())),
        "aud_hash": audience.map(|hash| format!("{hash:016x}")),
        "claims_used": used,
    })
}

/// Whether a header is a credential.
fn is_secret(name: &HeaderName, fields: &AuditFields) -> bool {
    [AUTHORIZATION, COOKIE, SET_COOKIE].contains(name)
        || name == "x-api-key"
        || fields.redacted.contains(name)
}

/// A value as it is recorded.
fn shown(value: &[u8]) -> String {
    let mut text = String::new();
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            if text.len() >= LONGEST_VALUE {
                return text + "...";
            }
            match character.is_control() {
                true => text.extend(character.escape_unicode()),
                false => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            write!(text, "\\x{byte:02x}").unwrap_or(());
        }
    }
    text
}

/// FNV-1a with 64 bits: tells texts apart in records of all versions. It hides nothing from those
/// who can guess the text.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
