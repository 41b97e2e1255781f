//! The layer follows requests to their end.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response, StatusCode};
use mesh_l7::body::Body;
use mesh_l7::record::{Entry, Flags, Record};
use mesh_l7::telemetry::{Needs, TelemetryLayer};
use tower_layer::Layer;
use tower_service::Service;

use super::stack::{Answer, Frames, Kept, Then, Two, data, downstream, read, trailers};

/// Sends a request through the layer, reads the response's body as far as it goes, and drops it.
fn exchange(request: Request<Body>, answer: impl Fn(&Record) -> Response<Body> + 'static) -> Entry {
    let kept = Arc::new(Kept::default());
    let layer = TelemetryLayer::new(kept.clone()).with_workloads(Arc::new(Two::default()));
    let mut service = layer.layer(Answer(move |mut request: Request<Body>| {
        read(request.body_mut());
        let record = Record::of(request.extensions()).expect("the layer makes one");
        std::future::ready(answer(record))
    }));
    let mut response = tokio_test::block_on(service.call(request)).unwrap();
    read(response.body_mut());
    drop(response);
    kept.one()
}

fn ok(body: Body) -> Response<Body> {
    Response::new(body)
}

#[test]
fn bytes_and_status_of_an_exchange_are_noted_once_it_is_complete() {
    let body = Frames::body(vec![data(b"abc"), data(b"de")], Then::End);
    let request = Request::post("http://web/items").body(body).unwrap();
    let entry = exchange(request, |_| {
        ok(Frames::body(vec![data(b"12345678")], Then::End))
    });
    assert_eq!((entry.request_bytes, entry.response_bytes), (5, 8));
    assert_eq!(entry.status, Some(StatusCode::OK));
    assert_eq!(entry.flags, Flags::NONE);
    assert!(entry.received <= entry.ended && entry.received.is_some());
    let head = entry.request.unwrap();
    assert_eq!((head.authority(), head.target()), ("web", "/items"));
}

#[test]
fn heads_are_as_large_as_http_1_writes_them() {
    let request = Request::get("/items?a=b")
        .header("host", "web")
        .header("accept", "*/*")
        .body(Body::empty())
        .unwrap();
    let entry = exchange(request, |_| {
        let response = Response::builder().header("server", "x");
        response.body(Body::empty()).unwrap()
    });
    let request = "GET /items?a=b HTTP/1.1\r\nhost: web\r\naccept: */*\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\nserver: x\r\n\r\n";
    assert_eq!(entry.request.unwrap().bytes, request.len() as u64);
    assert_eq!(entry.response.bytes, response.len() as u64);
}

#[test]
fn a_client_that_leaves_before_the_end_is_gone() {
    let cases = [
        ("hangs", Then::Hang, Flags::CLIENT_GONE),
        ("ends", Then::End, Flags::NONE),
        // The upstream's fault, and the router's to note.
        ("fails", Then::Error, Flags::NONE),
    ];
    for (name, then, flags) in cases {
        let entry = exchange(Request::new(Body::empty()), move |_| {
            ok(Frames::body(vec![data(b"part")], then))
        });
        assert_eq!(entry.flags, flags, "a response that {name}");
        assert_eq!(entry.response_bytes, 4, "a response that {name}");
    }
}

#[test]
fn a_request_whose_body_nobody_reads_is_not_the_clients_fault() {
    let request = Request::new(Frames::body(vec![data(b"part")], Then::Hang));
    let entry = exchange(request, |_| ok(Body::from("denied")));
    assert_eq!(entry.flags, Flags::NONE);
    assert_eq!((entry.request_bytes, entry.received), (4, None));
}

#[test]
fn a_request_that_is_dropped_before_its_answer_is_gone_without_a_status() {
    let kept = Arc::new(Kept::default());
    let layer = TelemetryLayer::new(kept.clone());
    let mut service = layer.layer(Answer(|_| std::future::pending()));
    let mut answer = tokio_test::task::spawn(service.call(Request::new(Body::empty())));
    assert!(answer.poll().is_pending());
    assert!(kept.entries.lock().is_empty());
    drop(answer);
    let entry = kept.one();
    assert_eq!((entry.flags, entry.status), (Flags::CLIENT_GONE, None));
}

#[test]
fn responses_without_a_body_are_complete_though_nobody_reads_it() {
    for (method, status, flags) in [
        ("HEAD", 200, Flags::NONE),
        ("GET", 204, Flags::NONE),
        ("GET", 304, Flags::NONE),
        ("GET", 101, Flags::NONE),
        ("GET", 200, Flags::CLIENT_GONE),
    ] {
        let request = Request::builder().method(method);
        let entry = exchange(request.body(Body::empty()).unwrap(), move |_| {
            let body = Frames::body(Vec::new(), Then::Hang);
            Response::builder().status(status).body(body).unwrap()
        });
        assert_eq!(entry.flags, flags, "{method} {status}");
    }
}

#[test]
fn a_body_is_complete_with_the_last_byte_that_was_announced() {
    let kept = Arc::new(Kept::default());
    let mut service = TelemetryLayer::new(kept.clone()).layer(Answer(|_| {
        std::future::ready(Response::new(Body::from("all of it")))
    }));
    let mut response = tokio_test::block_on(service.call(Request::new(Body::empty()))).unwrap();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let body = std::pin::Pin::new(response.body_mut());
    assert!(matches!(
        http_body::Body::poll_frame(body, &mut cx),
        Poll::Ready(Some(Ok(_)))
    ));
    drop(response);
    assert_eq!(kept.one().flags, Flags::NONE);
}

