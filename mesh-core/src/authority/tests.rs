//! The forms come from RFC 9113 §8.5 and RFC 3986 §3.2; the limits from the type's documentation.

use proptest::prelude::*;

use super::{ConnectAuthority, InvalidAuthority};

#[test]
fn authorities_are_read_and_written() {
    let table = [
        ("IPv4", "10.0.0.1:80", "10.0.0.1:80"),
        ("IPv6", "[2001:db8::1]:15008", "[2001:db8::1]:15008"),
        ("mapped IPv6 is IPv4", "[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
        (
            "service",
            "web.default.svc.cluster.local:80",
            "web.default.svc.cluster.local:80",
        ),
        ("upper case", "WEB.Example:65535", "web.example:65535"),
        ("wildcard", "*.example.com:1", "*.example.com:1"),
        ("underscore", "_dns.a_b:53", "_dns.a_b:53"),
        ("leading zeros", "a:00080", "a:80"),
    ];
    for (name, text, shown) in table {
        let parsed: ConnectAuthority = text.parse().expect(name);
        assert_eq!(parsed.to_string(), shown, "{name}");
    }
}

#[test]
fn other_texts_are_refused() {
    let long = format!("{}:80", "a.".repeat(126) + "aa");
    let longer = format!("{}:80", "a.".repeat(200));
    let long_label = format!("{}:80", "a".repeat(64));
    let table = [
        ("empty", "", InvalidAuthority::Port),
        ("no port", "10.0.0.1", InvalidAuthority::Port),
        ("empty port", "10.0.0.1:", InvalidAuthority::Port),
        ("port 0", "10.0.0.1:0", InvalidAuthority::Port),
        ("port 65536", "10.0.0.1:65536", InvalidAuthority::Port),
        ("signed port", "10.0.0.1:+80", InvalidAuthority::Port),
        ("port of six digits", "a:000080", InvalidAuthority::Port),
        ("no host", ":80", InvalidAuthority::Host),
        ("bare IPv6", "2001:db8::1:80", InvalidAuthority::Host),
        ("open bracket", "[::1:80", InvalidAuthority::Host),
        ("IPv4 in brackets", "[10.0.0.1]:80", InvalidAuthority::Host),
        ("zone", "[fe80::1%eth0]:80", InvalidAuthority::Host),
        (
            "not an IPv4 address",
            "10.0.0.256:80",
            InvalidAuthority::Host,
        ),
        ("user", "me@web:80", InvalidAuthority::Host),
        ("path", "web/x:80", InvalidAuthority::Host),
        ("percent signs", "%%%:80", InvalidAuthority::Host),
        ("not ASCII", "b\u{fc}cher:80", InvalidAuthority::Host),
        ("empty label", "a..b:80", InvalidAuthority::Host),
        ("trailing dot", "a.:80", InvalidAuthority::Host),
        ("space", " web:80", InvalidAuthority::Host),
        ("name of 254 bytes", &long, InvalidAuthority::Host),
        ("label of 64 bytes", &long_label, InvalidAuthority::Host),
        ("too long", &longer, InvalidAuthority::TooLong),
    ];
    for (name, text, error) in table {
        assert_eq!(text.parse::<ConnectAuthority>(), Err(error), "{name}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_written_is_read_again(
        text in prop_oneof![".*", "[a-z0-9.:\\[\\]*_-]{0,40}:[0-9]{0,6}"],
    ) {
        if let Ok(authority) = text.parse::<ConnectAuthority>() {
            prop_assert_eq!(authority.to_string().parse(), Ok(authority));
        }
    }

    #[test]
    fn every_address_with_a_port_is_an_authority(ip: std::net::IpAddr, port in 1u16..) {
        let address = std::net::SocketAddr::new(ip, port);
        let authority = ConnectAuthority::try_from(address).unwrap();
        prop_assert_eq!(authority.ip(), Some(ip.to_canonical()));
        prop_assert_eq!(authority.to_string().parse(), Ok(authority));
    }
}
