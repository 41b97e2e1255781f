//! Which of a workload's addresses is dialled.

use mesh_core::model::IpFamilies;

use crate::mesh::*;

#[test]
fn the_family_of_the_request_is_kept_where_the_service_allows_it() {
    use IpFamilies::{Automatic, Dual, V4, V6};
    let both = ["10.1.0.2", "fd00::2"];
    let table = [
        (
            "automatic, v4",
            Automatic,
            &both[..],
            "10.2.0.1:80",
            "10.1.0.2",
        ),
        (
            "automatic, v6",
            Automatic,
            &both[..],
            "[fd01::1]:80",
            "[fd00::2]",
        ),
        ("dual, v4", Dual, &both[..], "10.2.0.1:80", "10.1.0.2"),
        ("dual, v6", Dual, &both[..], "[fd01::1]:80", "[fd00::2]"),
        ("v4 only, v4", V4, &both[..], "10.2.0.1:80", "10.1.0.2"),
        ("v4 only, v6", V4, &both[..], "[fd01::1]:80", "10.1.0.2"),
        ("v6 only, v4", V6, &both[..], "10.2.0.1:80", "[fd00::2]"),
        ("v6 only, v6", V6, &both[..], "[fd01::1]:80", "[fd00::2]"),
        (
            "only the other family",
            Automatic,
            &both[1..],
            "10.2.0.1:80",
            "[fd00::2]",
        ),
    ];
    for (name, families, ips, to, address) in table {
        let web = service("web", &["10.2.0.1", "fd01::1"]).with(|s| s.ip_families = families);
        let mesh = Mesh::new(vec![pod("web", ips).of("web", &[])], vec![web]);
        let expected = format!("hbone {address}:15008 for {address}:8080 as web");
        assert_eq!(mesh.hop(to), expected, "{name}");
    }
}

#[test]
fn a_family_that_the_service_excludes_is_no_address() {
    let web = service("web", &["10.2.0.1"]).with(|s| s.ip_families = IpFamilies::V4);
    let mesh = Mesh::new(vec![pod("web", &["fd00::2"]).of("web", &[])], vec![web]);
    let expected = "error: workload cluster1//Pod/default/web has no address";
    assert_eq!(mesh.hop("10.2.0.1:80"), expected);
}

#[test]
fn a_workload_addressed_by_an_ip_is_dialled_there() {
    let mesh = Mesh::new(
        vec![pod("web", &["10.1.0.2", "fd00::2", "fd00::3"])],
        vec![],
    );
    for address in ["10.1.0.2", "[fd00::2]", "[fd00::3]"] {
        let expected = format!("hbone {address}:15008 for {address}:80 as web");
        assert_eq!(mesh.hop(&format!("{address}:80")), expected);
    }
}

#[test]
fn without_ipv6_the_ipv4_address_is_preferred() {
    let web = service("web", &["fd01::1"]);
    let mut mesh = Mesh::new(
        vec![pod("web", &["fd00::2", "10.1.0.2"]).of("web", &[])],
        vec![web],
    );
    assert_eq!(
        mesh.hop("[fd01::1]:80"),
        "hbone [fd00::2]:15008 for [fd00::2]:8080 as web"
    );
    mesh.config.ipv6 = false;
    assert_eq!(
        mesh.hop("[fd01::1]:80"),
        "hbone 10.1.0.2:15008 for 10.1.0.2:8080 as web"
    );
}

#[test]
fn workloads_with_only_a_host_name_are_looked_up() {
    // A ServiceEntry with DNS endpoints.
    let named = |workload: mesh_core::model::WorkloadSpec| {
        workload
            .of("web", &[])
            .with(|w| w.hostname = "example.com".into())
    };
    let web = || service("web", &["10.2.0.1", "fd01::1"]);
    let tcp = Mesh::new(vec![named(tcp_pod("web", &[]))], vec![web()]);
    assert_eq!(tcp.hop("10.2.0.1:80"), "tcp example.com:8080 (V4)");
    assert_eq!(tcp.hop("[fd01::1]:80"), "tcp example.com:8080 (V6)");
    let hbone = Mesh::new(vec![named(pod("web", &[]))], vec![web()]);
    assert_eq!(
        hbone.hop("10.2.0.1:80"),
        "hbone example.com:15008 (V4) for *:8080 as web"
    );
    // An address is better than a name.
    let both = Mesh::new(vec![named(tcp_pod("web", &["10.1.0.2"]))], vec![web()]);
    assert_eq!(both.hop("10.2.0.1:80"), "tcp 10.1.0.2:8080");
}
