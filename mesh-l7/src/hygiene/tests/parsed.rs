use http::{HeaderMap, HeaderValue, Request, Response, Version as Http, request};

use super::*;

fn parts(version: Http, uri: &str, lines: &[(&str, &str)]) -> request::Parts {
    let mut request = Request::get(uri).version(version);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn admitted(version: Http, uri: &str, lines: &[(&str, &str)]) -> Result<Admitted, BadHead> {
    admit(&mut parts(version, uri, lines), &HygieneRules::default())
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn headers_of_the_connection_are_removed_and_remembered() {
    let mut parts = parts(
        Http::HTTP_11,
        "/",
        &[
            ("host", "web"),
            ("connection", "X-Hop, upgrade"),
            ("connection", "keep-alive, te"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip;q=0.5, Trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c, websocket"),
            ("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
            ("expect", "100-continue"),
            ("trailer", "x-checksum"),
            ("x-other", "2"),
        ],
    );
    let admitted = admit(&mut parts, &HygieneRules::default()).unwrap();
    assert_eq!(names(&parts.headers), ["host", "trailer", "x-other"]);
    assert!(admitted.expects_continue && admitted.accepts_trailers);
    assert_eq!(
        admitted.upgrade,
        Some(HeaderValue::from_static("h2c, websocket"))
    );
    // And once more for the next connection.
    for_http1(&mut parts.headers, &admitted);
    assert_eq!(parts.headers["connection"], "upgrade, te");
    assert_eq!(parts.headers["te"], "trailers");
}

#[test]
fn http_2_has_no_headers_of_connections() {
    // RFC 9113 §8.2.2.
    for (name, value, expected) in [
        ("connection", "close", Err(BadHead::ConnectionSpecific)),
        ("keep-alive", "timeout=5", Err(BadHead::ConnectionSpecific)),
        (
            "proxy-connection",
            "close",
            Err(BadHead::ConnectionSpecific),
        ),
        (
            "transfer-encoding",
            "chunked",
            Err(BadHead::ConnectionSpecific),
        ),
        ("upgrade", "websocket", Err(BadHead::ConnectionSpecific)),
        ("te", "gzip", Err(BadHead::ConnectionSpecific)),
        ("te", "trailers, gzip", Err(BadHead::ConnectionSpecific)),
        ("te", "trailers", Ok(true)),
        ("x", "y", Ok(false)),
        ("content-length", "1, 1", Err(BadHead::Length)),
    ] {
        let found = admitted(Http::HTTP_2, "http://web/", &[(name, value)]);
        assert_eq!(
            found.map(|a| a.accepts_trailers),
            expected,
            "{name}: {value}"
        );
    }
}

#[test]
fn a_request_has_one_host() {
    use mesh_core::target::BadHost;
    for (version, uri, lines, expected) in [
        (Http::HTTP_11, "/", &[][..], Err(BadHead::NoHost)),
        (Http::HTTP_10, "/", &[][..], Ok(None)),
        (
            Http::HTTP_11,
            "/",
            &[("host", "a"), ("host", "a")][..],
            Err(BadHead::DuplicateHost),
        ),
        (
            Http::HTTP_11,
            "/",
            &[("host", "u@a")][..],
            Err(BadHead::Host(BadHost::Character { position: 1 })),
        ),
        (Http::HTTP_11, "/", &[("host", "a:1")][..], Ok(Some("a:1"))),
        (
            Http::HTTP_11,
            "http://b/",
            &[("host", "a")][..],
            Ok(Some("b")),
        ),
        (Http::HTTP_2, "http://b/", &[][..], Ok(Some("b"))),
        (
            Http::HTTP_2,
            "http://b/",
            &[("host", "B")][..],
            Ok(Some("b")),
        ),
        (
            Http::HTTP_2,
            "http://b/",
            &[("host", "a")][..],
            Err(BadHead::HostMismatch),
        ),
        (Http::HTTP_2, "/", &[("host", "a")][..], Ok(Some("a"))),
        (Http::HTTP_2, "/", &[][..], Err(BadHead::NoHost)),
    ] {
        let mut parts = parts(version, uri, lines);
        let found = admit(&mut parts, &HygieneRules::default());
        let host = parts
            .headers
            .get("host")
            .and_then(|host| host.to_str().ok());
        assert_eq!(found.map(|_| host), expected, "{version:?} {uri} {lines:?}");
    }
}

#[test]
fn a_parsed_request_is_held_to_the_rules_for_bytes() {
    let host = ("host", "a");
    for (lines, fault) in [
        (
            &[host, ("content-length", "1"), ("content-length", "1")][..],
            BadHead::DuplicateLength,
        ),
        (
            &[
                host,
                ("content-length", "1"),
                ("transfer-encoding", "chunked"),
            ][..],
            BadHead::LengthAndCoding,
        ),
        (
            &[host, ("connection", "host")][..],
            BadHead::ConnectionOption,
        ),
        (
            &[host, ("connection", "upgrade"), ("upgrade", "irc")][..],
            BadHead::Upgrade,
        ),
        (&[host, ("expect", "x")][..], BadHead::Expectation),
    ] {
        assert_eq!(admitted(Http::HTTP_11, "/", lines), Err(fault), "{lines:?}");
    }
    let many = vec![("x", "y"); 101];
    assert_eq!(
        admitted(Http::HTTP_2, "http://a/", &many),
        Err(BadHead::TooManyLines { limit: 100 })
    );
}

#[test]
fn a_response_loses_the_headers_of_its_connection() {
    let response = Response::builder()
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("keep-alive", "timeout=5")
        .header("transfer-encoding", "chunked")
        .header("trailer", "x-checksum")
        .header("set-cookie", "a=b");
    let (mut parts, ()) = response.body(()).unwrap().into_parts();
    assert_eq!(
        clean_response(&mut parts, false, &HygieneRules::default()),
        Ok(None)
    );
    assert_eq!(names(&parts.headers), ["set-cookie", "trailer"]);
}

#[test]
fn protocols_are_switched_only_when_asked() {
    let response = || {
        let response = Response::builder().status(101);
        let response = response
            .header("connection", "upgrade")
            .header("upgrade", "websocket");
        response.body(()).unwrap().into_parts().0
    };
    let rules = HygieneRules::default();
    let asked = clean_response(&mut response(), true, &rules);
    assert_eq!(asked, Ok(Some(HeaderValue::from_static("websocket"))));
    let unasked = clean_response(&mut response(), false, &rules);
    assert_eq!(unasked, Err(BadHead::UnexpectedSwitch));
}

#[test]
fn cookies_of_http_2_become_one_line_and_the_host_the_authority() {
    let lines = [
        ("host", "a"),
        ("cookie", "x=1"),
        ("cookie", "y=2"),
        ("te", "trailers"),
    ];
    let mut parts = parts(Http::HTTP_2, "http://a/", &lines);
    let admitted = admit(&mut parts, &HygieneRules::default()).unwrap();
    let mut http1 = parts.headers.clone();
    for_http1(&mut http1, &admitted);
    assert_eq!(http1["cookie"], "x=1; y=2");
    assert_eq!(
        (&http1["host"], &http1["connection"]),
        (&"a".parse().unwrap(), &"te".parse().unwrap())
    );
    let authority = for_http2(&mut parts.headers, &admitted);
    assert_eq!(authority, Some(HeaderValue::from_static("a")));
    assert_eq!(names(&parts.headers), ["cookie", "te"]);
    assert_eq!(parts.headers.get_all("cookie").iter().count(), 2);
}

#[test]
fn what_only_proxies_may_send_is_removed_and_what_is_missing_added() {
    let mut headers = HeaderMap::new();
    for name in [
        "x-envoy-max-retries",
        "x-envoy-retry-on",
        "x-envoy-upstream-rq-timeout-ms",
        "x-envoy-original-path",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
        "via",
    ] {
        headers.insert(name, HeaderValue::from_static("sent"));
    }
    Edge::default().enter(&mut headers, "https", || [0; 16]);
    assert_eq!(
        names(&headers),
        [
            "via",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-request-id"
        ]
    );
    assert!(headers.values().all(|value| value == "sent"));
    let mut headers = HeaderMap::new();
    Edge::default().enter(&mut headers, "https", || [0; 16]);
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert_eq!(
        headers["x-request-id"],
        "00000000-0000-4000-8000-000000000000"
    );
}
