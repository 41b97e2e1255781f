//! Access logs. Source: Envoy's access log documentation, Istio's default formats, RFC 8259.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Request};
use mesh_core::clock::WallClock;
use mesh_l7::body::Body;
use mesh_l7::record::{Captured, Entry, Flags, RequestHead};
use mesh_l7::route::{Action, Rule};
use mesh_l7::telemetry::{
    AccessLog, BadFormat, Format, FormatProblem, LogWriter, Redaction, Sampling, Sink, Surroundings,
};
use parking_lot::Mutex;

use super::stack::{Two, entry, target};

/// 2026-08-22T10:00:01.5Z
#[derive(Debug)]
struct Fixed;

impl WallClock for Fixed {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_787_392_801_500)
    }
}

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines about records.
fn lines(format: Format, entries: &[Entry], with: impl Fn(AccessLog) -> AccessLog) -> String {
    let output = Output::default();
    let (writer, thread) = LogWriter::start(output.clone(), 2).unwrap();
    let log = with(AccessLog::new(format, writer).with_clock(Arc::new(Fixed)));
    for entry in entries {
        log.complete(entry);
    }
    drop(log);
    thread.join().unwrap();
    let written = output.0.lock().clone();
    String::from_utf8(written).unwrap()
}

fn line(format: Format, entry: &Entry) -> String {
    lines(format, std::slice::from_ref(entry), |log| log)
}

fn text(format: &str, entry: &Entry) -> String {
    line(Format::text(format, &around()).unwrap(), entry)
}

fn around() -> Surroundings {
    Surroundings {
        hostname: "waypoint-1".into(),
        environment: [("POD".into(), "p\"1".into())].into(),
    }
}

fn head(request: http::request::Builder, wanted: &[&'static str]) -> RequestHead {
    let wanted: Vec<_> = wanted.iter().map(|name| name.parse().unwrap()).collect();
    RequestHead::of(&request.body(Body::empty()).unwrap(), &wanted)
}

fn captured(lines: &[(&'static str, &'static str)]) -> Captured {
    let headers: HeaderMap = lines
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    let wanted: Vec<_> = headers.keys().cloned().collect();
    Captured::of(&headers, &wanted)
}

/// A request about which everything is known.
fn full() -> Entry {
    let two = Two::default();
    let mut entry = entry(&two);
    let request = Request::post("/cart/items?page=2&access_token=abc")
        .version(http::Version::HTTP_2)
        .header("host", "web.shop:80")
        .header("user-agent", "curl/8")
        .header("x-request-id", "id-1")
        .header("x-forwarded-for", "1.2.3.4")
        .header("authorization", "Bearer secret");
    entry.request = Some(head(
        request,
        &[
            "user-agent",
            "x-request-id",
            "x-forwarded-for",
            "authorization",
        ],
    ));
    entry.response.headers = captured(&[("x-envoy-upstream-service-time", "7")]);
    entry.response.trailers = captured(&[("x-sum", "9")]);
    entry.target = Some(target("web.shop.svc.cluster.local"));
    entry.host = Some("10.0.0.2:8080".into());
    entry.upstream_local = Some(([10, 0, 0, 50], 5000).into());
    entry.rule = Some(Arc::new(Rule::new("items", Action::not_found())));
    entry.detail = "via_upstream";
    entry.attempts = 2;
    entry.trace = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
        .parse()
        .ok();
    entry.received = Some(Duration::from_millis(3));
    entry.sent = Some(Duration::from_micros(1_250));
    entry.answered = Some(Duration::from_millis(400));
    entry.ended = Some(Duration::from_millis(1_500));
    (entry.request_bytes, entry.response_bytes) = (12, 3456);
    entry
}

fn nothing() -> Entry {
    Entry::new(std::time::Instant::now())
}

#[test]
fn istios_default_text_has_its_fields_in_order() {
    assert_eq!(
        line(Format::istio_text(), &full()),
        "[2026-08-22T10:00:00.000Z] \"POST /cart/items?page=2&access_token=REDACTED HTTP/2\" 200 - \
         via_upstream - \"-\" 12 3456 1500 7 \"1.2.3.4\" \"curl/8\" \"id-1\" \"web.shop:80\" \
         \"10.0.0.2:8080\" inbound-vip|80|http|web.shop.svc.cluster.local 10.0.0.50:5000 \
         10.0.0.99:80 10.0.0.1:4711 - items\n"
    );
    assert_eq!(
        line(Format::istio_text(), &nothing()),
        "[2026-08-22T10:00:01.500Z] \"- - -\" 0 - - - \"-\" 0 0 - - \"-\" \"-\" \"-\" \"-\" \"-\" - - - - - -\n"
    );
}

#[test]
fn istios_default_json_has_numbers_and_nulls() {
    let json = |entry: &Entry| -> serde_json::Value {
        let line = line(Format::istio_json(), entry);
        assert!(line.ends_with("}\n") && line.lines().count() == 1);
        serde_json::from_str(&line).unwrap()
    };
    let expected = serde_json::json!({
        "start_time": "2026-08-22T10:00:00.000Z",
        "route_name": "items",
        "method": "POST",
        "path": "/cart/items?page=2&access_token=REDACTED",
        "protocol": "HTTP/2",
        "response_code": 200,
        "response_flags": "-",
        "response_code_details": "via_upstream",
        "connection_termination_details": null,
        "bytes_received": 12,
        "bytes_sent": 3456,
        "duration": 1500,
        "upstream_service_time": "7",
        "x_forwarded_for": "1.2.3.4",
        "user_agent": "curl/8",
        "request_id": "id-1",
        "authority": "web.shop:80",
        "upstream_host": "10.0.0.2:8080",
        "upstream_cluster": "inbound-vip|80|http|web.shop.svc.cluster.local",
        "upstream_local_address": "10.0.0.50:5000",
        "downstream_local_address": "10.0.0.99:80",
        "downstream_remote_address": "10.0.0.1:4711",
        "requested_server_name": null,
        "upstream_transport_failure_reason": null,
    });
    assert_eq!(json(&full()), expected);
    let nothing = json(&nothing());
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&nothing), keys(&expected));
    for (key, value) in nothing.as_object().unwrap() {
        let known = [
            "start_time",
            "response_code",
            "response_flags",
            "bytes_received",
            "bytes_sent",
        ];
        assert_eq!(value.is_null(), !known.contains(&&**key), "{key}: {value}");
    }
}

