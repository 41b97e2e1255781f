//! The program itself, as a new user runs it.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

fn quickstart(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_quickstart"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn it_shows_an_allowed_and_a_refused_request_from_both_proxies() {
    let (success, shown, error) = quickstart(&[]);
    assert!(success, "{error}");
    for expected in [
        "answer          200 OK",
        "peer is  spiffe://cluster.local/ns/default/sa/hello (verified)",
        "peer is  spiffe://cluster.local/ns/default/sa/shop (verified)",
        "CONNECT 127.0.0.1:8080",
        "401 Unauthorized",
        "PolicyDenied",
        "hello may be called by shop alone",
        "through the mesh",
        "90 % and 10 % are asked for",
        "shop saw 0 failures",
        "no token        403 Forbidden: RBAC: access denied",
        "a forged token  401 Unauthorized: Jwt verification fails",
        "alice's token   200 OK: catalog, version ",
        "DELETE",
        "expected one of GET",
        "which reads it",
    ] {
        assert!(
            shown.contains(expected),
            "{expected:?} is missing in:\n{shown}"
        );
    }
}

#[test]
fn help_is_shown_and_a_wrong_option_is_named() {
    let (success, shown, _) = quickstart(&["--help"]);
    assert!(success && shown.contains("--serve"), "{shown}");
    let (success, _, error) = quickstart(&["--sevre"]);
    assert!(!success && error.contains("--sevre"), "{error}");
}

/// The next line with `part`.
fn line_with(shown: &mut BufReader<ChildStdout>, part: &str) -> String {
    let mut lines = shown.lines().map(Result::unwrap);
    lines.find(|line| line.contains(part)).unwrap()
}

/// Opens a connection through shop's proxy to the service, which stays open.
fn connect_through(socks5: &str) -> TcpStream {
    const HOST: &[u8] = b"hello.default.svc.cluster.local";
    let mut stream = TcpStream::connect(socks5).unwrap();
    let length = [u8::try_from(HOST.len()).unwrap()];
    let request = [&[5, 1, 0, 5, 1, 0, 3], &length[..], HOST, &[0, 80]].concat();
    stream.write_all(&request).unwrap();
    // RFC 1928: the method; then version, success, and an IPv4 address with its port.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..4], [5, 0, 5, 0]);
    stream
}

/// Kills the process when it has not ended within a minute, unless the result is dropped before.
fn watch_over(process: Pid) -> mpsc::Sender<()> {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        if end.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            let _ = kill_process(process, Signal::KILL);
        }
    });
    ended
}

#[test]
fn a_second_interrupt_ends_it_while_a_connection_is_open() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_quickstart"))
        .arg("--serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let process = Pid::from_child(&child);
    let watched = watch_over(process);
    let mut shown = BufReader::new(child.stdout.take().unwrap());
    let line = line_with(&mut shown, "shop's proxy");
    // Once this is answered, the one thread of the process listens for the signal, too.
    let _open = connect_through(line.split_whitespace().last().unwrap());
    kill_process(process, Signal::INT).unwrap();
    line_with(&mut shown, "Ctrl-C again");
    kill_process(process, Signal::INT).unwrap();
    shown.read_to_end(&mut Vec::new()).unwrap();
    let status = child.wait().unwrap();
    drop(watched);
    assert!(status.success(), "{status}");
}
