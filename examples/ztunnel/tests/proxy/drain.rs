//! The end of a proxy: what finishes, what is cut, what is refused.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::harness::{ADMIN, APP, Mesh, READINESS, SOCKS5, echo, finish, ping};

fn refused(to: std::net::SocketAddr) -> bool {
    TcpStream::connect(to).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn an_idle_proxy_ends_at_once_on_each_request_to_stop() {
    let mesh = Mesh::new();
    for how in ["TERM", "INT", "quitquitquit"] {
        // A deadline longer than the test may take: nothing is waited for.
        let mut proxy = mesh.proxy(mesh.client, &[("CONNECTION_TERMINATION_DEADLINE", "1h")]);
        match how {
            "quitquitquit" => {
                let (status, body) = proxy.http("POST", ADMIN, "/quitquitquit");
                assert_eq!((status, body.as_str()), (200, "shutting down\n"));
            }
            signal => proxy.signal(signal),
        }
        assert_eq!(proxy.exit().code(), Some(0), "{how}");
        let line = proxy.log_line("drained", |_| true);
        assert_eq!(line["connections_cut"], 0);
    }
}

#[test]
fn a_connection_that_runs_when_the_clients_proxy_drains_goes_on_until_it_ends() {
    let mesh = Mesh::new();
    let server = mesh.proxy(mesh.server, &[]);
    let hour = [("CONNECTION_TERMINATION_DEADLINE", "1h")];
    let mut client = mesh.proxy(mesh.client, &hour);
    echo(mesh.server);
    let mut running = client.connect(mesh.server, APP);
    ping(&mut running, b"before").unwrap();
    client.signal("TERM");
    client.log_line("draining", |_| true);
    // The listeners close right after the line; the process stays while the connection runs.
    for port in [READINESS, SOCKS5, 15001, 15006, 15008] {
        while !refused(client.at(port)) {}
    }
    ping(&mut running, b"while draining").unwrap();
    finish(running);
    assert_eq!(client.exit().code(), Some(0));
    assert_eq!(client.log_line("drained", |_| true)["connections_cut"], 0);
    drop(server);
}

#[test]
fn a_connection_that_runs_when_the_servers_proxy_drains_goes_on_until_it_ends() {
    let mesh = Mesh::new();
    let hour = [("CONNECTION_TERMINATION_DEADLINE", "1h")];
    let mut server = mesh.proxy(mesh.server, &hour);
    let client = mesh.proxy(mesh.client, &[]);
    echo(mesh.server);
    let mut running = client.connect(mesh.server, APP);
    ping(&mut running, b"before").unwrap();
    server.signal("TERM");
    while !refused(server.at(15008)) {}
    ping(&mut running, b"while draining").unwrap();
    // No new connection through the tunnel that is going away.
    let address = [&[1][..], &mesh.server.octets()].concat();
    assert_ne!(client.socks5(&address, APP).0, 0);
    ping(&mut running, b"still here").unwrap();
    finish(running);
    assert_eq!(server.exit().code(), Some(0));
    assert_eq!(server.log_line("drained", |_| true)["connections_cut"], 0);
}

#[test]
fn a_connection_that_never_ends_is_cut_at_the_deadline() {
    let mesh = Mesh::new();
    let server = mesh.proxy(mesh.server, &[]);
    let soon = [("CONNECTION_TERMINATION_DEADLINE", "50ms")];
    let mut client = mesh.proxy(mesh.client, &soon);
    echo(mesh.server);
    let mut running = client.connect(mesh.server, APP);
    ping(&mut running, b"before").unwrap();
    client.signal("TERM");
    assert!(running.read(&mut [0]).map_or(true, |bytes| bytes == 0));
    assert_eq!(client.exit().code(), Some(0));
    let line = client.log_line("drain deadline passed, connections were cut", |_| true);
    assert_eq!(
        (&line["connections_cut"], &line["level"]),
        (&1.into(), &"warn".into())
    );
    server.log_line("connection complete", |_| true);
}

#[test]
fn a_second_interrupt_ends_the_process_at_once() {
    let mesh = Mesh::new();
    let server = mesh.proxy(mesh.server, &[]);
    let mut client = mesh.proxy(mesh.client, &[("CONNECTION_TERMINATION_DEADLINE", "1h")]);
    echo(mesh.server);
    let mut running = client.connect(mesh.server, APP);
    ping(&mut running, b"before").unwrap();
    client.signal("INT");
    client.log_line("draining", |line| line["reason"] == "SIGINT");
    client.signal("INT");
    assert_eq!(client.exit().code(), Some(130));
    drop(server);
}

#[test]
fn under_load_running_connections_finish_and_the_rest_is_counted() {
    const FINISHING: usize = 20;
    const STAYING: usize = 3;
    let mesh = Mesh::new();
    let server = mesh.proxy(mesh.server, &[]);
    let mut client = mesh.proxy(mesh.client, &[("CONNECTION_TERMINATION_DEADLINE", "2s")]);
    echo(mesh.server);
    let (ending, started) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let workers: Vec<_> = (0..FINISHING)
        .map(|_| {
            let mut stream = client.connect(mesh.server, APP);
            let (ending, started) = (ending.clone(), started.clone());
            std::thread::spawn(move || {
                ping(&mut stream, &[1; 10_000]).unwrap();
                started.fetch_add(1, Ordering::SeqCst);
                // Busy through the beginning of the drain, then finished in good order.
                while !ending.load(Ordering::SeqCst) {
                    ping(&mut stream, &[2; 10_000]).unwrap();
                }
                finish(stream);
            })
        })
        .collect();
    let mut staying: Vec<_> = (0..STAYING).map(|_| client.connect(mesh.vip, 80)).collect();
    for stream in &mut staying {
        ping(stream, b"hello").unwrap();
    }
    while started.load(Ordering::SeqCst) < FINISHING {
        std::thread::yield_now();
    }
    client.signal("TERM");
    client.log_line("draining", |line| line["reason"] == "SIGTERM");
    while !refused(client.at(SOCKS5)) {}
    ending.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(client.exit().code(), Some(0));
    let line = client.log_line("drain deadline passed, connections were cut", |_| true);
    assert_eq!(line["connections_cut"], STAYING);
    drop(server);
}