#[test]
fn the_status_of_grpc_is_in_the_trailers_or_in_a_head_that_is_all() {
    let grpc = || {
        let messages = vec![data(b"\0\0\0\0\x02ab\0\0\0"), data(b"\0\x00")];
        Request::post("/shop.Cart/Add")
            .header("content-type", "application/grpc")
            .body(Frames::body(messages, Then::End))
            .unwrap()
    };
    let entry = exchange(grpc(), |_| {
        let frames = vec![data(b"\0\0\0\0\x01z"), trailers(&[("grpc-status", "5")])];
        ok(Frames::body(frames, Then::End))
    });
    assert!(entry.grpc);
    assert_eq!(entry.grpc_status, Some(5));
    assert_eq!((entry.request_messages, entry.response_messages), (2, 1));
    let entry = exchange(grpc(), |_| {
        let response = Response::builder().header("grpc-status", "12");
        response.body(Body::empty()).unwrap()
    });
    assert_eq!(entry.grpc_status, Some(12));
    let entry = exchange(Request::new(Body::empty()), |_| {
        let response = Response::builder().header("grpc-status", "12");
        response.body(Body::empty()).unwrap()
    });
    assert_eq!((entry.grpc, entry.grpc_status), (false, None));
}

#[test]
fn the_two_ends_are_looked_up_by_their_addresses() {
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(Arc::new(downstream()));
    let entry = exchange(request, |record| {
        record.note(|entry| entry.host = Some("10.0.0.2:8080".into()));
        ok(Body::empty())
    });
    assert_eq!(entry.source.unwrap().workload_name(), "client");
    assert_eq!(entry.destination.unwrap().workload_name(), "server");
}

#[test]
fn a_request_keeps_the_record_that_it_brings() {
    let record = Record::new(Instant::now());
    record.note(|entry| entry.detail = "brought");
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(record);
    let entry = exchange(request, |record| {
        record.note(|entry| entry.flags = entry.flags.and(Flags::NO_ROUTE));
        ok(Body::empty())
    });
    assert_eq!((entry.detail, entry.flags), ("brought", Flags::NO_ROUTE));
}

#[test]
fn a_tunnel_keeps_its_record_open() {
    let kept = Arc::new(Kept::default());
    let mut service = TelemetryLayer::new(kept.clone()).layer(Answer(|request: Request<Body>| {
        let open = Record::of(request.extensions()).unwrap().open();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.extensions_mut().insert(Arc::new(open));
        std::future::ready(response)
    }));
    let response = tokio_test::block_on(service.call(Request::new(Body::empty()))).unwrap();
    assert!(kept.entries.lock().is_empty());
    drop(response);
    assert_eq!(kept.one().status, Some(StatusCode::SWITCHING_PROTOCOLS));
}

#[test]
fn headers_and_trailers_are_kept_where_a_sink_wants_them() {
    let kept = Arc::new(Kept {
        needs: Needs {
            request_headers: vec!["user-agent".parse().unwrap(), "x-absent".parse().unwrap()],
            response_headers: vec!["server".parse().unwrap()],
            response_trailers: vec!["x-sum".parse().unwrap()],
        },
        ..Kept::default()
    });
    let mut service = TelemetryLayer::new(kept.clone()).layer(Answer(|_| {
        let body = Frames::body(vec![trailers(&[("x-sum", "1"), ("y", "2")])], Then::End);
        let response = Response::builder().header("server", "s").header("z", "1");
        std::future::ready(response.body(body).unwrap())
    }));
    let request = Request::get("/")
        .header("user-agent", "curl")
        .header("accept", "*/*");
    let request = request.body(Body::empty()).unwrap();
    let mut response = tokio_test::block_on(service.call(request)).unwrap();
    read(response.body_mut());
    drop(response);
    let entry = kept.one();
    let request = entry.request.unwrap().headers;
    assert_eq!(
        request.value(&"user-agent".parse().unwrap()).unwrap(),
        "curl"
    );
    assert_eq!(request.value(&"accept".parse().unwrap()), None);
    let response = entry.response;
    assert_eq!(
        response.headers.value(&"server".parse().unwrap()).unwrap(),
        "s"
    );
    assert_eq!(
        response.trailers.value(&"x-sum".parse().unwrap()).unwrap(),
        "1"
    );
    assert_eq!(response.trailers.value(&"y".parse().unwrap()), None);
}

#[test]
fn a_request_goes_on_with_a_place_in_its_trace() {
    let kept = Arc::new(Kept::default());
    let seen = Arc::new(parking_lot::Mutex::new(String::new()));
    let (to, layer) = (seen.clone(), TelemetryLayer::new(kept.clone()));
    let mut service = layer.layer(Answer(move |request: Request<Body>| {
        *to.lock() = request.headers()["traceparent"]
            .to_str()
            .unwrap()
            .to_owned();
        std::future::ready(ok(Body::empty()))
    }));
    let came = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = Request::get("/").header("traceparent", came);
    let request = request.body(Body::empty()).unwrap();
    drop(tokio_test::block_on(service.call(request)).unwrap());
    let seen = seen.lock();
    assert_eq!(kept.one().trace.unwrap().to_string(), *seen);
    assert_ne!(*seen, came);
    assert_eq!(seen[..35], came[..35], "the same trace");
    assert!(seen.ends_with("-01"));
}
