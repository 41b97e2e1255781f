//! Oracles: Istio's rules for control plane connections (spec/node-proxy.md 1.15, 3.3, 4.3), RFC
//! 9110 section 5.5 (field values), RFC 9113 section 3.4 (preface), RFC 8446 section 5.1 (records).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::clock::WallClock;
use parking_lot::Mutex;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::*;
use crate::testing::{Directory, Network, Server, ServerRoot};
use crate::wire::ca::istio_certificate_service_client::IstioCertificateServiceClient as Client;
use crate::wire::ca::istio_certificate_service_server::{
    IstioCertificateService, IstioCertificateServiceServer,
};
use crate::wire::ca::{IstioCertificateRequest, IstioCertificateResponse};

const HOST: &str = "istiod.test:15012";

/// Keeps the metadata of each call, or never answers.
#[derive(Clone, Default)]
struct Recorder {
    seen: Arc<Mutex<Vec<http::HeaderMap>>>,
    silent: bool,
}

#[tonic::async_trait]
impl IstioCertificateService for Recorder {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        self.seen
            .lock()
            .push(request.metadata().clone().into_headers());
        if self.silent {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(IstioCertificateResponse::default()))
    }
}

impl Recorder {
    fn serve(&self, network: &Network, tls: Option<Arc<rustls::ServerConfig>>) -> Server {
        Server::start(
            network,
            tls,
            IstioCertificateServiceServer::new(self.clone()),
        )
    }

    fn last(&self, name: &str) -> Option<String> {
        let seen = self.seen.lock();
        let value = seen.last()?.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }
}

fn endpoint(network: &Arc<Network>, address: &str, root: &ServerRoot) -> ControlEndpointBuilder {
    ControlEndpoint::builder(address)
        .roots(ControlRoots::Pem(root.pem.clone()))
        .dialer(network.clone())
}

async fn call(endpoint: &ControlEndpoint, channel: &ControlChannel) -> Result<(), Status> {
    let request = endpoint
        .request(IstioCertificateRequest::default())
        .await
        .unwrap();
    let answer = Client::new(channel.clone())
        .create_certificate(request)
        .await;
    answer.map(|_| ())
}

/// The causes of an error, as a log shows them.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[tokio::test]
async fn addresses_are_read_as_istio_writes_them() {
    for (text, address, dialled) in [
        (
            "istiod.istio-system.svc:15012",
            "https://istiod.istio-system.svc:15012",
            ("istiod.istio-system.svc", 15012),
        ),
        (
            "https://localhost:15012",
            "https://localhost:15012",
            ("localhost", 15012),
        ),
        (
            "https://istiod.test/",
            "https://istiod.test",
            ("istiod.test", 443),
        ),
        ("http://127.0.0.1", "http://127.0.0.1", ("127.0.0.1", 80)),
        ("https://[::1]:15012", "https://[::1]:15012", ("::1", 15012)),
        ("[fd00::1]", "https://[fd00::1]", ("fd00::1", 443)),
    ] {
        let network = Network::new();
        let endpoint = endpoint(&network, text, &ServerRoot::new())
            .build()
            .unwrap();
        assert_eq!(endpoint.address(), address, "{text}");
        assert!(endpoint.connect().await.is_err(), "{text}: nobody listens");
        assert_eq!(
            network.dialled(),
            [(dialled.0.to_owned(), dialled.1)],
            "{text}"
        );
    }
}

