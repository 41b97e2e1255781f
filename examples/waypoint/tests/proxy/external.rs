//! CUSTOM policies: authorizers that run, and say themselves what they were asked. Sources: authz.md 1.3 (when they
//! are asked), 4.3 (how they are configured), 4.4 and 4.6 (what their answers do).

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::application::{PORT, head};
use crate::world::{API, WEB, World};

/// The mesh's configuration with two authorizers, of which one speaks HTTP and the other gRPC, both at the fourth address;
/// and policies that ask them about paths.
fn objects(world: &World, fail_open: bool) -> String {
    format!(
        "
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |
    extensionProviders:
    - name: http
      envoyExtAuthzHttp:
        service: shop/authz.shop.svc.cluster.local
        port: 80
        pathPrefix: /check
        timeout: 2s
        failOpen: {fail_open}
        includeRequestHeadersInCheck: [x-told]
        headersToUpstreamOnAllow: [x-user]
    - name: grpc
      envoyExtAuthzGrpc: {{service: authz.shop.svc.cluster.local, port: 9000, timeout: 2s, statusOnError: '503'}}
---
apiVersion: v1
kind: Service
metadata: {{name: authz, namespace: shop}}
spec: {{clusterIP: 10.96.0.7, selector: {{app: authz}}, ports: [{{name: http, port: 80, targetPort: 8080}}, {{name: any, port: 9000, targetPort: 9000}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: authz, namespace: shop, labels: {{app: authz}}}}
status: {{podIP: {}}}
{}{}{}",
        world.fourth(),
        policy("http", "/http*"),
        policy("grpc", "/grpc*"),
        policy("unknown", "/unknown*"),
    )
}

fn policy(provider: &str, path: &str) -> String {
    format!(
        "
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: ask-{provider}, namespace: shop}}
spec:
  targetRefs: [{{group: '', kind: Service, name: web}}]
  action: CUSTOM
  provider: {{name: {provider}}}
  rules: [{{to: [{{operation: {{paths: ['{path}']}}}}]}}]
"
    )
}

/// What an authorizer was asked.
type Asked = Arc<Mutex<Vec<String>>>;

/// Denies paths with `deny` in them; fails for those with `fail`.
async fn http_authorizer(world: &World) -> Asked {
    let listener = TcpListener::bind((world.fourth(), PORT)).await.unwrap();
    let asked = Asked::default();
    let answers = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let asked = answers.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Some((line, headers)) = head(&mut stream).await {
                    let told = headers.get("x-told").cloned().unwrap_or_default();
                    let hidden = headers.get("x-hidden").cloned().unwrap_or_default();
                    asked.lock().unwrap().push(format!("{line} {told}{hidden}"));
                    let answer = if line.contains("deny") {
                        "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 6\r\n\r\nlog in"
                    } else if line.contains("fail") {
                        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"
                    } else {
                        "HTTP/1.1 200 OK\r\nx-user: ann\r\nx-other: no\r\ncontent-length: 0\r\n\r\n"
                    };
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    asked
}

/// Denies where the request has `deny` in it, by what Envoy's protocol calls status 7.
async fn grpc_authorizer(world: &World) -> Asked {
    let listener = TcpListener::bind((world.fourth(), 9000)).await.unwrap();
    let asked = Asked::default();
    let answers = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let asked = answers.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let asked = asked.clone();
                    tokio::spawn(async move {
                        let (parts, mut body) = request.into_parts();
                        let mut message = Vec::new();
                        while let Some(Ok(data)) = body.data().await {
                            message.extend_from_slice(&data);
                        }
                        let message = String::from_utf8_lossy(&message).into_owned();
                        asked
                            .lock()
                            .unwrap()
                            .push(format!("{} {message}", parts.uri.path()));
                        let head = http::Response::builder()
                            .header("content-type", "application/grpc")
                            .body(())
                            .unwrap();
                        let mut stream = respond.send_response(head, false).unwrap();
                        // `status {code: 7}`, or `status {}` with a header for the request.
                        let answer: &[u8] = match message.contains("/grpc/deny") {
                            true => b"\0\0\0\0\x04\x0a\x02\x08\x07",
                            false => {
                                b"\0\0\0\0\x13\x0a\0\x1a\x0f\x12\x0d\x0a\x0b\x0a\x06x-user\x12\x01b"
                            }
                        };
                        stream.send_data(answer.to_vec().into(), false).unwrap();
                        let mut trailers = http::HeaderMap::new();
                        trailers.insert("grpc-status", "0".parse().unwrap());
                        stream.send_trailers(trailers).unwrap();
                    });
                }
            });
        }
    });
    asked
}

