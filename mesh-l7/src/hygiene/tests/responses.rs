use super::*;

fn framing(method: &str, head: &str) -> Result<Body, BadHead> {
    let framing = check_response(head.as_bytes(), method, false, &HygieneRules::default());
    framing.map(|framing| framing.body)
}

#[test]
fn the_length_of_a_response_follows_from_status_method_and_headers() {
    // RFC 9112 §6.3.
    for (method, head, body) in [
        ("GET", "200 OK\r\nContent-Length: 5", Body::Length(5)),
        ("GET", "200 OK\r\nContent-Length: 0", Body::None),
        ("GET", "200 OK\r\nTransfer-Encoding: chunked", Body::Chunked),
        ("GET", "200 OK", Body::UntilClose),
        ("GET", "200 ", Body::UntilClose),
        ("GET", "200", Body::UntilClose),
        ("HEAD", "200 OK\r\nContent-Length: 5", Body::None),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked", Body::None),
        ("GET", "204 No Content", Body::None),
        ("GET", "304 Not Modified\r\nContent-Length: 5", Body::None),
        ("GET", "103 Early Hints", Body::None),
        ("CONNECT", "200 OK", Body::None),
        (
            "CONNECT",
            "403 Forbidden\r\nContent-Length: 5",
            Body::Length(5),
        ),
    ] {
        assert_eq!(
            framing(method, &format!("HTTP/1.1 {head}\r\n\r\n")),
            Ok(body),
            "{method} {head}"
        );
    }
    let old = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(framing("GET", old), Ok(Body::Length(5)));
}

#[test]
fn a_response_with_a_fault_is_the_servers() {
    for (head, fault) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
            BadHead::DuplicateLength,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: a", BadHead::Length),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            BadHead::LengthAndCoding,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
            BadHead::Coding,
        ),
        (
            "HTTP/1.1 204 -\r\nTransfer-Encoding: nonsense",
            BadHead::Coding,
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
            BadHead::CodingNotAllowed,
        ),
        ("HTTP/1.1 200 OK\r\nX: a\0", BadHead::Value),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b", BadHead::Folded),
        ("HTTP/1.1 200 OK\nX: a", BadHead::BareLineFeed),
        ("HTTP/1.1 200 O\0K", BadHead::StartLine),
        ("HTTP/1.1 20 OK", BadHead::Status),
        ("HTTP/1.1 0200 OK", BadHead::Status),
        ("HTTP/1.1 600 OK", BadHead::Status),
        ("HTTP/1.1 099 OK", BadHead::Status),
        ("HTTP/1.1  200 OK", BadHead::Status),
        ("HTTP/1.1", BadHead::StartLine),
        ("HTTP/2.0 200 OK", BadHead::Version),
        ("ICY 200 OK", BadHead::StartLine),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket",
            BadHead::UnexpectedSwitch,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: content-length",
            BadHead::ConnectionOption,
        ),
    ] {
        assert_eq!(
            framing("GET", &format!("{head}\r\n\r\n")),
            Err(fault),
            "{head}"
        );
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(101));
    assert_eq!(
        framing("GET", &many),
        Err(BadHead::TooManyLines { limit: 100 })
    );
}

#[test]
fn a_connection_is_kept_only_when_the_end_of_the_response_is_known() {
    let rules = HygieneRules::default();
    let keep = |head: &str| {
        check_response(head.as_bytes(), "GET", false, &rules)
            .unwrap()
            .keep_alive
    };
    assert!(keep("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"));
    assert!(!keep("HTTP/1.1 200 OK\r\n\r\n"));
    assert!(!keep(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    ));
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    assert!(
        check_response(switched, "GET", true, &rules)
            .unwrap()
            .switches
    );
}