#[test]
fn other_addresses_are_refused_by_name() {
    for (text, reason) in [
        ("", "not a URI"),
        ("https://", "not a URI"),
        ("ftp://istiod.test", "scheme"),
        ("unix:///run/istiod", "not a URI"),
        ("https://istiod.test/path", "path"),
        ("https://istiod.test?query", "path"),
        ("https://user@istiod.test", "user"),
        ("https://istiod.test:0", "port"),
        ("https://istiod.test:99999", "port"),
        ("https://-_-", "host"),
        ("istiod test", "not a URI"),
        ("istiod.test\r\nx: y", "not a URI"),
    ] {
        let error = ControlEndpoint::builder(text).build().unwrap_err();
        assert!(matches!(&error, ControlError::Address { address, .. } if address == text));
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_host_or_the_alternative_name() {
    let (network, root) = (Network::new(), ServerRoot::new());
    for (case, names, address, alternative, accepted) in [
        ("host", &["istiod.test"][..], HOST, None, true),
        ("another host", &["other.test"], HOST, None, false),
        (
            "alternative",
            &["other.test"],
            HOST,
            Some("other.test"),
            true,
        ),
        (
            "host beside an alternative",
            &["istiod.test"],
            HOST,
            Some("other.test"),
            true,
        ),
        ("neither", &["third.test"], HOST, Some("other.test"), false),
        ("address", &["192.0.2.1"], "192.0.2.1:15012", None, true),
        (
            "another address",
            &["192.0.2.2"],
            "192.0.2.1:15012",
            None,
            false,
        ),
    ] {
        let _server = Recorder::default().serve(&network, Some(root.server(names)));
        let mut builder = endpoint(&network, address, &root);
        if let Some(name) = alternative {
            builder = builder.alternative_name(name);
        }
        let result = builder.build().unwrap().connect().await;
        assert_eq!(result.is_ok(), accepted, "{case}");
        if let Err(error) = result {
            assert!(
                matches!(error, ControlError::Handshake { .. }),
                "{case}: {error}"
            );
            assert!(
                causes(&error).contains(address),
                "{case}: {}",
                causes(&error)
            );
        }
    }
    let error = ControlEndpoint::builder(HOST)
        .alternative_name("no name")
        .build()
        .unwrap_err();
    assert!(matches!(error, ControlError::AlternativeName { name } if name == "no name"));
}

#[tokio::test]
async fn a_server_of_another_root_is_refused() {
    let (network, root) = (Network::new(), ServerRoot::new());
    let _server = Recorder::default().serve(&network, Some(root.server(&["istiod.test"])));
    let other = endpoint(&network, HOST, &ServerRoot::new())
        .build()
        .unwrap();
    let error = other.connect().await.unwrap_err();
    assert!(matches!(error, ControlError::Handshake { .. }));
    assert!(
        causes(&error).contains("UnknownIssuer"),
        "{}",
        causes(&error)
    );
    // The alternative name does not make up for the root.
    let other = endpoint(&network, HOST, &ServerRoot::new()).alternative_name("istiod.test");
    assert!(other.build().unwrap().connect().await.is_err());
}

#[tokio::test]
async fn an_expired_server_is_refused() {
    #[derive(Debug)]
    struct Year5000;
    impl WallClock for Year5000 {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(3030 * 365 * 24 * 3600)
        }
    }
    let (network, root) = (Network::new(), ServerRoot::new());
    let _server = Recorder::default().serve(&network, Some(root.server(&["istiod.test"])));
    let endpoint = endpoint(&network, HOST, &root)
        .clock(Arc::new(Year5000))
        .build()
        .unwrap();
    let error = endpoint.connect().await.unwrap_err();
    assert!(causes(&error).contains("xpired"), "{}", causes(&error));
}

#[tokio::test]
async fn tls_1_2_counts_only_where_it_is_allowed() {
    let (network, root) = (Network::new(), ServerRoot::new());
    for (case, version, allowed, accepted) in [
        ("1.3", &TLS13, false, true),
        ("1.3, 1.2 allowed", &TLS13, true, true),
        ("1.2", &TLS12, false, false),
        ("1.2 allowed", &TLS12, true, true),
    ] {
        let tls = root.server_with(&["istiod.test"], &[version]);
        let _server = Recorder::default().serve(&network, Some(tls));
        let builder = endpoint(&network, HOST, &root);
        let builder = if allowed {
            builder.allow_tls12()
        } else {
            builder
        };
        let result = builder.build().unwrap().connect().await;
        assert_eq!(result.is_ok(), accepted, "{case}");
    }
}

#[tokio::test]
async fn plain_http_is_spoken_only_when_it_is_written_out() {
    for (address, first) in [
        (HOST, &[0x16, 0x03][..]),
        ("http://istiod.test", b"PRI * HTTP/2.0"),
    ] {
        let network = Network::new();
        let mut listener = network.listen();
        let endpoint = endpoint(&network, address, &ServerRoot::new())
            .build()
            .unwrap();
        let task = tokio::spawn(async move { endpoint.connect().await.map(|_| ()) });
        let mut bytes = vec![0; first.len()];
        let mut stream = listener.recv().await.unwrap();
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes, first, "{address}");
        task.abort();
    }
}