async fn begin() -> World {
    let world = World::start("").await;
    world.write(&objects(&world, false));
    let denied = async || world.client.get(WEB, "/unknown").await.status == 403;
    world.until("the policies", denied).await;
    world
}

#[tokio::test]
async fn an_authorizer_over_http_decides() {
    let world = begin().await;
    let asked = http_authorizer(&world).await;
    let before = world.v1.requests() + world.v2.requests();
    let headers = "x-told: yes\r\nx-hidden: no\r\nx-user: forged\r\n";
    let answer = world.client.send(WEB, "GET", "/http/a?b=c", headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("x-user=ann"), "{answer:?}");
    assert!(!answer.body.contains("x-other"), "{answer:?}");
    let answer = world.client.get(WEB, "/http/deny").await;
    assert_eq!((answer.status, answer.body.as_str()), (302, "log in"));
    assert_eq!(answer.headers["location"], "/login");
    let answer = world.client.get(WEB, "/http/fail").await;
    assert_eq!((answer.status, answer.body.as_str()), (403, ""));
    // Nobody is asked about others.
    assert_eq!(world.client.get(WEB, "/free").await.status, 200);
    assert_eq!(world.client.get(API, "/http/deny").await.status, 200);
    assert_eq!(
        *asked.lock().unwrap(),
        [
            "GET /check/http/a?b=c HTTP/1.1 yes",
            "GET /check/http/deny HTTP/1.1 ",
            "GET /check/http/fail HTTP/1.1 "
        ]
    );
    assert_eq!(world.v1.requests() + world.v2.requests(), before + 2);
    for line in [
        "\"GET /http/deny HTTP/1.1\" 302 UAEX ext_authz_denied",
        "\"GET /http/fail HTTP/1.1\" 403 UAEX ext_authz_error",
    ] {
        world.until(line, async || world.lines(&[line]) == 1).await;
    }
    // `failOpen`, which does not make an unknown authorizer one.
    world.write(&objects(&world, true));
    let open = async || world.client.get(WEB, "/http/fail").await.status == 200;
    world.until("failures to allow", open).await;
    assert_eq!(world.client.get(WEB, "/unknown").await.status, 403);
    assert_eq!(world.client.get(WEB, "/http/deny").await.status, 302);
}

#[tokio::test]
async fn an_authorizer_over_grpc_decides() {
    let world = begin().await;
    let asked = grpc_authorizer(&world).await;
    let answer = world.client.get(WEB, "/grpc/a").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.contains("x-user=b"), "{answer:?}");
    let before = world.v1.requests() + world.v2.requests();
    assert_eq!(world.client.get(WEB, "/grpc/deny").await.status, 403);
    assert_eq!(world.v1.requests() + world.v2.requests(), before);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    for part in [
        "/envoy.service.auth.v3.Authorization/Check ",
        "spiffe://cluster.local/ns/shop/sa/client",
        "10.96.0.1",
        "/grpc/a",
        ":method",
    ] {
        assert!(asked[0].contains(part), "{part}: {:?}", asked[0]);
    }
}

#[tokio::test]
async fn an_authorizer_that_is_away_denies() {
    let world = begin().await;
    let before = world.v1.requests() + world.v2.requests();
    assert_eq!(world.client.get(WEB, "/http/a").await.status, 403);
    assert_eq!(world.client.get(WEB, "/grpc/a").await.status, 503);
    let line = "\"GET /grpc/a HTTP/1.1\" 503 UAEX ext_authz_error";
    world.until(line, async || world.lines(&[line]) == 1).await;
    let page = world.fetch(15020, "/stats/prometheus").await.unwrap();
    assert!(page.contains("response_flags=\"UAEX\""), "{page}");
    assert_eq!(world.v1.requests() + world.v2.requests(), before);
}
