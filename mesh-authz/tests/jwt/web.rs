//! Spec 3.7.2: fetching over HTTP and TLS, against servers on this machine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_authz::jwt::{
    AddressGuard, FetchError, HttpFetcher, JwksFetcher, JwksSource, JwksStore, RefreshPolicy,
    Refresher, drive, fetch,
};
use mesh_core::clock::SystemClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

type Requests = Arc<Mutex<Vec<String>>>;

/// Answers each connection with the next of `answers`, the last one again and again.
async fn server(answers: Vec<String>) -> (SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Requests::default();
    let seen = requests.clone();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).await.unwrap() == 0 {
                    break;
                }
                request.extend(byte);
            }
            seen.lock()
                .unwrap()
                .push(String::from_utf8(request).unwrap());
            let answer = answers.get(number).or(answers.last()).unwrap();
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, requests)
}

fn ok(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

fn exempt() -> AddressGuard {
    AddressGuard::default().exempt(["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()])
}

async fn get(address: SocketAddr, limit: usize) -> Result<(String, Option<u64>), FetchError> {
    let fetcher = HttpFetcher::new(exempt(), []);
    let document = fetcher
        .get(
            &format!("http://{address}/keys?v=1").parse().unwrap(),
            limit,
        )
        .await?;
    let age = document.max_age.map(|age| age.as_secs());
    Ok((String::from_utf8(document.body).unwrap(), age))
}

#[tokio::test]
async fn a_document_is_fetched_with_its_age() {
    let (address, requests) = server(vec![ok("cache-control: max-age=120\r\n", "keys")]).await;
    assert_eq!(get(address, 100).await, Ok(("keys".to_owned(), Some(120))));
    let request = requests.lock().unwrap()[0].clone();
    assert!(
        request.starts_with("GET /keys?v=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains(&format!("host: {address}\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn what_is_no_document_is_an_error_without_its_text() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nsecret\r\n6\r\nsecret\r\n0\r\n\r\n";
    let cases = [
        (
            "404",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\n\r\nsecret".to_owned(),
            FetchError::Status(404),
        ),
        (
            "announced too large",
            ok("", "secret secret"),
            FetchError::TooLarge,
        ),
        ("found too large", chunked.to_owned(), FetchError::TooLarge),
        (
            "short",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsecret".to_owned(),
            FetchError::Malformed,
        ),
        ("no HTTP", "secret".to_owned(), FetchError::Malformed),
        (
            "redirect to another host",
            redirect("http://secret.example/"),
            FetchError::Redirect,
        ),
        (
            "redirect to another scheme",
            redirect("https://127.0.0.1/"),
            FetchError::Redirect,
        ),
        (
            "redirect to another port",
            redirect("http://127.0.0.1:1/"),
            FetchError::Redirect,
        ),
        (
            "redirect without a scheme",
            redirect("//secret.example/"),
            FetchError::Redirect,
        ),
        (
            "redirects without end",
            redirect("/again"),
            FetchError::Redirect,
        ),
    ];
    for (name, answer, expected) in cases {
        let (address, _) = server(vec![answer]).await;
        let error = get(address, 10).await.unwrap_err();
        assert_eq!(error, expected, "{name}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{name}");
    }
}

#[tokio::test]
async fn redirects_within_a_host_are_followed() {
    let (address, requests) = server(vec![redirect("/other?v=2"), ok("", "keys")]).await;
    assert_eq!(get(address, 10).await, Ok(("keys".to_owned(), None)));
    assert!(requests.lock().unwrap()[1].starts_with("GET /other?v=2 HTTP/1.1"));
}

#[tokio::test]
async fn blocked_addresses_are_not_connected_to() {
    let (address, requests) = server(vec![ok("", "keys")]).await;
    let fetcher = HttpFetcher::new(AddressGuard::default(), []);
    let port = address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ] {
        let uri = format!("http://{host}:{port}/").parse().unwrap();
        assert_eq!(
            fetcher.get(&uri, 10).await.unwrap_err(),
            FetchError::Blocked,
            "{host}"
        );
    }
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn servers_are_known_by_their_certificates() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(ok("", "keys").as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    let get = async |roots: Vec<_>, host: &str| {
        let fetcher = HttpFetcher::new(exempt(), roots);
        let uri = format!("https://{host}:{port}/").parse().unwrap();
        fetcher.get(&uri, 10).await.map(|document| document.body)
    };
    assert_eq!(
        get(vec![certificate.clone()], "localhost").await,
        Ok(b"keys".to_vec())
    );
    assert_eq!(
        get(vec![], "localhost").await,
        Err(FetchError::Unreachable),
        "unknown root"
    );
    let other = get(vec![certificate], "127.0.0.1").await;
    assert_eq!(other, Err(FetchError::Unreachable), "another name");
}

#[tokio::test]
async fn a_driven_refresher_fetches_what_is_new() {
    let (address, requests) = server(vec![ok("", r#"{"keys":[]}"#)]).await;
    let store = JwksStore::new();
    let refresher = Refresher::new(store.clone(), RefreshPolicy::default(), Box::new(|| 0));
    let fetcher = Arc::new(HttpFetcher::new(exempt(), []));
    let driver = drive(refresher, store.wake(), fetcher, Arc::new(SystemClock));
    let source = JwksSource::uri(&format!("http://{address}/")).unwrap();
    let keys = store.remote(source, Duration::from_secs(5));
    let fetched = async {
        while keys.held().keys.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = driver => panic!("the driver ended"),
        () = fetched => {}
    }
    assert_eq!(requests.lock().unwrap().len(), 1);
}

/// Never answers.
struct Silent;

#[async_trait::async_trait]
impl JwksFetcher for Silent {
    async fn get(&self, _: &http::Uri, _: usize) -> Result<mesh_authz::jwt::Document, FetchError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_after_the_timeout_of_the_rule() {
    let store = JwksStore::new();
    let keys = store.remote(
        JwksSource::uri("http://h.example/").unwrap(),
        Duration::from_secs(5),
    );
    let refresher = Refresher::new(store.clone(), RefreshPolicy::default(), Box::new(|| 0));
    let driver = drive(
        refresher,
        store.wake(),
        Arc::new(Silent),
        Arc::new(SystemClock),
    );
    let waited = tokio::time::timeout(Duration::from_millis(5900), driver).await;
    assert!(waited.is_err());
    assert_eq!(keys.held().failure, Some(FetchError::TimedOut));
    let once = fetch(&Silent, keys.source());
    assert!(
        tokio::time::timeout(Duration::from_secs(60), once)
            .await
            .is_err()
    );
}