#[test]
fn a_recording_says_who_talked_with_whom() {
    let mut entry = full();
    (entry.grpc, entry.grpc_status) = (true, Some(5));
    let record: serde_json::Value = serde_json::from_str(&line(Format::record(), &entry)).unwrap();
    for (key, value) in [
        ("grpc_status", serde_json::json!(5)),
        ("attempts", serde_json::json!(2)),
        (
            "source_identity",
            "spiffe://td/ns/client-ns/sa/client-sa".into(),
        ),
        ("source_workload", "client".into()),
        ("source_namespace", "client-ns".into()),
        ("destination_workload", "server".into()),
        ("destination_namespace", "server-ns".into()),
        ("destination_service", "web.shop.svc.cluster.local".into()),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
    ] {
        assert_eq!(record[key], value, "{key}");
    }
}

#[test]
fn operators_say_what_envoy_documents() {
    let mut entry = full();
    (entry.grpc, entry.grpc_status) = (true, Some(14));
    entry.flags = Flags::UPSTREAM_CONNECT.and(Flags::RETRIES_EXHAUSTED);
    entry.failure = Some("connection refused".into());
    let head_bytes = entry.request.as_ref().unwrap().bytes;
    let cases: &[(&str, &str)] = &[
        ("100%%", "100%"),
        (
            "%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%",
            "2026/08/22T10:00:00+0000 1787392800",
        ),
        ("%START_TIME(%s.%3f)%", "1787392800.000"),
        ("%REQ(:METHOD)%", "POST"),
        ("%REQ(:authority)%", "web.shop:80"),
        ("%REQ(:SCHEME)%", "-"),
        ("%REQ(X-ABSENT?USER-AGENT)%", "curl/8"),
        ("%REQ(USER-AGENT?:PATH)%", "curl/8"),
        ("%REQ(USER-AGENT):4%", "curl"),
        ("%REQ(USER-AGENT):40%", "curl/8"),
        ("%REQ(X-ABSENT):1%", "-"),
        ("%REQ(AUTHORIZATION)%", "REDACTED"),
        ("%RESP(:STATUS)%", "200"),
        ("%TRAILER(x-sum)%", "9"),
        ("%RESPONSE_FLAGS%", "URX,UF"),
        (
            "%RESPONSE_FLAGS_LONG%",
            "UpstreamRetryLimitExceeded,UpstreamConnectionFailure",
        ),
        ("%UPSTREAM_TRANSPORT_FAILURE_REASON%", "connection refused"),
        ("%RESPONSE_CODE_DETAILS%", "via_upstream"),
        ("%DURATION%", "1500"),
        ("%REQUEST_DURATION%", "3"),
        ("%RESPONSE_DURATION%", "400"),
        ("%RESPONSE_TX_DURATION%", "1100"),
        ("%COMMON_DURATION(DS_RX_BEG:US_TX_BEG:us)%", "1250"),
        ("%COMMON_DURATION(US_TX_BEG:US_RX_BEG:ns)%", "398750000"),
        ("%COMMON_DURATION(US_CX_BEG:US_RX_BEG:ms)%", "-"),
        ("%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.2"),
        ("%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "10.0.0.50"),
        ("%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "2"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.1"),
        ("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "10.0.0.1:4711"),
        ("%DOWNSTREAM_REMOTE_PORT%", "4711"),
        ("%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "10.0.0.99"),
        (
            "%DOWNSTREAM_PEER_URI_SAN%",
            "spiffe://td/ns/client-ns/sa/client-sa",
        ),
        ("%DOWNSTREAM_TLS_VERSION%", "TLSv1.3"),
        ("%ROUTE_NAME%", "items"),
        ("%HOSTNAME%", "waypoint-1"),
        ("%ENVIRONMENT(POD)%", "p\\x221"),
        ("%ENVIRONMENT(ABSENT)%", "-"),
        ("%GRPC_STATUS%", "Unavailable"),
        ("%GRPC_STATUS(CAMEL_STRING)%", "Unavailable"),
        ("%GRPC_STATUS(SNAKE_STRING)%", "UNAVAILABLE"),
        ("%GRPC_STATUS(NUMBER)%", "14"),
        ("%GRPC_STATUS_NUMBER%", "14"),
        ("%STREAM_ID%", "id-1"),
        ("%TRACE_ID%", "0af7651916cd43dd8448eb211c80319c"),
        ("%SPAN_ID%", "00f067aa0ba902b7"),
        ("%DYNAMIC_METADATA(a:b)%", "-"),
        ("%FILTER_STATE(a)%", "-"),
        ("%METADATA(ROUTE:a)%", "-"),
        ("%CONNECTION_ID% %VIRTUAL_CLUSTER_NAME%", "- -"),
        ("%DOWNSTREAM_WIRE_BYTES_SENT%", "3456"),
    ];
    for (format, expected) in cases {
        assert_eq!(text(format, &entry), *expected, "{format}");
    }
    assert_eq!(
        text("%REQUEST_HEADER_BYTES%", &entry),
        head_bytes.to_string()
    );
    assert_eq!(
        text("%DOWNSTREAM_WIRE_BYTES_RECEIVED%", &entry),
        (head_bytes + 12).to_string()
    );
    entry.grpc = false;
    assert_eq!(text("%GRPC_STATUS%", &entry), "-");
}

#[test]
fn a_format_that_is_none_is_told_with_its_place() {
    let cases = [
        ("a %NOPE% b", 2, FormatProblem::Unknown),
        ("%CEL(request.path)%", 0, FormatProblem::Unknown),
        ("%PROTOCOL% %", 11, FormatProblem::Form),
        ("%PROTOCOL", 0, FormatProblem::Form),
        ("%REQ(A%", 0, FormatProblem::Form),
        ("%REQ(A):%", 0, FormatProblem::Form),
        ("%REQ(A):x%", 0, FormatProblem::Form),
        ("%REQ(A):-1%", 0, FormatProblem::Form),
        ("%REQ(A):+1%", 0, FormatProblem::Form),
        ("50% of %PROTOCOL%", 2, FormatProblem::Form),
        ("é %nope%", 3, FormatProblem::Form),
        ("%PROTOCOL(x)%", 0, FormatProblem::NoArguments),
        ("%START_TIME(%Q)%", 0, FormatProblem::Time),
    ];
    for (text, position, problem) in cases {
        let bad = Format::text(text, &around()).unwrap_err();
        let found = (&*bad.text, bad.position, bad.problem);
        assert_eq!(found, (text, position, problem), "{text}");
    }
    for text in [
        "%REQ%",
        "%REQ()%",
        "%REQ(a b)%",
        "%REQ(A?)%",
        "%GRPC_STATUS(OTHER)%",
        "%COMMON_DURATION(DS_RX_BEG:ms)%",
        "%COMMON_DURATION(DS_RX_BEG:NOPE:ms)%",
        "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:s)%",
        "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms:1)%",
        "%DYNAMIC_METADATA%",
    ] {
        let BadFormat { problem, .. } = Format::text(text, &around()).unwrap_err();
        assert!(matches!(problem, FormatProblem::Arguments(_)), "{text}");
    }
    let json = Format::json([("a", "%PROTOCOL%"), ("b", "%NOPE%")], &around());
    let told = json.unwrap_err().to_string();
    assert_eq!(told, "format \"%NOPE%\", byte 0: no such operator");
}

#[test]
fn what_peers_send_ends_neither_a_field_nor_a_line() {
    let mut entry = nothing();
    let agent = b"a\"b\tc\\d\xc3\xa9\xff".as_slice();
    let request = Request::get("/").header("user-agent", agent);
    entry.request = Some(head(request, &["user-agent"]));
    assert_eq!(
        text("\"%REQ(USER-AGENT)%\"", &entry),
        "\"a\\x22b\\x09c\\dé\\xff\""
    );
    // Cut between characters only.
    assert_eq!(text("%REQ(USER-AGENT):11%", &entry), "a\\x22b\\x09c");
    assert_eq!(text("%REQ(USER-AGENT):14%", &entry), "a\\x22b\\x09c\\d");
    let keys = [
        ("alone", "%REQ(USER-AGENT)%"),
        ("in", "<%REQ(USER-AGENT)% %BYTES_SENT%>"),
        ("two\"", "x"),
    ];
    let json = line(Format::json(keys, &around()).unwrap(), &entry);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["alone"], "a\"b\tc\\dé\u{ff}");
    assert_eq!(json["in"], "<a\\x22b\\x09c\\dé\\xff 0>");
    assert_eq!(json["two\""], "x");
}

#[test]
fn a_format_asks_for_the_headers_that_it_writes() {
    let needs = |format: &str| {
        let (writer, _) = LogWriter::start(io::sink(), 1).unwrap();
        AccessLog::new(Format::text(format, &around()).unwrap(), writer).needs()
    };
    let needs = needs("%REQ(A?B)% %REQ(:PATH?a)% %RESP(C)% %TRAILER(D?E)% %STREAM_ID% %PROTOCOL%");
    assert_eq!(needs.request_headers, ["a", "b", "x-request-id"]);
    assert_eq!(needs.response_headers, ["c"]);
    assert_eq!(needs.response_trailers, ["d", "e"]);
}

#[test]
fn requests_are_left_out_and_values_hidden_as_one_says() {
    let mut failed = full();
    failed.status = Some(http::StatusCode::BAD_GATEWAY);
    let format = || {
        Format::text(
            "%RESPONSE_CODE% %REQ(:PATH)% %REQ(USER-AGENT)%\n",
            &around(),
        )
    };
    let written = lines(format().unwrap(), &[full(), failed], |log| {
        log.with_sampling(Sampling {
            successful: 0,
            ..Sampling::default()
        })
        .with_redaction(Redaction {
            headers: vec!["user-agent".parse().unwrap()],
            query: vec!["page".into()],
        })
    });
    assert_eq!(
        written,
        "502 /cart/items?page=REDACTED&access_token=abc REDACTED\n"
    );
}
