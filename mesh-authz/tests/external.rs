//! Authorizers that are asked by HTTP and gRPC. Sources: authz.md 4.1 (questions), 4.4 and 4.6 (answers), as measured with
//! Envoy; messages are encoded by hand, after Envoy's `external_auth.proto`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mesh_authz::external::{
    Ask, Asked, ExternalAnswer, ExternalAuthorizer, ExternalDenial, ExternalError, GrpcAuthorizer,
    HeaderNames, HttpAuthorizer, HttpCheck,
};
use mesh_authz::{Connection, Request};
use mesh_core::clock::WallClock;
use mesh_core::target::{Target, TargetRules};

/// Answers everything alike, and remembers the last question.
#[derive(Debug)]
struct Fake {
    answer: Result<Asked, ExternalError>,
    asked: Mutex<Option<http::Request<Bytes>>>,
}

#[async_trait]
impl Ask for Fake {
    async fn ask(&self, request: http::Request<Bytes>) -> Result<Asked, ExternalError> {
        *self.asked.lock().unwrap() = Some(request);
        self.answer.clone()
    }
}

#[derive(Debug)]
struct At(u64);

impl WallClock for At {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0)
    }
}

fn fake(answer: Result<Asked, ExternalError>) -> Arc<Fake> {
    let asked = Mutex::new(None);
    Arc::new(Fake { answer, asked })
}

fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.to_vec().try_into().unwrap());
    }
    headers
}

fn ask(authorizer: &dyn ExternalAuthorizer) -> Result<ExternalAnswer, ExternalError> {
    let identity = "spiffe://cluster.local/ns/shop/sa/cart".parse().unwrap();
    let destination = "10.96.0.1:80".parse().unwrap();
    let connection = Connection::new("10.0.0.1".parse().unwrap(), Some(&identity), destination);
    let of_request = headers(&[
        ("authorization", b"Bearer t"),
        ("cookie", b"a=1"),
        ("cookie", b"b=2"),
        ("x-request-id", b"7"),
        ("x-told", b"yes"),
        ("x-latin", b"caf\xe9"),
        ("content-length", b"5"),
        ("transfer-encoding", b"chunked"),
    ]);
    let target = Target::normalize(b"/a/b?c=d", TargetRules::default()).unwrap();
    let request = Request::new("POST", "web:80", &of_request).with_target(&target);
    tokio_test::block_on(authorizer.check("p", &connection, &request))
}

fn http_check() -> HttpCheck {
    HttpCheck {
        path_prefix: "/check".to_owned(),
        include: HeaderNames::parse(["X-Told", "x-added"]).unwrap(),
        add: vec![("x-added".parse().unwrap(), "always".parse().unwrap())],
        upstream_on_allow: HeaderNames::parse(["x-user*"]).unwrap(),
        downstream_on_deny: Some(HeaderNames::parse(["x-reason"]).unwrap()),
    }
}

