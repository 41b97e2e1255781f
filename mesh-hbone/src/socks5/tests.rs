//! Messages written by hand after RFC 1928 sections 3 to 6.

use std::io;
use std::time::Duration;

use mesh_core::outcome::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{AcceptError, DEFAULT_TIMEOUT, Handshake, ProtocolError, Reply, Request, Step, accept};

const GREETING: &[u8] = &[5, 2, 1, 0];

/// Feeds a whole conversation byte by byte and checks that no more is asked for than belongs to it.
fn converse(input: &[u8]) -> Result<(Request, usize), ProtocolError> {
    let mut handshake = Handshake::default();
    for (at, byte) in input.iter().enumerate() {
        assert!(handshake.wants() > 0, "not over at {at}");
        if let Step::Request(request) = handshake.receive(&[*byte])? {
            assert_eq!(handshake.wants(), 0);
            return Ok((request, at + 1));
        }
    }
    panic!("the conversation {input:?} does not end");
}

#[test]
fn requests_of_every_address_type_are_understood() {
    let v6 = [0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 1];
    let longest = "a".repeat(255);
    let cases: [(&str, Vec<u8>, String); 5] = [
        ("IPv4", vec![1, 192, 0, 2, 7], "192.0.2.7:8080".into()),
        (
            "IPv6",
            [&[4], &v6[..]].concat(),
            "[2001:db8::9]:8080".into(),
        ),
        (
            "IPv4 mapped into IPv6",
            [&[4], &mapped[..]].concat(),
            "10.0.0.1:8080".into(),
        ),
        (
            "domain name",
            [&[3, 9], &b"web.a.svc"[..]].concat(),
            "web.a.svc:8080".into(),
        ),
        (
            "longest domain name",
            [&[3, 255], longest.as_bytes()].concat(),
            format!("{longest}:8080"),
        ),
    ];
    for (name, address, expected) in cases {
        let input = [GREETING, &[5, 1, 0], &address, &[0x1F, 0x90]].concat();
        let (request, length) = converse(&input).unwrap();
        assert_eq!(request.to_string(), expected, "{name}");
        assert_eq!(length, input.len(), "{name}");
    }
}

#[test]
fn what_is_not_offered_is_refused_with_the_code_of_the_rfc() {
    let reply = |code| Some(vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
    let request = |rest: &[u8]| [GREETING, rest].concat();
    type Answer = Option<Vec<u8>>;
    let cases: [(&str, Vec<u8>, ProtocolError, Answer); 9] = [
        ("SOCKS 4", vec![4, 1], ProtocolError::Version, None),
        ("HTTP", b"GE".to_vec(), ProtocolError::Version, None),
        (
            "password only",
            vec![5, 1, 2],
            ProtocolError::Method,
            Some(vec![5, 0xFF]),
        ),
        (
            "no method at all",
            vec![5, 0],
            ProtocolError::Method,
            Some(vec![5, 0xFF]),
        ),
        ("BIND", request(&[5, 2]), ProtocolError::Command, reply(7)),
        ("UDP", request(&[5, 3]), ProtocolError::Command, reply(7)),
        (
            "address type 2",
            request(&[5, 1, 0, 2]),
            ProtocolError::AddressType,
            reply(8),
        ),
        (
            "empty name",
            request(&[5, 1, 0, 3, 0]),
            ProtocolError::Malformed,
            reply(1),
        ),
        (
            "a space in the name",
            request(&[5, 1, 0, 3, 3, b'a', b' ', b'b', 0, 80]),
            ProtocolError::Malformed,
            reply(1),
        ),
    ];
    for (name, input, error, answer) in cases {
        assert_eq!(converse(&input), Err(error), "{name}");
        assert_eq!(error.answer(), answer, "{name}");
    }
}

#[test]
fn more_than_was_asked_for_is_refused() {
    let mut handshake = Handshake::default();
    assert_eq!(handshake.receive(&[5, 1, 0]), Err(ProtocolError::Excess));
}

#[test]
fn outcomes_have_reply_codes() {
    let outcomes = [
        (Outcome::PolicyDenied, 2),
        (Outcome::Unresolved, 4),
        (Outcome::ConnectTimeout, 4),
        (Outcome::ConnectFailure, 5),
        (Outcome::TlsFailure, 1),
    ];
    for (outcome, code) in outcomes {
        assert_eq!(Reply::from(outcome) as u8, code, "{outcome:?}");
    }
    let kinds = [
        (io::ErrorKind::NetworkUnreachable, 3),
        (io::ErrorKind::HostUnreachable, 4),
        (io::ErrorKind::TimedOut, 4),
        (io::ErrorKind::ConnectionRefused, 5),
        (io::ErrorKind::Other, 1),
    ];
    for (kind, code) in kinds {
        assert_eq!(Reply::from(kind) as u8, code, "{kind:?}");
    }
}

#[test]
fn a_reply_carries_the_bound_address() {
    let v6 = "[2001:db8::9]:258".parse().unwrap();
    let mut expected = vec![5, 0, 0, 4, 0x20, 1, 0xD, 0xB8];
    expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 1, 2]);
    assert_eq!(Reply::Succeeded.encode(Some(v6)), expected);
}

#[tokio::test]
async fn success_is_told_only_when_asked_and_early_data_stays_in_the_stream() {
    let (mut client, server) = tokio::io::duplex(64);
    let sent = [GREETING, &[5, 1, 0, 1, 10, 0, 0, 1, 0, 80], b"early"].concat();
    client.write_all(&sent).await.unwrap();
    let pending = accept(server, DEFAULT_TIMEOUT).await.unwrap();
    assert_eq!(pending.request().to_string(), "10.0.0.1:80");

    let mut method = [0; 2];
    client.read_exact(&mut method).await.unwrap();
    assert_eq!(method, [5, 0]);
    let mut byte = [0];
    let silent = futures_util::FutureExt::now_or_never(client.read(&mut byte));
    assert!(
        silent.is_none(),
        "answered before the upstream is connected"
    );

    let mut stream = pending.succeed(None).await.unwrap();
    let mut reply = [0; 10];
    client.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply, [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let mut early = [0; 5];
    stream.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"early");
}

#[tokio::test]
async fn a_refused_request_ends_with_its_code() {
    let (mut client, server) = tokio::io::duplex(64);
    let sent = [GREETING, &[5, 1, 0, 1, 10, 0, 0, 1, 0, 80]].concat();
    client.write_all(&sent).await.unwrap();
    let pending = accept(server, DEFAULT_TIMEOUT).await.unwrap();
    pending.refuse(Reply::ConnectionRefused).await.unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, [5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn a_client_with_the_wrong_methods_hears_of_it() {
    let (mut client, server) = tokio::io::duplex(64);
    client.write_all(&[5, 1, 2]).await.unwrap();
    let error = accept(server, DEFAULT_TIMEOUT).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::BadRequest);
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, [5, 0xFF]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_given_up() {
    let (_client, server) = tokio::io::duplex(64);
    let error = accept(server, Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(error, AcceptError::Timeout), "{error:?}");
}

proptest::proptest! {
    #[test]
    fn receiving_is_total_and_bounded(input in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        let mut handshake = Handshake::default();
        let mut rest = input.as_slice();
        while !rest.is_empty() && handshake.wants() > 0 {
            proptest::prop_assert!(handshake.wants() <= 262);
            let (now, later) = rest.split_at(handshake.wants().min(rest.len()));
            rest = later;
            if handshake.receive(now).is_err() {
                break;
            }
        }
    }
}
