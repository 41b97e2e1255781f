use super::*;

#[test]
fn the_first_line_has_three_parts() {
    for (line, expected) in [
        ("GET / HTTP/1.1", 200),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        (" GET / HTTP/1.1", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET /", 400),
        ("GET", 400),
        ("", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1.01", 400),
        ("GET / HTTP/11", 400),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/0.9", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET /\u{e4} HTTP/1.1", 400),
    ] {
        assert_eq!(
            status(format!("{line}\r\nHost: web\r\n\r\n")),
            expected,
            "{line:?}"
        );
    }
}

#[test]
fn one_empty_line_may_come_before_a_head() {
    assert_eq!(status("\r\nGET / HTTP/1.1\r\nHost: web\r\n\r\n"), 200);
    assert_eq!(status("\r\n\r\nGET / HTTP/1.1\r\nHost: web\r\n\r\n"), 400);
    let mut requests = RequestStream::new(HygieneRules::default());
    assert_eq!(requests.accept(b"\r\n"), Ok(0));
    let head = b"\r\nGET / HTTP/1.1\r\nHost: web\r\n\r\n";
    assert_eq!(requests.accept(head), Ok(head.len()));
    assert_eq!(requests.accept(b"\r\n\r\n"), Err(BadHead::StartLine));
}

#[test]
fn a_head_ends_with_its_empty_line_and_not_before_or_after() {
    let rules = HygieneRules::default();
    for head in [
        "GET / HTTP/1.1\r\nHost: web\r\n",
        "GET / HTTP/1.1\r\nHost: web",
        "GET / HTTP/1.1\r\nHost: web\r\n\r\nGET",
        "",
    ] {
        assert_eq!(
            check(head.as_bytes(), &rules),
            Err(BadHead::Unfinished),
            "{head}"
        );
    }
}

#[test]
fn connections_stay_open_unless_that_is_not_wanted() {
    let keep_alive = |lines: &str| {
        let head = format!("GET / HTTP/1.1\r\nHost: web\r\n{lines}\r\n");
        check(head.as_bytes(), &HygieneRules::default())
            .unwrap()
            .keep_alive
    };
    assert!(keep_alive(""));
    assert!(!keep_alive("Connection: close\r\n"));
    assert!(!keep_alive("Connection: x\r\nConnection: y, CLOSE\r\n"));
}

#[test]
fn expectations_are_known_ones() {
    let expect = |value| {
        status(format!(
            "GET / HTTP/1.1\r\nHost: web\r\nExpect: {value}\r\n\r\n"
        ))
    };
    assert_eq!(expect("100-Continue"), 200);
    assert_eq!(expect("200-ok"), 417);
}

#[test]
fn every_fault_has_a_status_of_a_refusal() {
    for fault in [
        BadHead::Unfinished,
        BadHead::Version,
        BadHead::UnservedCoding,
        BadHead::Upgrade,
        BadHead::TooManyLines { limit: 1 },
    ] {
        assert!((400..600).contains(&fault.status()));
    }
}
