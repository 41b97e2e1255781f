use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::Awake;
use crate::proxy::{Accept, Dial, TcpAcceptor, TcpDialer};
use crate::sock::SocketOptions;
use tower_service::Service;

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(3600);

fn asleep(awake: &Awake) -> bool {
    awake.traffic.is_awaited()
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Both ends of a connection, made by an acceptor and a dialer of the worker.
async fn connection(awake: &Awake) -> (impl AsyncReadExt, impl AsyncWriteExt) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = SocketOptions::default();
    let mut acceptor = awake.acceptor(TcpAcceptor::direct(listener, options));
    let mut dialer = awake.dialer(TcpDialer::new(options));
    let (accepted, dialled) = tokio::join!(acceptor.accept(), dialer.call(Dial::new(address)));
    (accepted.unwrap().io, dialled.unwrap())
}

#[tokio::test]
async fn a_worker_sleeps_until_something_is_received_and_then_looks_for_more() {
    let awake = Awake::new(LONG);
    let (mut reader, mut writer) = connection(&awake).await;
    tokio::spawn(awake.clone().run());
    settle().await;
    assert!(asleep(&awake));
    writer.write_all(b"x").await.unwrap();
    let mut byte = [0];
    reader.read_exact(&mut byte).await.unwrap();
    settle().await;
    assert!(!asleep(&awake));
    assert_eq!(&byte, b"x");
}

#[tokio::test]
async fn a_worker_goes_to_sleep_again_when_nothing_more_comes() {
    let awake = Awake::new(Duration::from_nanos(1));
    let (mut reader, mut writer) = connection(&awake).await;
    tokio::spawn(awake.clone().run());
    for _ in 0..3 {
        writer.write_all(b"x").await.unwrap();
        reader.read_exact(&mut [0]).await.unwrap();
        settle().await;
        assert!(asleep(&awake));
    }
}

#[tokio::test]
async fn without_a_window_there_is_nothing_to_run() {
    let awake = Awake::new(Duration::ZERO);
    let (mut reader, mut writer) = connection(&awake).await;
    tokio::spawn(awake.clone().run()).await.unwrap();
    writer.write_all(b"x").await.unwrap();
    reader.read_exact(&mut [0]).await.unwrap();
    assert_eq!(awake.traffic.reads(), 0);
}
