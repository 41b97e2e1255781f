//! Bytes written by hand after section 2.2 of "The PROXY protocol".

use std::net::SocketAddr;

use super::{Addresses, DecodeError, Decoded, EncodeError, Header, Limits, decode};

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

const SIG: &[u8] = &[
    0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
];

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// (name, header, its bytes)
fn vectors() -> Vec<(&'static str, Header, Vec<u8>)> {
    let v4 = Header::tcp(socket("192.0.2.1:56324"), socket("198.51.100.2:443"));
    let v4_bytes = [
        0xC0, 0x00, 0x02, 0x01, 0xC6, 0x33, 0x64, 0x02, 0xDC, 0x04, 0x01, 0xBB,
    ];
    let v6 = Header::tcp(socket("[2001:db8::1]:80"), socket("[2001:db8::2]:8080"));
    let one = [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let two = [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 1];
    let spiffe = "spiffe://cluster.local/ns/a/sa/b";
    vec![
        (
            "TCP over IPv4",
            v4.clone(),
            bytes(&[SIG, &[0x21, 0x11, 0, 12], &v4_bytes]),
        ),
        (
            "TCP over IPv6",
            v6,
            bytes(&[SIG, &[0x21, 0x21, 0, 36], &one, &two, &[0, 80, 0x1F, 0x90]]),
        ),
        (
            "mixed families: IPv4 mapped into IPv6",
            Header::tcp(socket("[::ffff:10.0.0.1]:1"), socket("[2001:db8::2]:2")),
            bytes(&[SIG, &[0x21, 0x21, 0, 36], &mapped, &two, &[0, 1, 0, 2]]),
        ),
        (
            "identity and service",
            v4.with_identity(&spiffe.parse().unwrap())
                .with_service("web"),
            bytes(&[
                SIG,
                &[0x21, 0x11, 0, 12 + 3 + 32 + 3 + 3],
                &v4_bytes,
                &[0xD0, 0, 32],
                spiffe.as_bytes(),
                &[0xD1, 0, 3],
                b"web",
            ]),
        ),
        ("LOCAL", Header::local(), bytes(&[SIG, &[0x20, 0, 0, 0]])),
    ]
}

#[test]
fn headers_have_the_bytes_of_the_specification() {
    for (name, header, expected) in vectors() {
        assert_eq!(header.encode().unwrap(), expected, "{name}");
    }
}

#[test]
fn headers_are_read_back_and_what_follows_is_left() {
    for (name, header, mut input) in vectors() {
        let length = input.len();
        input.extend_from_slice(b"\r\nGET /");
        let decoded = decode(&input, &Limits::default());
        assert_eq!(decoded, Ok(Decoded::Complete { header, length }), "{name}");
    }
}

#[test]
fn every_beginning_of_a_header_asks_for_more() {
    for (name, _, input) in vectors() {
        for end in 0..input.len() {
            let needed = if end < 16 { 16 } else { input.len() };
            let decoded = decode(&input[..end], &Limits::default());
            assert_eq!(decoded, Ok(Decoded::Partial { needed }), "{name} at {end}");
        }
    }
}

#[test]
fn a_mixed_header_is_written_for_an_unmapped_ipv4_address_too() {
    let header = Header::tcp(socket("10.0.0.1:1"), socket("[2001:db8::2]:2"));
    assert_eq!(header.encode().unwrap(), vectors()[2].2);
}

#[test]
fn fields_are_found_by_type() {
    let (_, header, _) = &vectors()[3];
    assert_eq!(header.service(), Some("web"));
    let identity = header.identity().unwrap();
    assert_eq!(identity.to_string(), "spiffe://cluster.local/ns/a/sa/b");
}

#[test]
fn other_kinds_of_connections_are_accepted_without_addresses() {
    let cases: [(&str, u8, usize); 6] = [
        ("unspecified", 0x00, 0),
        ("unspecified with bytes to skip", 0x00, 7),
        ("UDP over IPv4", 0x12, 12),
        ("UDP over IPv6", 0x22, 36),
        ("UNIX stream", 0x31, 216),
        ("UNIX datagram", 0x32, 216),
    ];
    for (name, family, length) in cases {
        let declared = u8::try_from(length).unwrap();
        let input = bytes(&[SIG, &[0x21, family, 0, declared], &vec![7; length]]);
        let Ok(Decoded::Complete { header, .. }) = decode(&input, &Limits::default()) else {
            panic!("{name} was not accepted");
        };
        assert_eq!(header.addresses(), &Addresses::Unspecified, "{name}");
    }
}

#[test]
fn the_content_of_a_local_header_is_skipped() {
    let input = bytes(&[SIG, &[0x20, 0xFF, 0, 3], &[1, 2, 3]]);
    let expected = Decoded::Complete {
        header: Header::local(),
        length: 19,
    };
    assert_eq!(decode(&input, &Limits::default()), Ok(expected));
}

#[test]
fn what_is_not_a_header_is_refused() {
    let limits = Limits {
        length: 64,
        tlvs: 2,
    };
    let v4 = |extra: &[u8]| {
        let length = u8::try_from(12 + extra.len()).unwrap();
        bytes(&[SIG, &[0x21, 0x11, 0, length], &[0; 12], extra])
    };
    let cases = [
        ("HTTP", b"GET / HTTP/1.1".to_vec(), DecodeError::Signature),
        ("version 1", b"PROXY TCP4".to_vec(), DecodeError::Signature),
        (
            "version 3",
            bytes(&[SIG, &[0x31, 0x11, 0, 0]]),
            DecodeError::Version,
        ),
        (
            "command 2",
            bytes(&[SIG, &[0x22, 0x11, 0, 0]]),
            DecodeError::Command,
        ),
        (
            "family 4",
            bytes(&[SIG, &[0x21, 0x41, 0, 0]]),
            DecodeError::Family,
        ),
        (
            "transport 3",
            bytes(&[SIG, &[0x21, 0x13, 0, 0]]),
            DecodeError::Family,
        ),
        (
            "addresses cut off",
            bytes(&[SIG, &[0x21, 0x11, 0, 11], &[0; 11]]),
            DecodeError::Truncated,
        ),
        ("half a field", v4(&[0xD0, 0]), DecodeError::Truncated),
        (
            "a field beyond the end",
            v4(&[0xD0, 0, 2, 1]),
            DecodeError::Truncated,
        ),
        (
            "too many fields",
            v4(&[4, 0, 0, 4, 0, 0, 4, 0, 0]),
            DecodeError::TooManyFields,
        ),
        (
            "too long, before it is read",
            bytes(&[SIG, &[0x21, 0x11, 0, 65]]),
            DecodeError::TooLong,
        ),
    ];
    for (name, input, expected) in cases {
        assert_eq!(decode(&input, &limits), Err(expected), "{name}");
    }
}

#[test]
fn a_field_that_does_not_fit_is_not_written() {
    let header = Header::local().with_tlv(4, vec![0; 65_533]);
    assert_eq!(header.encode(), Err(EncodeError::TooLong));
}

proptest::proptest! {
    #[test]
    fn reading_is_total(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let _ = decode(&bytes(&[SIG, &tail]), &Limits::default());
        let _ = decode(&tail, &Limits::default());
    }
}

#[test]
fn fields_of_a_connection_without_a_name_are_read_but_not_written() {
    // Found by fuzzing: UDP over IPv4 with a field, which no header of ours can say.
    let udp = bytes(&[
        SIG,
        &[0x21, 0x12, 0x00, 0x16],
        &[10, 0, 0, 1, 10, 0, 0, 2, 0x9C, 0x40, 0x00, 0x50],
        &[0xD1, 0x00, 0x07],
        b"web.svc",
    ]);
    let Ok(Decoded::Complete { header, length }) = decode(&udp, &Limits::default()) else {
        panic!("the header is whole");
    };
    assert_eq!(length, udp.len());
    assert_eq!(header.addresses(), &Addresses::Unspecified);
    assert_eq!(header.encode(), Err(EncodeError::FieldsWithoutAddresses));
}