fn answer(status: u16, of: &[(&'static str, &[u8])]) -> Result<Asked, ExternalError> {
    Ok(Asked {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers(of),
        body: Bytes::from_static(b"body"),
        trailers: HeaderMap::new(),
    })
}

/// 4.6.1.
#[test]
fn http_is_told_what_it_is_to_be_told() {
    let fake = fake(answer(200, &[]));
    let authorizer = HttpAuthorizer::new(http_check(), fake.clone());
    assert_eq!(ask(&authorizer), Ok(ExternalAnswer::Allow));
    let asked = fake.asked.lock().unwrap().take().unwrap();
    assert_eq!(asked.method(), "POST");
    assert_eq!(asked.uri(), "/check/a/b?c=d");
    let told: Vec<_> = asked.headers().iter().collect();
    let expected = headers(&[
        ("host", b"web:80"),
        ("authorization", b"Bearer t"),
        ("x-told", b"yes"),
        ("x-added", b"always"),
        ("content-length", b"0"),
    ]);
    assert_eq!(told, expected.iter().collect::<Vec<_>>());
    assert!(asked.body().is_empty());
}

/// 4.6.2 to 4.6.4.
#[test]
fn http_allows_with_200_alone() {
    let all: &[(&'static str, &[u8])] = &[
        ("x-user", b"ann"),
        ("x-other", b"no"),
        ("x-reason", b"why"),
        ("location", b"/login"),
        ("set-cookie", b"a=b"),
        ("content-length", b"4"),
    ];
    let of = |status| {
        let authorizer = HttpAuthorizer::new(http_check(), fake(answer(status, all)));
        ask(&authorizer)
    };
    let Ok(ExternalAnswer::Change(changes)) = of(200) else {
        panic!("expected changes");
    };
    assert_eq!(
        changes.set,
        [("x-user".parse().unwrap(), "ann".parse().unwrap())]
    );
    for status in [201, 204, 302, 401, 403, 404, 429] {
        let Ok(ExternalAnswer::Deny(denial)) = of(status) else {
            panic!("{status}");
        };
        assert_eq!(denial.status, status);
        assert_eq!(denial.body, b"body");
        let expected = headers(&[("x-reason", b"why"), ("location", b"/login")]);
        assert_eq!(denial.headers, expected, "{status}");
    }
    for status in [500, 502, 503, 100] {
        assert_eq!(of(status), Err(ExternalError::Unavailable), "{status}");
    }
    let removes = answer(200, &[("x-envoy-auth-headers-to-remove", b"cookie, x-a")]);
    let authorizer = HttpAuthorizer::new(HttpCheck::default(), fake(removes));
    let Ok(ExternalAnswer::Change(changes)) = ask(&authorizer) else {
        panic!("expected changes");
    };
    assert_eq!(changes.remove, ["cookie", "x-a"]);
    // Without a list the client gets all headers but those of the framing.
    let authorizer = HttpAuthorizer::new(HttpCheck::default(), fake(answer(403, all)));
    let Ok(ExternalAnswer::Deny(ExternalDenial { headers, .. })) = ask(&authorizer) else {
        panic!("expected a denial");
    };
    assert_eq!(headers.len(), all.len() - 1);
}

#[test]
fn an_authorizer_that_does_not_answer_fails() {
    for error in [
        ExternalError::Timeout,
        ExternalError::Unavailable,
        ExternalError::BadAnswer,
    ] {
        let http = HttpAuthorizer::new(HttpCheck::default(), fake(Err(error)));
        assert_eq!(ask(&http), Err(error));
        assert_eq!(ask(&grpc(fake(Err(error)))), Err(error));
    }
}

fn grpc(fake: Arc<Fake>) -> GrpcAuthorizer {
    GrpcAuthorizer::new(
        "authz.shop".parse().unwrap(),
        fake,
        Arc::new(At(1_700_000_000)),
    )
}

/// A field of bytes, text or a message: protobuf's wire type 2.
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    assert!(content.len() < 16_384);
    let length = content.len() as u16;
    let mut out = vec![number << 3 | 2];
    match length {
        0..128 => out.push(length as u8),
        _ => out.extend([(length & 127) as u8 | 128, (length >> 7) as u8]),
    }
    out.extend_from_slice(content);
    out
}

/// A field of a number below 16,384: wire type 0.
fn number(field: u8, value: u16) -> Vec<u8> {
    match value {
        0..128 => vec![field << 3, value as u8],
        _ => vec![field << 3, (value & 127) as u8 | 128, (value >> 7) as u8],
    }
}

/// A unary answer of gRPC.
fn framed(message: &[Vec<u8>]) -> Result<Asked, ExternalError> {
    let message = message.concat();
    let mut body = vec![0];
    body.extend_from_slice(&(message.len() as u32).to_be_bytes());
    body.extend_from_slice(&message);
    Ok(Asked {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: body.into(),
        trailers: headers(&[("grpc-status", b"0")]),
    })
}

/// `HeaderValueOption`.
fn option(name: &str, value: &str, append: bool) -> Vec<u8> {
    let header = [field(1, name), field(2, value)].concat();
    let append = if append {
        field(2, number(1, 1))
    } else {
        Vec::new()
    };
    [field(1, header), append].concat()
}

/// 4.4.
#[test]
fn grpc_answers_mean_what_envoy_takes_them_for() {
    let ok = || field(1, []);
    let denied = |code| field(1, number(1, code));
    let with = |answer| ask(&grpc(fake(answer)));
    assert_eq!(with(framed(&[ok()])), Ok(ExternalAnswer::Allow));
    let deny_anyway = field(2, field(3, "no"));
    assert_eq!(
        with(framed(&[ok(), deny_anyway])),
        Ok(ExternalAnswer::Allow)
    );
    // S14: an answer without status is none.
    assert_eq!(with(framed(&[])), Err(ExternalError::BadAnswer));
    assert_eq!(
        with(framed(&[field(2, field(3, "no"))])),
        Err(ExternalError::BadAnswer)
    );
    for code in [7, 16, 1] {
        let expected = ExternalAnswer::deny(StatusCode::FORBIDDEN);
        assert_eq!(with(framed(&[denied(code)])), Ok(expected), "{code}");
        let and_ok = field(3, field(2, option("x-user", "ann", false)));
        let expected = ExternalAnswer::deny(StatusCode::FORBIDDEN);
        assert_eq!(
            with(framed(&[denied(code), and_ok])),
            Ok(expected),
            "{code}"
        );
    }
    let login = field(
        2,
        [
            field(1, number(1, 302)),
            field(2, option("location", "/login", false)),
            field(2, option("set-cookie", "a=1", false)),
            field(2, option("set-cookie", "b=2", false)),
            field(3, "log in"),
        ]
        .concat(),
    );
    let Ok(ExternalAnswer::Deny(denial)) = with(framed(&[denied(16), login])) else {
        panic!("expected a denial");
    };
    assert_eq!(
        (denial.status.as_u16(), &*denial.body),
        (302, &b"log in"[..])
    );
    assert_eq!(denial.headers["location"], "/login");
    assert_eq!(denial.headers.get_all("set-cookie").iter().count(), 2);
    let body_only = field(2, field(3, "no"));
    let Ok(ExternalAnswer::Deny(denial)) = with(framed(&[denied(7), body_only])) else {
        panic!("expected a denial");
    };
    assert_eq!((denial.status.as_u16(), &*denial.body), (403, &b"no"[..]));
}

/// 4.4.1 and 4.4.2.
#[test]
fn grpc_changes_headers_but_not_what_was_decided_about() {
    let changes = field(
        3,
        [
            field(2, option("x-user", "ann", false)),
            field(2, option("x-list", "new", true)),
            field(2, option(":path", "/elsewhere", false)),
            field(2, option("host", "elsewhere", false)),
            field(2, option("content-length", "9", false)),
            field(5, "authorization"),
            field(5, ":authority"),
            field(5, "host"),
        ]
        .concat(),
    );
    let answer = ask(&grpc(fake(framed(&[field(1, []), changes]))));
    let Ok(ExternalAnswer::Change(changes)) = answer else {
        panic!("{answer:?}");
    };
    let mut changed = headers(&[
        ("host", b"web"),
        ("content-length", b"5"),
        ("authorization", b"Bearer t"),
        ("x-user", b"forged"),
        ("x-user", b"twice"),
        ("x-list", b"old"),
    ]);
    changes.apply(&mut changed);
    let expected = headers(&[
        ("host", b"web"),
        ("content-length", b"5"),
        ("x-user", b"ann"),
        ("x-list", b"old,new"),
    ]);
    assert_eq!(changed, expected);
}

#[test]
fn grpc_answers_that_are_none_fail() {
    let good = framed(&[field(1, [])]).unwrap();
    let with = |change: &dyn Fn(&mut Asked)| {
        let mut answer = good.clone();
        change(&mut answer);
        ask(&grpc(fake(Ok(answer))))
    };
    let no_status = with(&|answer| answer.trailers.clear());
    assert_eq!(no_status, Err(ExternalError::Unavailable));
    let other_status = with(&|answer| {
        answer.trailers.insert("grpc-status", "14".parse().unwrap());
    });
    assert_eq!(other_status, Err(ExternalError::Unavailable));
    let not_found = with(&|answer| answer.status = StatusCode::NOT_FOUND);
    assert_eq!(not_found, Err(ExternalError::Unavailable));
    for (name, body) in [
        ("empty", &b""[..]),
        ("compressed", b"\x01\0\0\0\x02\x0a\x00"),
        ("short", b"\0\0\0\0\x05\x0a\x00"),
        ("long", b"\0\0\0\0\x01\x0a\x00"),
        ("no message", b"\0\0\0\0\x02\xff\xff"),
    ] {
        let answer = with(&|answer| answer.body = Bytes::from_static(body));
        assert_eq!(answer, Err(ExternalError::BadAnswer), "{name}");
    }
    let bad_value = option("x-a", "b\r\nc: d", false);
    let changes = field(3, field(2, bad_value));
    let answer = ask(&grpc(fake(framed(&[field(1, []), changes]))));
    assert_eq!(answer, Err(ExternalError::BadAnswer));
}

/// 4.1 and 4.1.1.
#[test]
fn grpc_is_told_of_both_ends_and_of_the_whole_head() {
    let fake = fake(framed(&[field(1, [])]));
    assert_eq!(ask(&grpc(fake.clone())), Ok(ExternalAnswer::Allow));
    let asked = fake.asked.lock().unwrap().take().unwrap();
    assert_eq!(asked.version(), http::Version::HTTP_2);
    assert_eq!(asked.uri(), "/envoy.service.auth.v3.Authorization/Check");
    assert_eq!(asked.headers()["content-type"], "application/grpc");
    assert_eq!(asked.headers()["te"], "trailers");
    assert_eq!(asked.headers()["host"], "authz.shop");
    let (prefix, message) = asked.body().split_at(5);
    assert_eq!(prefix[0], 0);
    assert_eq!(
        u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize,
        message.len()
    );
    let socket = |address: &str, port: Option<u16>| {
        let port = port.map_or_else(Vec::new, |port| number(3, port));
        field(1, field(1, [field(2, address), port].concat()))
    };
    let principal = field(4, "spiffe://cluster.local/ns/shop/sa/cart");
    let entry = |name: &str, value: &str| field(3, [field(1, name), field(2, value)].concat());
    let parts = [
        field(1, [socket("10.0.0.1", None), principal].concat()),
        field(2, socket("10.96.0.1", Some(80))),
        entry(":method", "POST"),
        entry(":path", "/a/b?c=d"),
        entry(":authority", "web:80"),
        entry(":scheme", "http"),
        entry("cookie", "a=1,b=2"),
        entry("x-latin", "caf!"),
        entry("authorization", "Bearer t"),
        [field(4, "/a/b?c=d"), field(5, "web:80"), field(6, "http")].concat(),
        [field(1, "7"), field(2, "POST")].concat(),
        // 1,700,000,000 seconds, as a number of five bytes.
        field(1, [0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06]),
        [field(11, []), field(13, [])].concat(),
    ];
    for part in parts {
        let found = message.windows(part.len()).any(|window| window == part);
        assert!(
            found,
            "{:?} in {:?}",
            Bytes::from(part),
            Bytes::copy_from_slice(message)
        );
    }
}