#[tokio::test]
async fn each_call_carries_what_the_control_plane_asks_for() {
    let (network, root, recorder) = (Network::new(), ServerRoot::new(), Recorder::default());
    let _server = recorder.serve(&network, Some(root.server(&["istiod.test"])));
    let endpoint = endpoint(&network, HOST, &root)
        .token(ControlToken::Literal("secret".to_owned()))
        .cluster_id("Kubernetes")
        .header("X-Extra", "one")
        .header("authorization", "gives way")
        .build()
        .unwrap();
    let channel = endpoint.connect().await.unwrap();
    for _ in 0..2 {
        call(&endpoint, &channel).await.unwrap();
        for (name, value) in [
            ("authorization", "Bearer secret"),
            ("clusterid", "Kubernetes"),
            ("x-extra", "one"),
        ] {
            assert_eq!(recorder.last(name).as_deref(), Some(value), "{name}");
        }
    }
    assert_eq!(network.dialled().len(), 1);
    assert!(!format!("{endpoint:?}").contains("secret"), "{endpoint:?}");
}

#[tokio::test]
async fn a_token_file_is_read_for_each_call() {
    let (network, root, recorder) = (Network::new(), ServerRoot::new(), Recorder::default());
    let _server = recorder.serve(&network, Some(root.server(&["istiod.test"])));
    let directory = Directory::new();
    let path = directory.write("token", "first\n");
    let endpoint = endpoint(&network, HOST, &root).token(ControlToken::File(path.clone()));
    let endpoint = endpoint.build().unwrap();
    let channel = endpoint.connect().await.unwrap();
    call(&endpoint, &channel).await.unwrap();
    assert_eq!(
        recorder.last("authorization").as_deref(),
        Some("Bearer first")
    );
    directory.write("token", "second");
    call(&endpoint, &channel).await.unwrap();
    assert_eq!(
        recorder.last("authorization").as_deref(),
        Some("Bearer second")
    );

    std::fs::remove_file(&path).unwrap();
    let error = endpoint.metadata().await.unwrap_err();
    assert!(matches!(&error, ControlError::TokenFile { path: named, .. } if *named == path));
    directory.write("token", "third");
    call(&endpoint, &channel).await.unwrap();
    assert_eq!(
        recorder.last("authorization").as_deref(),
        Some("Bearer third")
    );
}

#[tokio::test]
async fn what_is_no_token_is_not_sent() {
    let directory = Directory::new();
    for (case, token) in [
        ("empty", ""),
        ("white space", " \n\n"),
        ("a header behind it", "token\r\nx-injected: 1"),
        ("two words", "two words"),
        ("a control character", "to\0ken"),
        ("beyond ASCII", "tokén"),
    ] {
        let file = ControlToken::File(directory.write("token", token));
        for source in [file, ControlToken::Literal(token.to_owned())] {
            let endpoint = ControlEndpoint::builder(HOST)
                .token(source)
                .build()
                .unwrap();
            let error = endpoint.metadata().await.unwrap_err();
            assert!(
                matches!(error, ControlError::Token { .. }),
                "{case}: {error}"
            );
            assert!(
                token.is_empty() || !error.to_string().contains(token),
                "{case}: {error}"
            );
        }
    }
    for (case, path) in [
        ("huge", directory.write("token", &"x".repeat(70_000))),
        ("a directory", directory.0.clone()),
    ] {
        let token = ControlToken::File(path);
        let endpoint = ControlEndpoint::builder(HOST).token(token).build().unwrap();
        let error = endpoint.metadata().await.unwrap_err();
        assert!(
            matches!(error, ControlError::TokenFile { .. }),
            "{case}: {error}"
        );
    }
}

#[test]
fn headers_cannot_be_injected() {
    for (case, name, value) in [
        ("value with a line end", "x-extra", "one\r\nx-injected: 1"),
        ("value with a control character", "x-extra", "one\0"),
        ("name with a line end", "x-extra: 1\r\nx-injected", "1"),
        ("name with a space", "x extra", "1"),
        ("pseudo-header", ":path", "/"),
        ("empty name", "", "1"),
        ("hop-by-hop", "Transfer-Encoding", "chunked"),
        ("of gRPC", "grpc-timeout", "1S"),
        ("of gRPC, its type", "content-type", "text/plain"),
    ] {
        let error = ControlEndpoint::builder(HOST)
            .header(name, value)
            .build()
            .unwrap_err();
        assert!(
            matches!(&error, ControlError::Header { name: named, .. } if named == name),
            "{case}"
        );
        assert!(
            !error.to_string().contains(value) || value.len() < 2,
            "{case}: {error}"
        );
    }
    let error = ControlEndpoint::builder(HOST)
        .cluster_id("a\nb")
        .build()
        .unwrap_err();
    assert!(matches!(&error, ControlError::Header { name, .. } if name == "clusterid"));
}

