//! Pipes stand for the application and the network.

use std::io;
use std::sync::Arc;

use mesh_core::outcome::Outcome;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower_service::Service;

use super::Socks5;
use crate::client::{self, Target};
use crate::proxy::testing::{Recorder, Seen, TestDialer, TestSocket, addr, resolver, socket};
use crate::proxy::{Addresses, Error, HopConnector, NameLookup, Outbound, Tunnels};
use crate::server::Accepted;
use crate::tunnel::Tunnel;

/// Refuses every tunnel, and keeps what it was asked for.
#[derive(Clone, Default)]
struct NoTunnels(Arc<Mutex<Vec<Target>>>);

impl Tunnels for NoTunnels {
    async fn open(&self, target: Target) -> Result<Tunnel, client::Error> {
        let endpoint = target.endpoint;
        self.0.lock().push(target);
        Err(client::Error::Refused {
            endpoint,
            status: http::StatusCode::UNAUTHORIZED,
        })
    }

    async fn open_through(&self, _: Target, target: Target) -> Result<Tunnel, client::Error> {
        self.open(target).await
    }
}

#[derive(Clone)]
struct TestLookup;

impl NameLookup for TestLookup {
    async fn lookup(&self, name: &str) -> io::Result<Addresses> {
        match name {
            "outside.example" => {
                Ok(["2001:db8::7".parse().unwrap(), [198, 51, 100, 7].into()].into())
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

struct Bench {
    recorder: Arc<Recorder>,
    dialer: TestDialer,
    tunnels: NoTunnels,
    app: DuplexStream,
    serving: tokio::task::JoinHandle<Result<(), Error>>,
}

/// An application that asks for a host, in the bytes of the request, and port 80.
async fn ask(host: &[u8], dialled: Vec<Result<TestSocket, io::ErrorKind>>) -> Bench {
    let recorder = Arc::<Recorder>::default();
    let dialer = TestDialer::new(dialled);
    let tunnels = NoTunnels::default();
    let connector = HopConnector::new(dialer.clone(), tunnels.clone());
    let outbound = Outbound::new(resolver("a"), connector, TestLookup, recorder.clone());
    let (io, mut app, _) = socket();
    let accepted = Accepted {
        io,
        peer: addr("127.0.0.1:40000"),
        local: addr("127.0.0.1:15080"),
    };
    let serving = tokio::spawn(Socks5::new(outbound).call(accepted));
    app.write_all(&[5, 1, 0]).await.unwrap();
    let mut method = [0; 2];
    app.read_exact(&mut method).await.unwrap();
    assert_eq!(method, [5, 0]);
    let request = [&[5, 1, 0], host, &[0, 80]].concat();
    app.write_all(&request).await.unwrap();
    Bench {
        recorder,
        dialer,
        tunnels,
        app,
        serving,
    }
}

fn name(name: &str) -> Vec<u8> {
    [&[3, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat()
}

async fn reply(app: &mut DuplexStream) -> u8 {
    let mut reply = [0; 10];
    app.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply[0], 5);
    reply[1]
}

#[tokio::test]
async fn success_is_told_once_connected_and_then_bytes_flow() {
    let (upstream, mut server, _) = socket();
    let mut bench = ask(&[1, 10, 0, 0, 9], vec![Ok(upstream)]).await;
    assert_eq!(reply(&mut bench.app).await, 0);
    assert_eq!(bench.dialer.asked.lock()[0].address, addr("10.0.0.9:80"));
    server.write_all(b"hello").await.unwrap();
    server.shutdown().await.unwrap();
    bench.app.shutdown().await.unwrap();
    let mut got = Vec::new();
    bench.app.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"hello");
    bench.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn failures_have_the_codes_of_the_rfc() {
    let dial = |kind| vec![Err(kind)];
    let cases = [
        (
            "refused",
            vec![1, 10, 0, 0, 9],
            dial(io::ErrorKind::ConnectionRefused),
            5,
        ),
        (
            "no network",
            vec![1, 10, 0, 0, 9],
            dial(io::ErrorKind::NetworkUnreachable),
            3,
        ),
        (
            "no host",
            vec![1, 10, 0, 0, 9],
            dial(io::ErrorKind::HostUnreachable),
            4,
        ),
        ("unknown name", name("nobody.example"), vec![], 4),
        ("no endpoint", vec![1, 10, 96, 0, 3], vec![], 4),
    ];
    for (case, host, dialled, code) in cases {
        let mut bench = ask(&host, dialled).await;
        assert_eq!(reply(&mut bench.app).await, code, "{case}");
        bench.serving.await.unwrap().unwrap_err();
        let seen = bench.recorder.seen();
        let ends = |seen: &&Seen| matches!(seen, Seen::Closed { .. } | Seen::Rejected(..));
        assert_eq!(seen.iter().filter(ends).count(), 1, "{case}: {seen:?}");
    }
}

#[tokio::test]
async fn names_are_asked_of_the_mesh_and_then_looked_up() {
    let mut inside = ask(&name("web"), vec![]).await;
    assert_eq!(reply(&mut inside.app).await, 5);
    assert!(inside.tunnels.0.lock()[0].authority.ends_with(":8080"));
    let error = inside.serving.await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Refused);

    let (upstream, _server, _) = socket();
    let mut outside = ask(&name("outside.example"), vec![Ok(upstream)]).await;
    assert_eq!(reply(&mut outside.app).await, 0);
    // The application came by IPv4.
    let dialled = outside.dialer.asked.lock()[0].address;
    assert_eq!(dialled, addr("198.51.100.7:80"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_rejected_in_time() {
    let recorder = Arc::<Recorder>::default();
    let connector = HopConnector::new(TestDialer::default(), NoTunnels::default());
    let outbound = Outbound::new(resolver("a"), connector, TestLookup, recorder.clone());
    let (io, _app, _) = socket();
    let accepted = Accepted {
        io,
        peer: addr("127.0.0.1:40000"),
        local: addr("127.0.0.1:15080"),
    };
    Socks5::new(outbound).call(accepted).await.unwrap_err();
    let seen = recorder.seen();
    assert!(
        matches!(&seen[..], [Seen::Rejected(Outcome::BadRequest, _)]),
        "{seen:?}"
    );
}
