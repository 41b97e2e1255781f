use std::time::Instant;

use http::Request;
use http_body::Body as _;

use super::*;
use crate::body::Body;

fn parts(method: &str, content_type: Option<&str>) -> Parts {
    let mut request = Request::builder().method(method).uri("/");
    if let Some(kind) = content_type {
        request = request.header("content-type", kind);
    }
    request.body(()).unwrap().into_parts().0
}

/// gRPC's "HTTP to gRPC Status Code Mapping", as Envoy has it for answers of its own.
#[test]
fn a_status_of_http_is_one_of_grpc() {
    let cases = [
        (400, 13),
        (401, 16),
        (403, 7),
        (404, 12),
        (429, 14),
        (502, 14),
        (503, 14),
        (504, 14),
        (500, 2),
        (418, 2),
        (200, 2),
    ];
    for (status, grpc) in cases {
        let status = StatusCode::from_u16(status).unwrap();
        let response: Response<Body> = Reply::new(status, "x").response(Form::Grpc);
        assert_eq!(response.status(), 200, "{status}");
        assert_eq!(
            response.headers()["grpc-status"],
            grpc.to_string(),
            "{status}"
        );
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert!(response.body().is_end_stream());
    }
}

#[test]
fn the_form_follows_from_method_and_content_type() {
    let cases = [
        ("GET", None, Form::Http),
        ("HEAD", None, Form::Head),
        ("POST", Some("application/grpc"), Form::Grpc),
        ("POST", Some("application/grpc+proto"), Form::Grpc),
        ("POST", Some("Application/GRPC; x=y"), Form::Grpc),
        ("POST", Some("application/grpc-web"), Form::Http),
        ("POST", Some("application/grpcx"), Form::Http),
        ("POST", Some("application/json"), Form::Http),
    ];
    for (method, kind, form) in cases {
        assert_eq!(Form::of(&parts(method, kind)), form, "{method} {kind:?}");
    }
}

#[test]
fn a_head_has_the_headers_of_the_body_without_it() {
    let reply = Reply::new(StatusCode::NOT_FOUND, "x").with_body("nothing");
    let response: Response<Body> = reply.response(Form::Head);
    assert_eq!(response.headers()["content-length"], "7");
    assert!(response.body().is_end_stream());
}

#[test]
fn an_empty_body_has_no_type() {
    let response: Response<Body> = Reply::new(StatusCode::NOT_FOUND, "x").response(Form::Http);
    assert!(response.headers().is_empty());
}

#[test]
fn a_message_of_grpc_is_escaped() {
    let reply = Reply::new(StatusCode::BAD_REQUEST, "x").with_body("100% \u{e9}\n");
    let response: Response<Body> = reply.response(Form::Grpc);
    assert_eq!(response.headers()["grpc-message"], "100%25 %C3%A9%0A");
}

#[test]
fn flags_add_to_those_that_are_there_and_the_detail_replaces() {
    let record = Record::new(Instant::now());
    record.note(|entry| entry.flags = Flags::RETRIES_EXHAUSTED);
    let reply =
        Reply::new(StatusCode::SERVICE_UNAVAILABLE, "why").with_flags(Flags::UPSTREAM_CONNECT);
    let _: Response<Body> = reply.answer(Form::Http, &record);
    let noted = record.note(|entry| (entry.flags.to_string(), entry.detail));
    assert_eq!(noted, ("URX,UF".to_owned(), "why"));
}
