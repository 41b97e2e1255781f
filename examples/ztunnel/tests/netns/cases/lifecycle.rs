//! Proxies that stop, and peers that vanish.

use std::io;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::trial;
use crate::harness::clients::{Fate, ask, exchange, fate, patiently};
use crate::harness::log::Line;
use crate::harness::{Node, Pod, Proxy, applications};

/// Connections that end while the proxy drains, and those that do not.
const FINISHING: usize = 20;
const STAYING: usize = 5;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "connections_end_when_the_wire_to_the_peer_is_cut_and_others_go_on",
            wire_is_cut,
        ),
        trial(
            "a_terminated_proxy_of_a_server_finishes_what_runs_and_counts_what_it_cuts",
            || terminated(Terminated::Server),
        ),
        trial(
            "a_terminated_proxy_of_a_client_finishes_what_runs_and_counts_what_it_cuts",
            || terminated(Terminated::Client),
        ),
        trial(
            "connections_end_when_the_peers_proxy_is_killed_and_others_go_on",
            peer_is_killed,
        ),
    ]
}

enum Terminated {
    Client,
    Server,
}

fn terminated(which: Terminated) {
    let deadline = [("CONNECTION_TERMINATION_DEADLINE", "4s")];
    let node = Node::new();
    let (client, mut client_proxy) = node.captured_with("client", &deadline);
    let (server, mut server_proxy) = node.captured_with("server", &deadline);
    let _echo = server.serve(8080, applications::echo);
    let _pages = server.serve(8081, applications::http);
    let (echo, pages) = (server.port(8080), server.port(8081));

    let (proxy, refused) = match which {
        // Nobody listens where the client's connections are redirected to.
        Terminated::Client => (&mut client_proxy, Fate::Refused),
        Terminated::Server => (&mut server_proxy, Fate::Closed),
    };
    client.run(async {
        let mut streams = Vec::new();
        for _ in 0..FINISHING + STAYING {
            let mut stream = TcpStream::connect(echo).await.unwrap();
            exchange(&mut stream, b"before").await.unwrap();
            streams.push(stream);
        }
        proxy.terminate();
        // The signal takes a moment to arrive; from then on nothing new is accepted.
        while fate(pages).await != refused {}
        for _ in 0..3 {
            assert_eq!(fate(pages).await, refused, "a new connection");
        }

        for stream in &mut streams {
            exchange(stream, b"while it drains").await.unwrap();
        }
        let staying = streams.split_off(FINISHING);
        drop(streams);
        for mut stream in staying {
            let mut rest = Vec::new();
            // Its end, or an error: it was cut.
            let _ = patiently(stream.read_to_end(&mut rest)).await;
            assert_eq!(rest, b"");
        }
    });
    let cut = |line: &Line| !line.field("connections_cut").is_empty();
    let line = proxy.log.wait_for("what was cut", cut);
    line.expect(&[("connections_cut", &STAYING.to_string())]);
    assert_eq!(proxy.wait().code(), Some(0));
    let drained = "connection closed due to connection drain";
    proxy
        .log
        .wait_for_all("the cut connections", STAYING, |line| {
            line.field("error") == drained
        });
}

fn peer_is_killed() {
    vanishes(|_node, _pod, proxy| proxy.kill());
}

fn wire_is_cut() {
    vanishes(|node, pod, _proxy| node.cut_wire(pod));
}

/// Has a connection to each of two servers when one of them vanishes.
fn vanishes(vanish: fn(&Node, &Pod<'_>, &Proxy)) {
    let node = Node::new();
    let (client, client_proxy) = node.captured("client");
    let (server, server_proxy) = node.captured("server");
    let (second, _second_proxy) = node.captured("second");
    let _echoes = [&server, &second].map(|pod| pod.serve(8080, applications::echo));

    let (lost, kept) = (server.port(8080), second.port(8080));
    client.run(async {
        let mut losing = TcpStream::connect(lost).await.unwrap();
        let mut keeping = TcpStream::connect(kept).await.unwrap();
        exchange(&mut losing, b"before").await.unwrap();
        exchange(&mut keeping, b"before").await.unwrap();
        vanish(&node, &server, &server_proxy);

        let begin = Instant::now();
        let mut rest = Vec::new();
        let losing = patiently(losing.read_to_end(&mut rest));
        tokio::pin!(losing);
        // The other connection goes on all the time.
        let end = loop {
            tokio::select! {
                end = &mut losing => break end,
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    exchange(&mut keeping, b"meanwhile").await.unwrap();
                }
            }
        };
        println!(
            "the connection to the peer that vanished ended after {:?}: {end:?}",
            begin.elapsed()
        );
        let late = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
        assert!(!end.as_ref().is_err_and(late), "the connection did not end");
        exchange(&mut keeping, b"after").await.unwrap();
        assert_eq!(ask(kept, b"new").await.unwrap(), b"new");
    });
    let line = client_proxy
        .log
        .wait_for("the end", |line| line.is_end("outbound"));
    line.expect(&[("dst.workload", "server")]);
    assert_ne!(line.field("error"), "");
}
