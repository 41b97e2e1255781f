//! Requests that never come to a route: what is counted and logged of them.

use tokio::io::AsyncWriteExt;

use crate::world::{API, World};

/// l7.md 2.15; flags and details are those of Envoy's codec and connection manager.
#[tokio::test]
async fn heads_that_are_refused_are_counted_and_logged() {
    let world = World::start("").await;
    let rows = [
        (
            "two hosts",
            "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
            400,
            "400 DPE http1.codec_error",
        ),
        (
            "both lengths",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            400,
            "400 DPE http1.content_length_and_chunked_not_allowed",
        ),
        (
            "an unknown coding",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            501,
            "501 DPE http1.invalid_transfer_encoding",
        ),
        (
            "no host",
            "GET / HTTP/1.1\r\n\r\n",
            400,
            "400 - missing_host_header",
        ),
        (
            "another upgrade",
            "GET /up HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n",
            403,
            "403 - upgrade_failed",
        ),
    ];
    for (name, bytes, status, line) in rows {
        let mut connection = world.client.connection(API).await;
        connection.0.write_all(bytes.as_bytes()).await.unwrap();
        let answer = connection.answer("GET").await.unwrap();
        assert_eq!(answer.status, status, "{name}");
        world.until(line, async || world.lines(&[line]) == 1).await;
    }
    assert_eq!(world.api.requests(), 0);
    let page = world.fetch(15020, "/stats/prometheus").await.unwrap();
    let counted = |labels: &[&str]| {
        let lines = page.lines().filter(|line| {
            line.starts_with("istio_requests_total{") && labels.iter().all(|it| line.contains(it))
        });
        lines
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
            .sum::<u64>()
    };
    let service = "destination_service=\"api.shop.svc.cluster.local\"";
    let client = "source_principal=\"spiffe://cluster.local/ns/shop/sa/client\"";
    for (code, flags, count) in [
        ("400", "DPE", 2),
        ("501", "DPE", 1),
        ("400", "-", 1),
        ("403", "-", 1),
    ] {
        let code = format!("response_code=\"{code}\"");
        let flags = format!("response_flags=\"{flags}\"");
        assert_eq!(
            counted(&[service, client, &code, &flags]),
            count,
            "{code} {flags}"
        );
    }
}
