//! Certificates in the configuration dump.

use std::time::{Duration, SystemTime};

use mesh_core::credential::{CertificateSource, Credential};
use mesh_core::identity::SpiffeId;
use serde_json::{Value, json};
use tokio::time::timeout;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::time::Validity;

use super::dump::base64;
use process::logging::Chain;
use process::timestamp::Timestamp;

/// How long a certificate that is being fetched is waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// The certificate of the workload and its roots, or why there is none. Never the key.
pub(super) async fn dump(source: &dyn CertificateSource, id: &SpiffeId) -> Value {
    let (state, chain, roots) = match timeout(PATIENCE, source.credential(id)).await {
        Err(_) => ("Initializing".to_owned(), vec![], vec![]),
        Ok(Ok(credential)) => (
            "Available".to_owned(),
            chain(&credential),
            roots(&credential),
        ),
        Ok(Err(error)) => (format!("Unavailable: {}", Chain(&error)), vec![], vec![]),
    };
    json!([{
        "identity": id.to_string(),
        "state": state,
        "certChain": chain,
        "rootCerts": roots,
    }])
}

fn chain(credential: &Credential) -> Vec<Value> {
    let chain = credential.chain().iter();
    chain.map(|der| certificate(der)).collect()
}

fn roots(credential: &Credential) -> Vec<Value> {
    let roots = credential.trust().roots().iter();
    roots.map(|der| certificate(der)).collect()
}

/// A certificate and what a person asks of it first; `istioctl` reads the serial number as a decimal.
fn certificate(der: &[u8]) -> Value {
    let parsed = Certificate::from_der(der).ok();
    let facts = parsed.as_ref().map(Certificate::tbs_certificate);
    let time = |at: fn(&Validity) -> SystemTime| {
        facts.map(|facts| Timestamp(at(facts.validity())).to_string())
    };
    json!({
        "pem": pem(der),
        "serialNumber": facts.map(|facts| decimal(facts.serial_number().as_bytes())),
        "validFrom": time(|validity| validity.not_before.to_system_time()),
        "expirationTime": time(|validity| validity.not_after.to_system_time()),
    })
}

/// A number of any length in decimal; the most significant byte comes first.
fn decimal(bytes: &[u8]) -> String {
    // Digits from the least significant on.
    let mut digits = vec![0_u32];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let value = *digit * 256 + carry;
            (*digit, carry) = (value % 10, value / 10);
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    let text = digits
        .iter()
        .rev()
        .filter_map(|digit| char::from_digit(*digit, 10));
    text.collect()
}

/// The base64 form of the PEM text, as the node proxy shows it.
fn pem(der: &[u8]) -> String {
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
    base64(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn serial_numbers_are_decimal() {
        // From `python3 -c 'print(int.from_bytes(bytes.fromhex("..")))'`.
        for (hex, expected) in [
            (&[][..], "0"),
            (&[0], "0"),
            (&[0xff], "255"),
            (&[1, 0], "256"),
            (&[0xff; 8], "18446744073709551615"),
            (
                &[0xff; 20],
                "1461501637330902918203684832716283019655932542975",
            ),
        ] {
            assert_eq!(decimal(hex), expected);
        }
    }
}
