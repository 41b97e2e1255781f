//! Host names that applications ask for.

use mesh_core::model::{NetworkAddress, Visibility};
use mesh_core::resolve::{HostnameTarget, IpFamily, outbound_hostname};

use crate::mesh::*;

#[test]
fn host_names_of_the_mesh_have_an_address_to_go_on_with() {
    let private = |namespace: &str, vip: &str| {
        service("private", &[vip])
            .namespace(namespace)
            .with(|s| s.visibility = Visibility::Namespace)
    };
    let mesh = Mesh::new(
        vec![
            tcp_pod("vm", &["10.1.0.7"]).with(|w| w.hostname = "vm.example".into()),
            tcp_pod("other", &["10.1.0.8"])
                .namespace("other")
                .with(|w| w.hostname = "vm2.example".into()),
            tcp_pod("far", &["10.1.0.9"])
                .network("remote")
                .with(|w| w.hostname = "vm3.example".into()),
            tcp_pod("dns", &[]).with(|w| w.hostname = "dns.example".into()),
        ],
        vec![
            service("web", &["10.2.0.1", "fd01::1"]),
            service("v6", &["fd01::2"]),
            service("headless", &[]),
            private("elsewhere", "10.2.0.3"),
            service("shared", &["10.2.0.5"]).namespace("elsewhere"),
            service("shared", &["10.2.0.6"]),
            service("far", &[])
                .with(|s| s.vips = vec![NetworkAddress::new("remote", ip("10.2.0.7"))]),
        ],
    );
    let table = [
        ("service", "web.default", IpFamily::V4, "10.2.0.1:80"),
        ("service, v6", "web.default", IpFamily::V6, "[fd01::1]:80"),
        (
            "only the other family",
            "v6.default",
            IpFamily::V4,
            "[fd01::2]:80",
        ),
        (
            "upper case and dot",
            "WEB.Default.",
            IpFamily::V4,
            "10.2.0.1:80",
        ),
        (
            "own namespace",
            "shared.default",
            IpFamily::V4,
            "10.2.0.6:80",
        ),
        ("workload", "vm.example", IpFamily::V4, "10.1.0.7:80"),
        (
            "workload of another namespace",
            "vm2.example",
            IpFamily::V4,
            "",
        ),
        (
            "workload of another network",
            "vm3.example",
            IpFamily::V4,
            "",
        ),
        ("workload without address", "dns.example", IpFamily::V4, ""),
        (
            "service without address",
            "headless.default",
            IpFamily::V4,
            "",
        ),
        ("not visible", "private.default", IpFamily::V4, ""),
        ("on another network", "far.default", IpFamily::V4, ""),
        ("unknown", "example.com", IpFamily::V4, ""),
        ("empty", "", IpFamily::V4, ""),
    ];
    let source = mesh.snapshot.workload(&client().uid).unwrap();
    for (name, host, prefer, expected) in table {
        let expected = expected
            .parse()
            .map_or(HostnameTarget::Unknown, HostnameTarget::Mesh);
        let found = outbound_hostname(&mesh.snapshot, &mesh.config, source, host, 80, prefer);
        assert_eq!(found, expected, "{name}");
    }
}
