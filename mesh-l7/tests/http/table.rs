//! The rows of l7.md 2.15 on a served connection: bytes in, answers out, and what the service behind
//! has seen. Each is sent at once and byte by byte.

use crate::raw::{Outcome, patient, send};

/// A row: what is sent, the statuses of the answers, and what the service sees.
type Row = (
    &'static str,
    String,
    &'static [u16],
    &'static [&'static str],
);

fn post(lines: &str, body: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: web\r\n{lines}\r\n{body}")
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: web\r\n\r\n")
}

fn rows() -> Vec<Row> {
    let refused = |name, bytes, statuses| -> Row { (name, bytes, statuses, &[]) };
    vec![
        refused(
            "CL and TE together",
            post(
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
            &[400],
        ),
        refused(
            "two different CL",
            post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
            &[400],
        ),
        refused(
            "two equal CL",
            post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
            &[400],
        ),
        refused("CL list", post("Content-Length: 5, 5\r\n", "hello"), &[400]),
        refused(
            "CL with a sign",
            post("Content-Length: +5\r\n", "hello"),
            &[400],
        ),
        refused(
            "TE xchunked",
            post("Transfer-Encoding: xchunked\r\n", ""),
            &[400],
        ),
        refused(
            "TE identity",
            post("Transfer-Encoding: identity\r\n", ""),
            &[400],
        ),
        refused(
            "TE gzip, chunked",
            post("Transfer-Encoding: gzip, chunked\r\n", ""),
            &[501],
        ),
        refused(
            "TE chunked twice",
            post("Transfer-Encoding: chunked, chunked\r\n", ""),
            &[400],
        ),
        refused(
            "TE on HTTP/1.0",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            &[400],
        ),
        (
            "HTTP/1.0",
            "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n".into(),
            &[200],
            &["GET /a"],
        ),
        refused(
            "space before colon",
            post("Content-Length : 5\r\n", "hello"),
            &[400],
        ),
        refused("obs-fold", post("X: a\r\n b\r\n", ""), &[400]),
        refused("bare LF", "GET / HTTP/1.1\nHost: web\n\n".into(), &[400]),
        refused("bare CR in value", post("X: a\rb\r\n", ""), &[400]),
        refused("NUL in value", post("X: a\0b\r\n", ""), &[400]),
        refused("no Host", "GET / HTTP/1.1\r\n\r\n".into(), &[400]),
        refused(
            "two Hosts",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(),
            &[400],
        ),
        (
            "absolute-form and Host",
            get("http://other/x/../y"),
            &[200],
            &["GET /y"],
        ),
        (
            "unknown method",
            "FOO / HTTP/1.1\r\nHost: web\r\n\r\n".into(),
            &[200],
            &["FOO /"],
        ),
        (
            "OPTIONS *",
            "OPTIONS * HTTP/1.1\r\nHost: web\r\n\r\n".into(),
            &[200],
            &["OPTIONS *"],
        ),
        refused("fragment", get("/a#b"), &[400]),
        ("dot segments", get("/x/../ok"), &[200], &["GET /ok"]),
        ("backslash", get("/x\\..\\ok"), &[200], &["GET /ok"]),
        ("above the root", get("/../ok"), &[200], &["GET /ok"]),
        (
            "underscore header",
            post("X_Y: 1\r\n", ""),
            &[200],
            &["POST /p"],
        ),
        refused(
            "header block over 60 KiB",
            post(&format!("X: {}\r\n", "a".repeat(60 * 1024)), ""),
            &[431],
        ),
        refused(
            "over 100 header lines",
            post(&"X: 1\r\n".repeat(100), ""),
            &[431],
        ),
        (
            "chunk extension",
            post(
                "Transfer-Encoding: chunked\r\n",
                "5;a=b\r\nhello\r\n0\r\n\r\n",
            ),
            &[200],
            &["POST /p"],
        ),
        (
            // The service has seen a body that broke, and what it said is not what the client gets.
            "bad chunk size",
            post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\nzz\r\n"),
            &[400],
            &["POST /p"],
        ),
        refused("Connection: host", post("Connection: host\r\n", ""), &[400]),
        refused(
            "Connection: x-forwarded-for",
            post("Connection: close, X-Forwarded-For\r\n", ""),
            &[400],
        ),
        (
            "GET with body",
            "GET /g HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello".into(),
            &[200],
            &["GET /g"],
        ),
        refused(
            "unknown Upgrade",
            post("Connection: upgrade\r\nUpgrade: irc\r\n", ""),
            &[403],
        ),
        (
            "h2c upgrade",
            post(
                "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n",
                "",
            ),
            &[200],
            &["POST /p"],
        ),
        (
            "pipelining",
            [post("Content-Length: 3\r\n", "abc"), get("/2"), get("/3")].concat(),
            &[200, 200, 200],
            &["POST /p", "GET /2", "GET /3"],
        ),
        (
            "a fault after good requests",
            [get("/1"), get("/2"), get("/a#b"), get("/4")].concat(),
            &[200, 200, 400],
            &["GET /1", "GET /2"],
        ),
        ("not HTTP", "EHLO mail.example\r\n\r\n".into(), &[400], &[]),
        (
            "smuggled behind a body",
            post(
                "Content-Length: 4\r\n",
                "abcdGET /x HTTP/1.1\r\n Host: web\r\n\r\n",
            ),
            &[200, 400],
            &["POST /p"],
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_row_is_answered_as_the_table_says() {
    for (name, bytes, statuses, lines) in rows() {
        for cut in [usize::MAX, 1] {
            let outcome = send(bytes.as_bytes(), cut, patient()).await;
            assert_eq!(outcome.statuses, statuses, "{name}: {}", outcome.answer);
            assert_eq!(outcome.lines(), lines, "{name}");
            well_formed(name, &outcome);
            let refused = statuses.last() != Some(&200);
            let says_close = outcome.answer.contains("connection: close\r\n");
            assert!(!refused || says_close, "{name}: {}", outcome.answer);
        }
    }
}

/// What no service may see, whatever was sent.
fn well_formed(name: &str, outcome: &Outcome) {
    for seen in &outcome.seen {
        let headers = &seen.headers;
        let hosts = headers.get_all("host").iter().count();
        assert!(hosts == 1 || (hosts == 0 && name == "HTTP/1.0"), "{name}");
        assert!(
            headers.get_all("content-length").iter().count() <= 1,
            "{name}"
        );
        for gone in [
            "connection",
            "transfer-encoding",
            "upgrade",
            "http2-settings",
            "keep-alive",
        ] {
            assert!(!headers.contains_key(gone), "{name}: {gone}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_uri_counts_and_host_is_what_it_says() {
    let outcome = send(get("http://other:81/x").as_bytes(), 9, patient()).await;
    assert_eq!(outcome.seen[0].headers["host"], "other:81");
    assert_eq!(outcome.seen[0].line, "GET /x");
}

#[tokio::test(start_paused = true)]
async fn bodies_and_trailers_are_seen_without_their_framing() {
    let chunked = "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n";
    let head = post("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", chunked);
    let outcome = send(head.as_bytes(), 3, patient()).await;
    let seen = &outcome.seen[0];
    assert_eq!(seen.body.as_deref(), Some(&b"abcde"[..]));
    let trailers = seen.trailers.as_ref().unwrap();
    assert_eq!(
        (trailers["x-sum"].as_bytes(), trailers.len()),
        (&b"1"[..], 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_is_no_body() {
    let broken = post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\nzz\r\n");
    let outcome = send(broken.as_bytes(), usize::MAX, patient()).await;
    assert_eq!(outcome.seen[0].body, None);
    let short = post("Content-Length: 9\r\n", "hello");
    let outcome = send(short.as_bytes(), usize::MAX, patient()).await;
    assert_eq!(outcome.seen[0].body, None);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http_1_0_is_never_said_to_be_kept() {
    let head = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let outcome = send(head, 7, patient()).await;
    assert!(
        outcome.answer.contains("connection: close\r\n"),
        "{}",
        outcome.answer
    );
}

#[tokio::test(start_paused = true)]
async fn http_1_0_can_be_switched_off() {
    let mut settings = patient();
    settings.rules.http10 = false;
    let outcome = send(b"GET / HTTP/1.0\r\n\r\n", 1, settings).await;
    assert_eq!(outcome.statuses, [426]);
    assert!(outcome.seen.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_is_told_to_go_on() {
    let head = post("Content-Length: 2\r\nExpect: 100-continue\r\n", "ab");
    let outcome = send(head.as_bytes(), 1, patient()).await;
    assert_eq!(outcome.statuses, [100, 200]);
    assert!(!outcome.seen[0].headers.contains_key("expect"));
}

#[tokio::test(start_paused = true)]
async fn a_path_with_escaped_slashes_is_answered_as_the_rules_say() {
    use mesh_core::target::{EscapedSlashes, TargetRules};
    let with = |escaped_slashes| {
        let mut settings = patient();
        settings.targets = TargetRules {
            escaped_slashes,
            ..TargetRules::default()
        };
        settings
    };
    let bytes = get("/a%2Fb");
    let rejected = send(bytes.as_bytes(), 64, with(EscapedSlashes::Reject)).await;
    assert_eq!(rejected.statuses, [400]);
    let redirected = send(bytes.as_bytes(), 64, with(EscapedSlashes::Redirect)).await;
    assert_eq!(redirected.statuses, [307]);
    assert!(redirected.answer.contains("location: /a/b\r\n"));
    assert!(rejected.seen.is_empty() && redirected.seen.is_empty());
}