#[tokio::test]
async fn a_token_does_not_leave_the_machine_unencrypted() {
    for (address, sent) in [
        ("http://istiod.test", false),
        ("http://192.0.2.1", false),
        ("http://localhost", true),
        ("http://127.0.0.1:15010", true),
        ("http://[::1]", true),
        ("https://istiod.test", true),
    ] {
        let token = ControlToken::Literal("secret".to_owned());
        let endpoint = ControlEndpoint::builder(address)
            .token(token)
            .build()
            .unwrap();
        let metadata = endpoint.metadata().await.unwrap();
        assert_eq!(metadata.contains_key("authorization"), sent, "{address}");
    }
}

#[tokio::test]
async fn a_replaced_file_of_roots_counts_from_the_next_connection_on() {
    let (network, first, second) = (Network::new(), ServerRoot::new(), ServerRoot::new());
    let (directory, recorder) = (Directory::new(), Recorder::default());
    let path = directory.write("roots.pem", &first.pem);
    let endpoint = endpoint(&network, HOST, &first).roots(ControlRoots::File(path.clone()));
    let endpoint = endpoint.build().unwrap();
    let server = recorder.serve(&network, Some(first.server(&["istiod.test"])));
    let channel = endpoint.connect().await.unwrap();
    assert!(!endpoint.roots_changed(&channel).await);
    drop(server);
    let _server = recorder.serve(&network, Some(second.server(&["istiod.test"])));
    assert!(endpoint.connect().await.is_err());

    directory.write("roots.pem", &format!("{}{}", first.pem, second.pem));
    assert!(endpoint.roots_changed(&channel).await);
    let channel = endpoint.connect().await.unwrap();
    assert!(!endpoint.roots_changed(&channel).await);
    std::fs::remove_file(&path).unwrap();
    assert!(
        !endpoint.roots_changed(&channel).await,
        "no file is no change"
    );
    call(&endpoint, &channel).await.unwrap();
}

#[tokio::test]
async fn roots_that_are_none_are_named() {
    let directory = Directory::new();
    let good = ServerRoot::new().pem;
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let missing = directory.0.join("missing.pem");
    for (case, roots, named) in [
        ("missing", ControlRoots::File(missing), "missing.pem"),
        (
            "empty",
            ControlRoots::File(directory.write("empty.pem", "")),
            "empty.pem",
        ),
        (
            "a directory",
            ControlRoots::File(directory.0.clone()),
            "mesh-xds-test",
        ),
        (
            "one broken",
            ControlRoots::File(directory.write("b.pem", &(good + broken))),
            "b.pem",
        ),
        ("text", ControlRoots::Pem("hello".to_owned()), "text"),
    ] {
        let network = Network::new();
        let endpoint = ControlEndpoint::builder(HOST)
            .roots(roots)
            .dialer(network.clone());
        let error = endpoint.build().unwrap().connect().await.unwrap_err();
        assert!(
            matches!(error, ControlError::Roots { .. }),
            "{case}: {error}"
        );
        assert!(error.to_string().contains(named), "{case}: {error}");
        assert!(network.dialled().is_empty(), "{case}");
    }
}

#[test]
fn a_setting_names_roots_in_three_ways() {
    let pem = ServerRoot::new().pem;
    for (text, roots) in [
        ("SYSTEM", ControlRoots::System),
        (&*pem, ControlRoots::Pem(pem.clone())),
        (
            "./root-cert.pem",
            ControlRoots::File("./root-cert.pem".into()),
        ),
        ("system", ControlRoots::File("system".into())),
    ] {
        assert_eq!(ControlRoots::from_setting(text), roots, "{text}");
    }
}

