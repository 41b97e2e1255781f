//! What the administration server says about connections, policies and certificates.

use serde_json::Value;

use crate::harness::{ADMIN, Mesh, http};

#[test]
fn a_connection_is_explained_without_being_made() {
    let mesh = Mesh::new();
    let deny =
        "policies:\n- {name: none, namespace: ns, scope: Namespace, action: Allow, rules: []}\n";
    mesh.write(&format!("{}{deny}", mesh.yaml(mesh.server)));
    let client = mesh.proxy(mesh.client, &[]);
    let target = format!("/debug/explain?src=ns/client-1&dst={}:80", mesh.vip);
    let (status, text) = client.http("GET", ADMIN, &target);
    assert_eq!(status, 200, "{text}");
    for says in [
        "the destination is the service ns/web.example.org",
        "server is drawn from the 1 endpoints",
        "ALLOW ns/none: has no rules and never matches",
        "answer: denied: allow policies exist, but none allowed",
    ] {
        assert!(text.contains(says), "{text}");
    }
    let accept = "Accept: application/json\r\n";
    let (_, body) = http(client.at(ADMIN), "GET", &target, accept);
    let json: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["allowed"], false, "{json:#}");
    let (status, _) = client.http("GET", ADMIN, "/debug/explain?src=ns/nobody&dst=ns/web:80");
    assert_eq!(status, 404);
    // Nothing was connected.
    assert_eq!(client.log_count("connection opened"), 0);
}

#[test]
fn certificates_are_dumped_as_istioctl_reads_them() {
    let mesh = Mesh::new();
    let client = mesh.proxy(mesh.client, &[]);
    let (_, body) = client.http("GET", ADMIN, "/config_dump");
    let dump: Value = serde_json::from_str(&body).unwrap();
    let certificates = &dump["certificates"][0];
    assert_eq!(
        certificates["identity"],
        "spiffe://cluster.local/ns/ns/sa/client"
    );
    assert_eq!(certificates["state"], "Available");
    for list in ["certChain", "rootCerts"] {
        let first = &certificates[list][0];
        for field in ["pem", "serialNumber", "validFrom", "expirationTime"] {
            let text = first[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{list} {field}: {first:#}");
        }
        let serial = first["serialNumber"].as_str().unwrap();
        assert!(serial.bytes().all(|b| b.is_ascii_digit()), "{serial}");
    }
}
