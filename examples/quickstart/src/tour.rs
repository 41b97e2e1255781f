//! What a waypoint does, shown by requests to a service behind one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::telemetry::Telemetry;

use crate::behind::{Behind, HOST, SHOP};
use crate::client::{Answer, HttpClient, SAMPLES};
use crate::failure::Result;

/// Requests that are split between the versions.
const REQUESTS: u32 = 200;

/// A token for alice that the manifests' keys have signed. Whoever verifies it trusts this program only.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6InF1aWNrc3RhcnQiLCJ0eXAiOiJKV1QifQ.\
eyJpc3MiOiJxdWlja3N0YXJ0QGV4YW1wbGUuY29tIiwic3ViIjoiYWxpY2UiLCJleHAiOjQxMDI0NDQ4MDB9.\
IJy6Qyxf0v1SQqmszN5Lwtiah950nBtp--vUcW7NP_pR5olmmmSm1bYCcO5GcRn97-Glbo2FfL0XMa1zrm5sCw";

/// Starts it, shows it, and ends it. `direct` is the time of a request without a mesh, `l4` with two
/// node proxies.
pub(crate) async fn show(
    telemetry: Arc<dyn Telemetry>,
    direct: Duration,
    l4: Duration,
) -> Result<()> {
    let mesh = Behind::start(telemetry).await?;
    println!("The same with a waypoint, from manifests (examples/quickstart/manifests):");
    println!("  waypoint        HBONE at {}", mesh.hbone);
    println!("  shop's proxy    SOCKS5 at {}\n", mesh.shop);
    split(&mesh).await?;
    private(&mesh).await?;
    denied(&mesh).await?;
    let mut client = connect(mesh.shop).await?;
    let l7 = client.median(HOST).await?;
    println!(
        "A request on an open connection takes {} us directly, {} us through two node proxies, and\n\
         {} us through them and the waypoint, which reads it (medians of {SAMPLES}).\n",
        direct.as_micros(),
        l4.as_micros(),
        l7.as_micros(),
    );
    drop(client);
    mesh.stop().await;
    Ok(())
}

async fn connect(shop: SocketAddr) -> Result<HttpClient> {
    HttpClient::through_socks5(shop, HOST, 80).await
}

/// A canary, and an instance that fails without anybody noticing.
async fn split(mesh: &Behind) -> Result<()> {
    println!("shop asks {REQUESTS} times for http://{HOST}/items ...");
    mesh.failing.fail(true);
    let mut client = connect(mesh.shop).await?;
    let (mut first, mut second, mut failed) = (0, 0, 0);
    for _ in 0..REQUESTS {
        let answer = client.send("GET", "/items", &[("host", HOST)]).await?;
        match (answer.status.starts_with("200"), answer.body.contains('2')) {
            (false, _) => failed += 1,
            (true, true) => second += 1,
            (true, false) => first += 1,
        }
    }
    println!(
        "  canary          version 1 answered {first}, version 2 {second}: 90 % and 10 % are asked for"
    );
    println!(
        "  retries         an instance of version 1 failed {} times with 503, shop saw {failed} failures",
        mesh.failing.requests()
    );
    println!(
        "  received        version 1: {}, version 2: {}, as they count\n",
        mesh.v1.requests(),
        mesh.v2.requests()
    );
    mesh.failing.fail(false);
    Ok(())
}

/// A path for those who bring a token.
async fn private(mesh: &Behind) -> Result<()> {
    println!("shop asks for /private ...");
    let mut client = connect(mesh.shop).await?;
    let bearer = format!("Bearer {TOKEN}");
    let forged = format!("Bearer {}", TOKEN.replacen("IJy6", "XXXX", 1));
    let cases = [
        ("no token", None),
        ("a forged token", Some(&forged)),
        ("alice's token", Some(&bearer)),
    ];
    for (case, token) in cases {
        let mut headers = vec![("host", HOST)];
        headers.extend(token.map(|token| ("authorization", &**token)));
        let Answer { status, body } = client.send("GET", "/private", &headers).await?;
        println!("  {case:<15} {status}: {}", body.trim());
    }
    println!();
    Ok(())
}

/// A method that no policy allows, and why.
async fn denied(mesh: &Behind) -> Result<()> {
    println!("shop asks to DELETE /items ...");
    let mut client = connect(mesh.shop).await?;
    let Answer { status, body } = client.send("DELETE", "/items", &[("host", HOST)]).await?;
    println!("  answer          {status}: {}", body.trim());
    let request = ("DELETE", "/items");
    let told = mesh
        .waypoint
        .explain(("default", HOST), &SHOP.parse()?, request);
    let told = told.ok_or("the waypoint does not know the service")?;
    println!("  why             {}", told.verdict);
    if let Some(nearest) = told.nearest {
        println!(
            "  nearest         {}, rule {}",
            nearest.policy, nearest.rule
        );
        for field in nearest.failed {
            println!(
                "                  {} is {}, expected {}",
                field.place, field.found, field.expected
            );
        }
    }
    println!();
    Ok(())
}
