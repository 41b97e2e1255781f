//! Many connections, and connections that stand still.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::trial;
use crate::harness::clients::{ask, exchange, patiently};
use crate::harness::{Node, PATIENCE, PROMPT, Pod, Proxy, applications};

/// Connections that are open at the same time.
const MANY: usize = 2000;

/// Readers that stop reading.
const STALLED: usize = 12;

/// What the two proxies together may grow by for them, in bytes.
const GROWTH: u64 = 40_000_000;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "two_thousand_connections_at_once_are_all_answered",
            many_connections,
        ),
        trial(
            "stalled_readers_neither_slow_their_neighbours_nor_fill_memory",
            stalled_readers,
        ),
    ]
}

fn many_connections() {
    let node = Node::new();
    let (client, proxy) = node.captured("client");
    let (server, _server_proxy) = node.captured("server");
    let _echo = server.serve(8080, applications::echo);
    let to = server.port(8080);
    client.run(async {
        let all_open = Arc::new(Barrier::new(MANY));
        let mut clients = JoinSet::new();
        for _ in 0..MANY {
            let all_open = all_open.clone();
            clients.spawn(async move {
                let mut stream = TcpStream::connect(to).await?;
                exchange(&mut stream, b"first").await?;
                timeout(PATIENCE, all_open.wait()).await?;
                exchange(&mut stream, b"second").await
            });
        }
        while let Some(client) = clients.join_next().await {
            client.unwrap().unwrap();
        }
    });
    proxy
        .log
        .wait_for_all("the ends", MANY, |line| line.is_end("outbound"));
    let metrics = proxy.metrics(&client);
    let fine = [("response_flags", "-"), ("destination_workload", "server")];
    assert_eq!(
        metrics.sum("istio_tcp_connections_closed_total", &fine),
        MANY as u64
    );
}

fn stalled_readers() {
    let node = Node::new();
    let (client, client_proxy) = node.captured("client");
    let (server, server_proxy) = node.captured("server");
    let _flood = server.serve(8081, applications::flood);
    let _echo = server.serve(8080, applications::echo);
    let (flood, echo) = (server.port(8081), server.port(8080));
    client.run(ask(echo, b"warm")).unwrap();
    let memory = || client_proxy.memory() + server_proxy.memory();
    let before = memory();

    let stalled = client.run(async {
        let mut stalled = Vec::new();
        for _ in 0..STALLED {
            stalled.push(patiently(first_byte(flood)).await.unwrap());
        }
        // Sockets without a runtime: nobody can read them.
        stalled
            .into_iter()
            .map(|stream| stream.into_std().unwrap())
            .collect::<Vec<_>>()
    });
    until_nothing_moves(&server_proxy, &server);

    let slowest = client.run(async {
        let mut slowest = Duration::ZERO;
        for _ in 0..10 {
            let begin = Instant::now();
            let answer = timeout(PROMPT, ask(echo, b"hello")).await;
            assert_eq!(answer.expect("the answer is prompt").unwrap(), b"hello");
            slowest = slowest.max(begin.elapsed());
        }
        slowest
    });
    let growth = memory().saturating_sub(before);
    println!(
        "{STALLED} stalled readers: the proxies grew by {:.1} MB together, the slowest of 10 other \
         requests took {slowest:?}",
        growth as f64 / 1e6
    );
    assert!(growth < GROWTH, "the proxies grew by {growth} bytes");
    drop(stalled);
}

async fn first_byte(from: std::net::SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(from).await?;
    stream.read_u8().await?;
    Ok(stream)
}

/// Waits until a proxy carries no more bytes.
fn until_nothing_moves(proxy: &Proxy, pod: &Pod<'_>) {
    let deadline = Instant::now() + PATIENCE;
    let mut last = None;
    loop {
        let carried = proxy.metrics(pod).sum("istio_tcp_sent_bytes_total", &[]);
        if last.replace(carried) == Some(carried) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "bytes keep moving to readers that do not read"
        );
        // Long beside the time in which a proxy fills a window.
        std::thread::sleep(Duration::from_millis(500));
    }
}
