//! The rows of l7.md 2.15, as bytes, in its order. Whether the connection is closed is not part of a
//! row: it is, after every refusal.

use super::*;

const HOST: &str = "Host: web\r\n";

fn post(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\n{HOST}{lines}\r\n")
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{HOST}\r\n")
}

#[test]
fn a_length_and_a_coding_together() {
    let lines = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(status(post(lines)), 400);
    assert_eq!(
        status(post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")),
        400
    );
}

#[test]
fn two_different_lengths() {
    assert_eq!(
        status(post("Content-Length: 5\r\nContent-Length: 6\r\n")),
        400
    );
}

#[test]
fn two_equal_lengths() {
    assert_eq!(
        status(post("Content-Length: 5\r\nContent-Length: 5\r\n")),
        400
    );
    assert_eq!(
        status(post("Content-Length: 0\r\ncontent-length: 0\r\n")),
        400
    );
}

#[test]
fn a_list_of_lengths() {
    assert_eq!(status(post("Content-Length: 5, 5\r\n")), 400);
    assert_eq!(status(post("Content-Length: 5,5\r\n")), 400);
}

#[test]
fn a_length_with_a_sign() {
    for length in [
        "+5",
        "-5",
        "5.0",
        "0x5",
        "",
        "5 5",
        "18446744073709551616",
        "\u{a0}5",
    ] {
        assert_eq!(
            status(post(&format!("Content-Length: {length}\r\n"))),
            400,
            "{length}"
        );
    }
    assert_eq!(
        body(post("Content-Length: \t18446744073709551615 \r\n")),
        Body::Length(u64::MAX)
    );
}

#[test]
fn an_unknown_coding() {
    for coding in [
        "xchunked",
        "identity",
        "chunked;q=1",
        "",
        ",chunked",
        "chunked,",
        "chunked\u{b}",
    ] {
        assert_eq!(
            status(post(&format!("Transfer-Encoding: {coding}\r\n"))),
            400,
            "{coding}"
        );
    }
}

#[test]
fn a_coding_besides_chunked() {
    assert_eq!(status(post("Transfer-Encoding: gzip, chunked\r\n")), 501);
    assert_eq!(
        status(post(
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
        )),
        501
    );
    assert_eq!(status(post("Transfer-Encoding: gzip\r\n")), 400);
    assert_eq!(status(post("Transfer-Encoding: chunked, gzip\r\n")), 400);
}

#[test]
fn chunked_twice() {
    assert_eq!(status(post("Transfer-Encoding: chunked, chunked\r\n")), 400);
    assert_eq!(
        status(post(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
        )),
        400
    );
    assert_eq!(
        body(post("tRANSFER-eNCODING:\tChunked \r\n")),
        Body::Chunked
    );
}

#[test]
fn a_coding_in_http_1_0() {
    let head = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(status(head), 400);
}

#[test]
fn http_1_0() {
    let head = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let (status, framing) = answer(head, &HygieneRules::default());
    let framing = framing.unwrap();
    assert_eq!(
        (status, framing.version, framing.keep_alive),
        (200, Version::Http10, false)
    );
    let without = HygieneRules {
        http10: false,
        ..HygieneRules::default()
    };
    assert_eq!(answer(head, &without).0, 426);
}

#[test]
fn a_space_before_the_colon() {
    assert_eq!(status(post("Content-Length : 5\r\n")), 400);
    assert_eq!(status(post("Transfer-Encoding\t: chunked\r\n")), 400);
    assert_eq!(status(post(": 5\r\n")), 400);
}

#[test]
fn a_folded_line() {
    assert_eq!(status(post("X: a\r\n b\r\n")), 400);
    assert_eq!(status(post("X: a\r\n\tb\r\n")), 400);
    assert_eq!(status("GET / HTTP/1.1\r\n Host: web\r\n\r\n"), 400);
}

#[test]
fn lines_that_end_with_a_line_feed_alone() {
    assert_eq!(status("GET / HTTP/1.1\nHost: web\n\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: web\r\n\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nX: a\nHost: web\r\n\r\n"), 400);
}

#[test]
fn a_carriage_return_in_a_value() {
    assert_eq!(status(post("X: a\rb\r\n")), 400);
    assert_eq!(status(post("X: a\r\r\n")), 400);
    assert_eq!(status("GET /\r HTTP/1.1\r\nHost: web\r\n\r\n"), 400);
}

#[test]
fn a_nul_in_a_value() {
    for byte in (0..=0x1f_u8).chain([0x7f]).filter(|b| *b != b'\t') {
        assert_eq!(
            status(post(&format!("X: a{}b\r\n", char::from(byte)))),
            400,
            "{byte}"
        );
    }
    assert_eq!(
        status(b"GET / HTTP/1.1\r\nHost: web\r\nX: a\tb\xe4 c\r\n\r\n"),
        200
    );
}

#[test]
fn no_host() {
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status("GET http://web/ HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400);
}

#[test]
fn two_hosts() {
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n"), 400);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), 400);
}

#[test]
fn a_uri_and_another_host() {
    let head = get("http://other:80/x");
    assert_eq!(status(&head), 200);
    let strict = HygieneRules {
        absolute_form: AbsoluteForm::MustAgree,
        ..HygieneRules::default()
    };
    assert_eq!(answer(&head, &strict).0, 400);
    assert_eq!(answer(get("http://WEB/x"), &strict).0, 200);
    let (mut parts, ()) = http::Request::get("http://other:80/x")
        .header("host", "web")
        .body(())
        .unwrap()
        .into_parts();
    admit(&mut parts, &HygieneRules::default()).unwrap();
    assert_eq!(parts.headers["host"], "other:80");
    for target in [
        "http://u@web/",
        "ftp://web/",
        "http:///x",
        "http://we%62/",
        "web/x",
    ] {
        assert_eq!(status(get(target)), 400, "{target}");
    }
}

#[test]
fn an_unknown_method() {
    let strict = HygieneRules {
        methods: Methods::Standard,
        ..HygieneRules::default()
    };
    for (method, by_default, strictly) in [
        ("GET", 200, 200),
        ("FOO", 200, 400),
        ("get", 200, 400),
        ("M-SEARCH", 200, 400),
        ("G(T", 400, 400),
        ("", 400, 400),
    ] {
        let head = format!("{method} / HTTP/1.1\r\nHost: web\r\n\r\n");
        assert_eq!(status(&head), by_default, "{method}");
        assert_eq!(answer(&head, &strict).0, strictly, "{method}");
    }
}

#[test]
fn connect_is_left_to_routes() {
    let head = "CONNECT web:443 HTTP/1.1\r\nHost: web:443\r\n\r\n";
    let (_, framing) = answer(head, &HygieneRules::default());
    assert!(framing.is_some_and(|framing| framing.switches));
    for head in [
        "CONNECT / HTTP/1.1\r\nHost: web\r\n\r\n",
        "CONNECT web HTTP/1.1\r\nHost: web\r\n\r\n",
        "CONNECT web:1 HTTP/1.1\r\nHost: web:1\r\nContent-Length: 1\r\n\r\n",
        "CONNECT web:1 HTTP/1.1\r\nHost: web:1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(status(head), 400, "{head}");
    }
}

#[test]
fn options_of_the_server_are_left_to_routes() {
    assert_eq!(status("OPTIONS * HTTP/1.1\r\nHost: web\r\n\r\n"), 200);
    assert_eq!(status(get("*")), 400);
}

#[test]
fn a_fragment_in_the_target() {
    assert_eq!(status(get("/a#b")), 400);
    assert_eq!(status(get("http://web/a#")), 400);
}

#[test]
fn dot_segments_backslashes_and_the_path_above_the_root() {
    // Heads pass; the path is normalised before anything looks at it.
    use mesh_core::target::{PathNormalization, Target};
    for (sent, forwarded) in [
        ("/x/../ok", "/ok"),
        (r"\x".replace('\\', "/\\").as_str(), "//x"),
        ("/../ok", "/ok"),
    ] {
        assert_eq!(status(get(sent)), 200);
        let target = Target::normalize(sent.as_bytes(), PathNormalization::Base).unwrap();
        assert_eq!(target.path(), forwarded);
    }
}

#[test]
fn an_underscore_in_a_header_name() {
    let with = |underscores| HygieneRules {
        underscores,
        ..HygieneRules::default()
    };
    let head = post("X_Y: 1\r\n");
    assert_eq!(answer(&head, &with(Underscores::Keep)).0, 200);
    assert_eq!(answer(&head, &with(Underscores::Drop)).0, 200);
    assert_eq!(answer(&head, &with(Underscores::Reject)).0, 400);
    for (underscores, kept) in [(Underscores::Keep, true), (Underscores::Drop, false)] {
        let request = http::Request::get("/")
            .header("host", "web")
            .header("x_y", "1");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        admit(&mut parts, &with(underscores)).unwrap();
        assert_eq!(parts.headers.contains_key("x_y"), kept);
    }
}

#[test]
fn a_head_longer_than_60_kib() {
    let limit = 60 * 1024;
    let head = |length: usize| {
        let rest = get("/").len() + "X: \r\n".len();
        format!(
            "GET / HTTP/1.1\r\n{HOST}X: {}\r\n\r\n",
            "a".repeat(length - rest)
        )
    };
    assert_eq!(status(head(limit)), 200);
    assert_eq!(status(head(limit + 1)), 431);
}

#[test]
fn more_than_100_header_lines() {
    assert_eq!(status(post(&"X: a\r\n".repeat(99))), 200);
    assert_eq!(status(post(&"X: a\r\n".repeat(100))), 431);
}

#[test]
fn chunk_extensions() {
    let chunk = |extension: usize| format!("1;{}\r\na\r\n0\r\n\r\n", "e".repeat(extension - 1));
    let mut body = ChunkedBody::new(&HygieneRules::default());
    assert!(body.take(chunk(16 * 1024).as_bytes()).is_ok() && body.is_finished());
    let mut body = ChunkedBody::new(&HygieneRules::default());
    assert_eq!(
        body.take(chunk(16 * 1024 + 1).as_bytes()),
        Err(BadHead::Chunk)
    );
}

#[test]
fn a_bad_chunk_size() {
    for chunk in [
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        "1 2\r\n",
        " 1\r\n",
        "1\n",
        "1 \r\n",
        ";\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1\r\na1\r\n",
        "00000000000000001\r\n",
        "1;\u{1}\r\n",
        "1\r2",
    ] {
        let mut body = ChunkedBody::new(&HygieneRules::default());
        assert_eq!(
            body.take(chunk.as_bytes()),
            Err(BadHead::Chunk),
            "{chunk:?}"
        );
    }
    assert_eq!(BadHead::Chunk.status(), 400);
}

#[test]
fn trailers_are_forwarded_without_forbidden_names() {
    let mut trailers = http::HeaderMap::new();
    for name in [
        "grpc-status",
        "x-checksum",
        "content-length",
        "host",
        "if-match",
        "x-forwarded-for",
    ] {
        trailers.insert(name, http::HeaderValue::from_static("0"));
    }
    clean_trailers(&mut trailers);
    let mut kept: Vec<_> = trailers.keys().map(http::HeaderName::as_str).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["grpc-status", "x-checksum"]);
}

#[test]
fn connection_must_not_name_what_frames_routes_or_traces_a_request() {
    for name in [
        "host",
        "Content-Length",
        "transfer-encoding",
        "X-Forwarded-For",
        "x-request-id",
        "cookie",
    ] {
        assert_eq!(
            status(post(&format!("Connection: close, {name}\r\n"))),
            400,
            "{name}"
        );
    }
    assert_eq!(status(post("Connection: a b\r\n")), 400);
    assert_eq!(status(post("Connection: x-hop,, close\r\n")), 200);
}

#[test]
fn a_body_with_get() {
    let head = format!("GET / HTTP/1.1\r\n{HOST}Content-Length: 3\r\n\r\n");
    assert_eq!(body(head), Body::Length(3));
}

#[test]
fn an_unknown_upgrade() {
    let upgrade = |protocol: &str| post(&format!("Connection: Upgrade\r\nUpgrade: {protocol}\r\n"));
    assert_eq!(status(upgrade("irc")), 403);
    assert_eq!(status(upgrade("websocket, irc")), 403);
    for (protocol, switches) in [
        ("WebSocket", true),
        ("h2c", false),
        ("h2c, websocket", true),
    ] {
        let (_, framing) = answer(upgrade(protocol), &HygieneRules::default());
        assert_eq!(
            framing.map(|framing| framing.switches),
            Some(switches),
            "{protocol}"
        );
    }
    // Without having been named by `Connection` it means nothing.
    assert_eq!(status(post("Upgrade: irc\r\n")), 200);
}

#[test]
fn pipelining() {
    let mut requests = RequestStream::new(HygieneRules::default());
    let first = format!("{}abc", post("Content-Length: 3\r\n"));
    let second = format!(
        "{}1\r\na\r\n0\r\n\r\n",
        post("Transfer-Encoding: chunked\r\n")
    );
    let third = get("/3");
    let all = [first.as_str(), &second, &third].concat();
    assert_eq!(requests.accept(all.as_bytes()), Ok(all.len()));
}
