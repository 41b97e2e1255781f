//! What applications do with byte streams.

use std::io;

use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::trial;
use crate::harness::applications::{self, ANNOUNCEMENT, GREETING, Pattern};
use crate::harness::clients::{ask, patiently};
use crate::harness::{Node, log::Line};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("a_server_may_speak_first", server_first),
        trial(
            "a_client_that_closes_its_half_gets_its_answer",
            client_half_closes,
        ),
        trial(
            "a_server_that_closes_its_half_hears_the_client",
            server_half_closes,
        ),
        trial("all_bytes_arrive_unchanged_in_both_directions", bulk),
    ]
}

fn server_first() {
    let node = Node::new();
    let (client, _client_proxy) = node.captured("client");
    let (server, _server_proxy) = node.captured("server");
    let _server = server.serve(8080, applications::greet);
    let greeting = client.run(patiently(async {
        let mut stream = TcpStream::connect("10.77.1.1:80").await?;
        let mut greeting = vec![0; GREETING.len()];
        stream.read_exact(&mut greeting).await?;
        Ok(greeting)
    }));
    assert_eq!(greeting.unwrap(), GREETING);
}

fn client_half_closes() {
    let node = Node::new();
    let (client, _client_proxy) = node.captured("client");
    let (server, server_proxy) = node.captured("server");
    let _server = server.serve(8080, applications::answer_at_the_end);
    let answer = client.run(ask(server.port(8080), b"stressed")).unwrap();
    assert_eq!(answer, b"desserts");
    let line = server_proxy
        .log
        .wait_for("the end", |line| line.is_end("inbound"));
    line.expect(&[("error", "")]);
}

fn server_half_closes() {
    let node = Node::new();
    let (client, client_proxy) = node.captured("client");
    let (server, _server_proxy) = node.captured("server");
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let _server = server.serve(8080, move |stream| {
        applications::half_closer(stream, heard.clone())
    });
    let to = server.port(8080);
    let announcement = client.run(patiently(async {
        let mut stream = TcpStream::connect(to).await?;
        let mut announcement = Vec::new();
        // To the end of the server's half; the client's is still open.
        stream.read_to_end(&mut announcement).await?;
        stream.write_all(b"but more from me").await?;
        stream.shutdown().await?;
        Ok(announcement)
    }));
    assert_eq!(announcement.unwrap(), ANNOUNCEMENT);
    assert_eq!(hears.blocking_recv().unwrap(), b"but more from me");
    let line = client_proxy
        .log
        .wait_for("the end", |line| line.is_end("outbound"));
    line.expect(&[("error", "")]);
}

fn bulk() {
    let count = match std::env::var("MESH_TEST_BYTES") {
        Ok(count) => count.parse().expect("MESH_TEST_BYTES is a number of bytes"),
        Err(_) => 64 << 20,
    };
    let node = Node::new();
    let (client, client_proxy) = node.captured("client");
    let (server, _server_proxy) = node.captured("server");
    let _digest = server.serve(8080, applications::digest);
    let _source = server.serve(8081, applications::source);
    let (up, down) = (server.port(8080), server.port(8081));
    client.run(async {
        let sent = async {
            let mut stream = TcpStream::connect(up).await?;
            let sent = Pattern::new(1).send(&mut stream, count).await?;
            stream.shutdown().await?;
            let mut arrived = Vec::new();
            stream.read_to_end(&mut arrived).await?;
            assert_eq!(arrived, sent, "the SHA-256 of what the client sent");
            io::Result::Ok(())
        };
        let received = async {
            let mut stream = TcpStream::connect(down).await?;
            stream.write_u64_le(count).await?;
            let arrived = applications::read_and_digest(&mut stream, count).await?;
            let mut sent = Vec::new();
            stream.read_to_end(&mut sent).await?;
            assert_eq!(arrived, sent, "the SHA-256 of what the server sent");
            io::Result::Ok(())
        };
        tokio::try_join!(sent, received).unwrap();
    });
    let ends = client_proxy
        .log
        .wait_for_all("the ends", 2, |line| line.is_end("outbound"));
    let total = |field: &str| {
        ends.iter()
            .map(|line: &Line| line.field(field).parse::<u64>().unwrap())
            .sum::<u64>()
    };
    assert_eq!(
        total("bytes_sent"),
        count + 8,
        "{count} bytes and their number"
    );
    assert_eq!(
        total("bytes_recv"),
        count + 64,
        "{count} bytes and two SHA-256"
    );
}
