//! What an HTTP/2 client may not do, and gRPC over all pairs of versions.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use mesh_l7::body::Body;
use mesh_l7::serve::ServeError;

use crate::proxy::{Http, PAIRS, Proxy, frames};

type Client = h2::client::SendRequest<Bytes>;

async fn client(proxy: &Proxy) -> (Client, tokio::task::JoinHandle<Result<(), ServeError>>) {
    let (io, served) = proxy.accept();
    let (sender, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    (sender.ready().await.unwrap(), served)
}

#[tokio::test]
async fn malformed_requests_are_answered_and_the_connection_goes_on() {
    let cases: [(&str, &str, &str, u16); 4] = [
        ("another host", "host", "evil", 400),
        ("a host that is none", "host", "a b", 400),
        ("an expectation", "expect", "the-best", 417),
        ("nothing wrong", "x-a", "1", 200),
    ];
    let proxy = Proxy::start(Http::One, |_| async { Response::new(Body::from("ok")) });
    let (mut sender, _served) = client(&proxy).await;
    for (case, name, value, status) in cases {
        let request = Request::get("http://web.shop/").header(name, value);
        let (response, _) = sender
            .send_request(request.body(()).unwrap(), true)
            .unwrap();
        assert_eq!(response.await.unwrap().status(), status, "{case}");
    }
}

/// Answers with what came and a status in its trailers, or with the status alone.
async fn grpc(request: Request<hyper::body::Incoming>) -> Response<Body> {
    assert_eq!(request.headers()["te"], "trailers");
    assert_eq!(request.headers()["grpc-timeout"], "5S");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("grpc-message", "fine".parse().unwrap());
    let response = Response::builder()
        .header("content-type", "application/grpc")
        .header("trailer", "grpc-status, grpc-message");
    if request.uri().path() == "/shop.Web/Fail" {
        let response = response.header("grpc-status", "5");
        return response.body(Body::empty()).unwrap();
    }
    let (sender, body) = frames();
    tokio::spawn(async move {
        let mut incoming = request.into_body();
        while let Some(Ok(frame)) = incoming.frame().await {
            if frame.is_data() && sender.send(frame).await.is_err() {
                return;
            }
        }
        let _ = sender.send(Frame::trailers(trailers)).await;
    });
    response.body(body).unwrap()
}

#[tokio::test]
async fn calls_of_grpc_stream_both_ways_and_end_with_their_status() {
    for (down, up) in PAIRS {
        let proxy = Proxy::start(up, grpc);
        let mut client = proxy.client(down).await;
        for messages in [1, 3] {
            let (sender, body) = frames();
            let request = Request::post("/shop.Web/Echo")
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("grpc-timeout", "5S");
            let request = match down {
                Http::One => request.header("connection", "te"),
                Http::Two => request,
            };
            let response = client.send(request.body(body).unwrap()).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{down:?} {up:?}");
            let mut body = response.into_body();
            for message in 0..messages {
                let message = Bytes::from(vec![0, 0, 0, 0, 1, message]);
                sender.send(Frame::data(message.clone())).await.unwrap();
                let back = body.frame().await.unwrap().unwrap().into_data();
                assert_eq!(back.unwrap(), message, "{down:?} {up:?}");
            }
            drop(sender);
            let rest = body.collect().await.unwrap();
            let trailers = rest.trailers().expect("there are trailers");
            assert_eq!(trailers["grpc-status"], "0", "{down:?} {up:?}");
            assert_eq!(trailers["grpc-message"], "fine", "{down:?} {up:?}");
        }
    }
}

#[tokio::test]
async fn a_call_that_fails_at_once_has_its_status_in_the_head() {
    for (down, up) in PAIRS {
        let proxy = Proxy::start(up, grpc);
        let mut client = proxy.client(down).await;
        let request = Request::post("/shop.Web/Fail")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "5S");
        let request = match down {
            Http::One => request.header("connection", "te"),
            Http::Two => request,
        };
        let request = request.body(Body::empty()).unwrap();
        let response = client.send(request).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "5", "{down:?} {up:?}");
    }
}
