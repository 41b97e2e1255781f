//! Revocation lists: at the start, for new connections and for running ones.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyPair, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use serde_json::Value;

use crate::harness::{ADMIN, APP, Mesh, Proxy, command, echo, ping};

fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// The serial number of a proxy's certificate.
fn serial(proxy: &Proxy) -> Vec<u8> {
    let (_, body) = proxy.http("GET", ADMIN, "/config_dump");
    let dump: Value = serde_json::from_str(&body).unwrap();
    let decimal = dump["certificates"][0]["certChain"][0]["serialNumber"].clone();
    let mut bytes = vec![];
    for digit in decimal.as_str().unwrap().bytes() {
        let mut carry = u16::from(digit - b'0');
        for byte in &mut bytes {
            let value = u16::from(*byte) * 10 + carry;
            (*byte, carry) = ((value & 0xff) as u8, value >> 8);
        }
        if carry > 0 {
            bytes.push(carry as u8);
        }
    }
    bytes.reverse();
    bytes
}

/// A list of the development CA of a test's mesh.
fn list(mesh: &Mesh, revoked: &[Vec<u8>]) -> String {
    let text = std::fs::read_to_string(mesh.directory.join("ca/dev-ca.pem")).unwrap();
    let key = KeyPair::from_pem(&text).unwrap();
    let certificate = &text[text.find("-----BEGIN CERTIFICATE-----").unwrap()..];
    let end = "-----END CERTIFICATE-----\n";
    let certificate = &certificate[..certificate.find(end).unwrap() + end.len()];
    let issuer = Issuer::from_ca_cert_pem(certificate, key).unwrap();
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(2034, 1, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    params.signed_by(&issuer).unwrap().pem().unwrap()
}

fn setting(path: &Path) -> [(&str, &str); 1] {
    [("CRL_PATH", path.to_str().unwrap())]
}

#[test]
fn a_revoked_client_is_cut_and_kept_out() {
    let mesh = Mesh::new();
    let path = mesh.directory.join("revoked.pem");
    let server = mesh.proxy(mesh.server, &setting(&path));
    server.log_line(
        "CRL_PATH is not there: nothing is revoked until it is",
        |_| true,
    );
    let client = mesh.proxy(mesh.client, &[]);
    echo(mesh.server);
    let mut running = client.connect(mesh.server, APP);
    ping(&mut running, b"before").unwrap();

    // A list without this certificate changes nothing.
    write(&path, &list(&mesh, &[vec![1]]));
    server.log_line("revocation lists loaded", |line| line["lists"] == 1);
    ping(&mut running, b"still here").unwrap();

    write(&path, &list(&mesh, &[serial(&client)]));
    assert!(running.read(&mut [0]).map_or(true, |bytes| bytes == 0));
    let line = server.log_line("connection complete", |line| line["error"].is_string());
    assert!(
        line["error"].as_str().unwrap().contains("revoked"),
        "{line}"
    );
    let address = [&[1][..], &mesh.server.octets()].concat();
    assert_ne!(client.socks5(&address, APP).0, 0);
    let metrics = server.metrics();
    let rejections = "istio_crl_policy_rejections_total{reporter=\"destination\"} ";
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix(rejections));
    assert!(count.unwrap().parse::<u64>().unwrap() >= 1, "{metrics}");
    let ended = "mesh_crl_connections_ended_total{reporter=\"destination\"} 1\n";
    assert!(metrics.contains(ended), "{metrics}");

    // A broken file leaves the last good lists in force.
    write(&path, "nothing is revoked any more");
    let kept = "revocation lists not reloaded, the last good ones stay in force";
    server.log_line(kept, |line| line["level"] == "error");
    assert_ne!(client.socks5(&address, APP).0, 0);
}

#[test]
fn a_revoked_server_is_not_connected_to() {
    let mesh = Mesh::new();
    let path = mesh.directory.join("revoked.pem");
    let server = mesh.proxy(mesh.server, &[]);
    write(&path, &list(&mesh, &[serial(&server)]));
    let client = mesh.proxy(mesh.client, &setting(&path));
    echo(mesh.server);
    let address = [&[1][..], &mesh.server.octets()].concat();
    assert_ne!(client.socks5(&address, APP).0, 0);
    client.log_line("connection complete", |line| line["level"] == "error");
    let metrics = client.metrics();
    let failed = metrics.lines().find(|line| {
        line.starts_with("istio_tcp_connections_failed_total{")
            && line.contains("response_flags=\"CERT_REVOKED\"")
    });
    assert!(failed.is_some_and(|line| line.ends_with(" 1")), "{metrics}");
}

#[test]
fn a_file_that_is_not_a_list_refuses_the_start() {
    let mesh = Mesh::new();
    let path = mesh.directory.join("revoked.pem");
    for text in [
        "revoked: all\n",
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    ] {
        write(&path, text);
        let mut environment = mesh.environment(mesh.client);
        environment.push(("CRL_PATH".to_owned(), path.display().to_string()));
        let output = command(&environment, Path::new("/"))
            .stdout(Stdio::null())
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(error.contains("CRL_PATH is not usable"), "{error}");
        assert!(
            error.contains("revoked.pem has no revocation lists"),
            "{error}"
        );
    }
}
