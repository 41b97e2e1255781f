//! A whole mesh in one process, without root and without any other program.
#![forbid(unsafe_code)]

mod application;
mod arguments;
mod behind;
mod client;
mod failure;
mod instance;
mod journal;
mod mesh;
mod tour;

use std::process::ExitCode;
use std::time::Duration;

use arguments::{Arguments, HELP};
use client::{Answer, HttpClient};
use failure::Result;
use journal::{Entry, Journal};
use mesh::Mesh;

/// The service that is called, as `mesh.yaml` has it.
const HOST: &str = "hello.default.svc.cluster.local";
/// Time that open connections have to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    if arguments.help {
        print!("{HELP}");
        return Ok(());
    }
    let application = match arguments.to {
        Some(address) => address,
        None => application::start().await?,
    };
    let (journal, mut entries) = Journal::new();
    let mesh = Mesh::start(application, journal.clone()).await?;
    println!(
        "A mesh in this process: the workloads shop, stranger and hello, each with a proxy of its own."
    );
    println!("  shop's proxy    SOCKS5 at {}", mesh.shop);
    println!("  hello's proxy   HBONE at {}", mesh.hbone);
    println!("  hello itself    {application}\n");
    if !arguments.serve {
        ask_as_shop(&mesh, &mut entries).await?;
        ask_as_stranger(&mesh, &mut entries).await?;
        let (direct, l4) = compare(&mesh, application).await?;
        tour::show(journal, direct, l4).await?;
        println!(
            "Keep it running and try it yourself: cargo run --release -p quickstart -- --serve"
        );
        return Ok(());
    }
    println!("Send requests through it, from another terminal:");
    println!("  curl --socks5-hostname {} http://{HOST}/", mesh.shop);
    println!("and as somebody whom the policy does not allow:");
    println!(
        "  curl --socks5-hostname {} http://{HOST}/\n",
        mesh.stranger
    );
    println!("What the proxies see (end with Ctrl-C):");
    loop {
        tokio::select! {
            Some(entry) = entries.recv() => println!("{entry}"),
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    println!("Ending when the open connections have; Ctrl-C again ends at once");
    let hurry = async {
        let _ = tokio::time::timeout(GRACE, tokio::signal::ctrl_c()).await;
    };
    mesh.stop(hurry).await;
    Ok(())
}

/// A request that is allowed.
async fn ask_as_shop(mesh: &Mesh, entries: &mut journal::Entries) -> Result<()> {
    println!("shop asks for http://{HOST}/ ...");
    let mut client = HttpClient::through_socks5(mesh.shop, HOST, 80).await?;
    let Answer { status, body } = client.get(HOST).await?;
    drop(client);
    println!("  answer          {status}: {}", body.trim());
    print_entries(entries).await
}

/// A request that hello's proxy refuses: the policy allows shop alone.
async fn ask_as_stranger(mesh: &Mesh, entries: &mut journal::Entries) -> Result<()> {
    println!("stranger asks for the same ...");
    match HttpClient::through_socks5(mesh.stranger, HOST, 80).await {
        Ok(_) => return Err("stranger was let in".into()),
        Err(error) => println!("  refused         {error}"),
    }
    print_entries(entries).await
}

/// Prints what both proxies report of one connection.
async fn print_entries(entries: &mut journal::Entries) -> Result<()> {
    let mut both: Vec<Entry> = Vec::new();
    while both.len() < 2 {
        let next = tokio::time::timeout(Duration::from_secs(5), entries.recv()).await?;
        both.push(next.ok_or("the journal has ended")?);
    }
    // The one whose end came first is not always the same.
    both.sort_by_key(|entry| !entry.is_callers());
    for entry in both {
        println!("{entry}");
    }
    println!();
    Ok(())
}

/// The time that the two proxies add to a request on an open connection.
async fn compare(mesh: &Mesh, application: std::net::SocketAddr) -> Result<(Duration, Duration)> {
    let mut direct = HttpClient::direct(application).await?;
    let mut meshed = HttpClient::through_socks5(mesh.shop, HOST, 80).await?;
    let (without, with) = (direct.median(HOST).await?, meshed.median(HOST).await?);
    let added = with.saturating_sub(without);
    println!(
        "A request on an open connection takes {} us directly and {} us through the mesh: two proxies\n\
         and mutual TLS add {} us (medians of {}).\n",
        without.as_micros(),
        with.as_micros(),
        added.as_micros(),
        client::SAMPLES,
    );
    Ok((without, with))
}
