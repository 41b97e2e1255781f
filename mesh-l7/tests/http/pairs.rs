//! Each version of a client with each version of an upstream.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use mesh_l7::body::Body;

use crate::proxy::{Http, PAIRS, Proxy, frames};

/// Answers with what came, and trailers with those that came.
async fn echo(request: Request<hyper::body::Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(
        "x-seen",
        format!("{} {}", parts.method, parts.uri.path())
            .parse()
            .unwrap(),
    );
    if let Some(host) = parts.headers.get("host") {
        response.headers_mut().insert("x-host", host.clone());
    }
    if let Some(authority) = parts.uri.authority() {
        response
            .headers_mut()
            .insert("x-host", authority.as_str().parse().unwrap());
    }
    if let Some(trailer) = parts.headers.get("trailer") {
        response.headers_mut().insert("trailer", trailer.clone());
    }
    response
}

#[tokio::test]
async fn a_request_without_a_body_is_forwarded_with_its_host() {
    for (down, up) in PAIRS {
        let proxy = Proxy::start(up, echo);
        let mut client = proxy.client(down).await;
        for _ in 0..3 {
            let request = Request::get("/a/../b").body(Body::empty()).unwrap();
            let response = client.send(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{down:?} {up:?}");
            assert_eq!(response.headers()["x-seen"], "GET /b", "{down:?} {up:?}");
            assert_eq!(response.headers()["x-host"], "web.shop", "{down:?} {up:?}");
            assert!(response.headers().contains_key("date"));
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "", "{down:?} {up:?}");
        }
        assert_eq!(proxy.forward.client.connections(), 1, "{down:?} {up:?}");
    }
}

#[tokio::test]
async fn bodies_go_both_ways() {
    for (down, up) in PAIRS {
        let proxy = Proxy::start(up, echo);
        let mut client = proxy.client(down).await;
        for method in [Method::POST, Method::GET] {
            let (sender, body) = frames();
            tokio::spawn(async move {
                for piece in ["one ", "two ", "three"] {
                    let frame = Frame::data(Bytes::from(piece));
                    sender.send(frame).await.unwrap();
                }
            });
            let request = Request::builder()
                .method(method.clone())
                // A client of HTTP/1 would not send a body of unknown length with GET by itself.
                .header("content-length", 13)
                .uri("/");
            let response = client.send(request.body(body).unwrap()).await.unwrap();
            let seen = format!("{method} /");
            assert_eq!(response.headers()["x-seen"], seen.as_str());
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "one two three", "{method} {down:?} {up:?}");
        }
    }
}

#[tokio::test]
async fn trailers_go_both_ways_where_the_client_reads_them() {
    for (down, up) in PAIRS {
        let proxy = Proxy::start(up, echo);
        let mut client = proxy.client(down).await;
        let (sender, body) = frames();
        tokio::spawn(async move {
            let frame = Frame::data(Bytes::from("data"));
            sender.send(frame).await.unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "7".parse().unwrap());
            trailers.insert("content-length", "7".parse().unwrap());
            sender.send(Frame::trailers(trailers)).await.unwrap();
        });
        let request = Request::post("/")
            .header("te", "trailers")
            .header("trailer", "x-sum");
        let request = match down {
            Http::One => request.header("connection", "te"),
            Http::Two => request,
        };
        let response = client.send(request.body(body).unwrap()).await.unwrap();
        let collected = response.into_body().collect().await.unwrap();
        let trailers = collected.trailers().expect("there are trailers").clone();
        assert_eq!(trailers["x-sum"], "7", "{down:?} {up:?}");
        assert_eq!(trailers.len(), 1, "{down:?} {up:?}");
        assert_eq!(collected.to_bytes(), "data");
    }
}
