use proptest::prelude::*;

use super::*;

#[test]
fn values_are_as_on_the_wire() {
    for (client, host, expected) in [
        // Seen on the wire between node proxies of an Istio ambient mesh.
        ("10.77.0.2:38638", None, r#"for="10.77.0.2:38638""#),
        ("10.77.0.2:1", Some("a.b"), r#"for="10.77.0.2:1";host=a.b"#),
        (
            "[2001:db8::1]:65535",
            Some("a"),
            r#"for="[2001:db8::1]:65535";host=a"#,
        ),
        ("[::ffff:10.0.0.1]:80", None, r#"for="10.0.0.1:80""#),
        ("[fe80::1%3]:80", None, r#"for="[fe80::1]:80""#),
        ("10.0.0.1:80", Some(""), r#"for="10.0.0.1:80""#),
        ("10.0.0.1:80", Some("a;host=b"), r#"for="10.0.0.1:80""#),
        ("10.0.0.1:80", Some("a\r\nx: y"), r#"for="10.0.0.1:80""#),
        ("10.0.0.1:80", Some("é"), r#"for="10.0.0.1:80""#),
    ] {
        assert_eq!(encode(client.parse().unwrap(), host), expected);
    }
}

#[test]
fn the_host_is_the_first_host_part() {
    for (case, value, expected) in [
        ("plain", "host=a.b", Some("a.b")),
        ("quoted", r#"for="10.0.0.1:1";host="a.b""#, Some("a.b")),
        ("half quoted before", r#"host="a"#, Some("a")),
        ("half quoted after", r#"host=a""#, Some("a")),
        ("one pair of quotes only", r#"host=""a"""#, Some(r#""a""#)),
        ("blanks around the part", "for=x ;  host=a  ; y", Some("a")),
        ("the first of two", "host=a;host=b", Some("a")),
        ("an empty first", "host=;host=b", None),
        ("empty quotes", r#"host="""#, None),
        ("one quote", r#"host=""#, None),
        ("another case", "Host=a", None),
        ("a blank before the equals sign", "host =a", None),
        ("none", "for=x;by=y", None),
        ("nothing", "", None),
        ("not ASCII", "host=a;x=é", None),
        ("a control character", "host=a\n", None),
    ] {
        assert_eq!(host(value.as_bytes()), expected, "{case}");
    }
    assert_eq!(host(&[b'h', b'o', b's', b't', b'=', 0xff]), None);
}

#[test]
fn the_client_is_an_address_with_a_port() {
    for (case, value, expected) in [
        ("IPv4", r#"for="10.0.0.1:80";host=a"#, Some("10.0.0.1:80")),
        ("IPv6", r#"host=a;for="[::1]:80""#, Some("[::1]:80")),
        ("not quoted", "for=10.0.0.1:80", Some("10.0.0.1:80")),
        ("no port", r#"for="10.0.0.1""#, None),
        ("no brackets", r#"for="::1:80""#, None),
        ("hidden", "for=_hidden", None),
        ("unknown", "for=unknown", None),
        ("none", "host=a", None),
    ] {
        assert_eq!(
            client(value.as_bytes()),
            expected.map(|text| text.parse().unwrap()),
            "{case}"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(value in any::<Vec<u8>>(), text in "(host=|for=|[\";= a\\[:]){0,9}") {
        for value in [&value[..], text.as_bytes()] {
            let _ = (host(value), client(value));
        }
    }

    #[test]
    fn what_is_written_is_read_back(ip in any::<std::net::IpAddr>(), port in any::<u16>(), name in "[a-z0-9.-]{1,30}") {
        let address = SocketAddr::new(ip.to_canonical(), port);
        let value = encode(address, Some(&name));
        prop_assert_eq!(client(value.as_bytes()), Some(address));
        prop_assert_eq!(host(value.as_bytes()), Some(&*name));
    }
}
