//! Certificates in the configuration dump.

use std::time::SystemTime;

use mesh_core::credential::{CertificateSource, Credential};
use mesh_core::identity::SpiffeId;
use serde_json::{Value, json};

use super::dump::base64;
use crate::logging::Chain;
use crate::timestamp::Timestamp;

/// The certificate of the workload and its roots, or why there is none. Never the key.
pub(super) async fn dump(source: &dyn CertificateSource, id: &SpiffeId) -> Value {
    let (state, chain, roots) = match source.credential(id).await {
        Ok(credential) => (
            "Available".to_owned(),
            chain(&credential),
            roots(&credential),
        ),
        Err(error) => (format!("Unavailable: {}", Chain(&error)), vec![], vec![]),
    };
    json!([{
        "identity": id.to_string(),
        "state": state,
        "certChain": chain,
        "rootCerts": roots,
    }])
}

fn chain(credential: &Credential) -> Vec<Value> {
    let mut chain: Vec<_> = credential.chain().iter().map(|der| pem(der)).collect();
    if let Some(Value::Object(leaf)) = chain.first_mut() {
        leaf.insert(
            "serialNumber".to_owned(),
            serial(credential.serial()).into(),
        );
        leaf.insert("validFrom".to_owned(), time(credential.not_before()));
        leaf.insert("expirationTime".to_owned(), time(credential.not_after()));
    }
    chain
}

fn roots(credential: &Credential) -> Vec<Value> {
    let roots = credential.trust().roots().iter();
    roots.map(|der| pem(der)).collect()
}

/// The node proxy shows serial numbers in decimal.
fn serial(hex: &str) -> String {
    u128::from_str_radix(hex, 16).map_or_else(|_| format!("0x{hex}"), |number| number.to_string())
}

fn time(time: SystemTime) -> Value {
    Timestamp(time).to_string().into()
}

/// The base64 form of the PEM text, as the node proxy shows it.
fn pem(der: &[u8]) -> Value {
    let body = base64(der);
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = body.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    json!({ "pem": base64(text.as_bytes()) })
}