#[tokio::test]
async fn roots_of_the_operating_system_do_not_vouch_for_strangers() {
    let (network, root) = (Network::new(), ServerRoot::new());
    let _server = Recorder::default().serve(&network, Some(root.server(&["istiod.test"])));
    let endpoint = endpoint(&network, HOST, &root)
        .roots(ControlRoots::System)
        .build()
        .unwrap();
    let error = endpoint.connect().await.unwrap_err();
    // A machine without any roots says so; one with roots knows no such issuer.
    match error {
        ControlError::Roots { origin, .. } => assert_eq!(origin, "the operating system"),
        error => assert!(
            causes(&error).contains("UnknownIssuer"),
            "{}",
            causes(&error)
        ),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_costs_the_connect_timeout() {
    #[derive(Debug)]
    struct Never;
    #[async_trait::async_trait]
    impl ControlDialer for Never {
        async fn dial(&self, _: &str, _: u16) -> std::io::Result<Box<dyn ControlStream>> {
            std::future::pending().await
        }
    }
    let (network, root) = (Network::new(), ServerRoot::new());
    let mut listener = network.listen();
    let silent = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Some(stream) = listener.recv().await {
            streams.push(stream);
        }
    });
    let never: Arc<dyn ControlDialer> = Arc::new(Never);
    for (case, dialer, timeout) in [
        ("TCP", never, None),
        ("TLS", network.clone(), None),
        ("another limit", network, Some(Duration::from_secs(1))),
    ] as [(_, Arc<dyn ControlDialer>, _); 3]
    {
        let builder = endpoint(&Network::new(), HOST, &root).dialer(dialer);
        let builder = match timeout {
            Some(timeout) => builder.connect_timeout(timeout),
            None => builder,
        };
        let (endpoint, start) = (builder.build().unwrap(), Instant::now());
        let error = endpoint.connect().await.unwrap_err();
        let expected = timeout.unwrap_or(Duration::from_secs(5));
        assert!(
            matches!(error, ControlError::ConnectTimeout { .. }),
            "{case}: {error}"
        );
        let waited = start.elapsed();
        assert!(
            waited >= expected && waited < expected * 2,
            "{case}: {waited:?}"
        );
    }
    silent.abort();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_noticed() {
    let (network, root) = (Network::new(), ServerRoot::new());
    let recorder = Recorder {
        silent: true,
        ..Recorder::default()
    };
    let server = recorder.serve(&network, Some(root.server(&["istiod.test"])));
    let endpoint = endpoint(&network, HOST, &root).build().unwrap();
    let channel = endpoint.connect().await.unwrap();
    // A slow answer is no silence: the server answers pings.
    let slow = tokio::time::timeout(Duration::from_secs(600), call(&endpoint, &channel)).await;
    assert!(slow.is_err());
    server.freeze();
    let start = Instant::now();
    call(&endpoint, &channel).await.unwrap_err();
    let waited = start.elapsed();
    assert!(waited <= Duration::from_secs(30 + 10 + 1), "{waited:?}");
    assert!(channel.is_closed());
}

#[tokio::test]
async fn a_connection_that_ended_is_known() {
    let (network, root) = (Network::new(), ServerRoot::new());
    let server = Recorder::default().serve(&network, Some(root.server(&["istiod.test"])));
    let endpoint = endpoint(&network, HOST, &root).build().unwrap();
    let channel = endpoint.connect().await.unwrap();
    call(&endpoint, &channel).await.unwrap();
    assert!(!channel.is_closed());
    drop(server);
    call(&endpoint, &channel).await.unwrap_err();
    assert!(channel.is_closed());
    let error = endpoint.connect().await.unwrap_err();
    assert!(matches!(error, ControlError::Unreachable { .. }), "{error}");
    assert!(
        error.to_string().contains("https://istiod.test:15012"),
        "{error}"
    );
}

#[tokio::test]
async fn tcp_reaches_a_real_listener() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = ControlEndpoint::builder(format!("http://{address}"))
        .build()
        .unwrap();
    let task = tokio::spawn(async move { endpoint.connect().await.map(|_| ()) });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    task.abort();
    drop(listener);
    let endpoint = ControlEndpoint::builder(format!("http://{address}"))
        .build()
        .unwrap();
    let error = endpoint.connect().await.unwrap_err();
    assert!(
        causes(&error).contains(&address.to_string()),
        "{}",
        causes(&error)
    );
    assert!(matches!(error, ControlError::Unreachable { .. }), "{error}");
}
