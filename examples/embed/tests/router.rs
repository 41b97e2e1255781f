//! The application that routes: its own answers, retries that hide a failing backend, limits.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The program, which ends with the test.
struct Program(Child, SocketAddr);

impl Program {
    fn start(backends: &[SocketAddr]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_embed-router"))
            .arg("127.0.0.1:0")
            .args(backends.iter().map(ToString::to_string))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self(child, address)
    }

    /// The status of an answer, and its body.
    fn get(&self, path: &str, client: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(self.1).unwrap();
        write!(
            connection,
            "GET {path} HTTP/1.1\r\nhost: app\r\nx-client: {client}\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A backend that gives every request the same answer, and counts them.
fn backend(answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (
        listener.local_addr().unwrap(),
        Arc::new(AtomicUsize::new(0)),
    );
    let seen = count.clone();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, seen) = (connection.unwrap(), seen.clone());
            thread::spawn(move || {
                let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
                while let Some(Ok(line)) = lines.next() {
                    if line.is_empty() {
                        seen.fetch_add(1, Ordering::SeqCst);
                        let _ = connection.write_all(answer.as_bytes());
                    }
                }
            });
        }
    });
    (address, count)
}

#[test]
fn it_answers_forwards_tries_again_and_limits() {
    let good = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood";
    let (good, served) = backend(good);
    let bad = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let (bad, failed) = backend(bad);
    let program = Program::start(&[good, bad]);

    assert_eq!(program.get("/", "a").1, "hello from the application\n");
    assert_eq!(program.get("/nothing", "a").0, 404);

    for n in 0..40 {
        let (status, body) = program.get("/api/things", &format!("client-{n}"));
        assert_eq!((status, &*body), (200, "good"), "request {n}");
    }
    assert_eq!(served.load(Ordering::SeqCst), 40);
    let failed = failed.load(Ordering::SeqCst);
    assert!(
        (1..=3).contains(&failed),
        "{failed} failures: each was tried again, and after three the backend is left alone"
    );

    let greedy: Vec<u16> = (0..50).map(|_| program.get("/", "greedy").0).collect();
    assert!(greedy.contains(&429), "{greedy:?}");
    assert_eq!(greedy[..10], [200; 10]);
    assert_eq!(program.get("/", "modest").0, 200);
}
