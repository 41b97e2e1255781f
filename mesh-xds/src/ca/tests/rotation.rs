//! Renewals, and roots and tokens that change.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_core::clock::WallClock;
use mesh_core::credential::{CertificateSource, Credential, TrustBundle};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::harness::*;
use crate::ca::CaSource;
use crate::control::ControlEndpoint;
use crate::server::CaService;
use crate::testing::{Server, ServerRoot};

#[tokio::test(start_paused = true)]
async fn certificates_of_a_minute_are_renewed_for_ten_minutes() {
    let mesh = Mesh::new();
    mesh.ca.set_lifetime(MINUTE);
    let source = mesh.source();
    let mut generations = BTreeSet::new();
    let start = Instant::now();
    while start.elapsed() < 10 * MINUTE {
        let served = source.credential(&id("web")).await.unwrap();
        assert!(
            served.is_valid_at(mesh.clock.now()),
            "{:?}",
            start.elapsed()
        );
        generations.insert(served.generation());
        sleep(SECOND / 4).await;
    }
    // After 24 to 36 of 60 s each.
    assert!(
        (16..=26).contains(&generations.len()),
        "{}",
        generations.len()
    );
    assert_eq!(
        mesh.ca.requests(),
        u64::try_from(generations.len()).unwrap()
    );
    assert_eq!(mesh.network.dialled().len(), 1, "over one connection");
}

#[tokio::test(start_paused = true)]
async fn renewals_are_spread_over_40_to_60_per_cent_of_the_lifetime() {
    let mesh = Mesh::new();
    for (random, percent) in [(0, 40), (u64::MAX / 2, 50), (u64::MAX, 60)] {
        let (source, _worker) = run(mesh.builder().random(move || random));
        let mut watch = {
            source.credential(&id("web")).await.unwrap();
            source.watch(&id("web")).await.unwrap().unwrap()
        };
        let start = Instant::now();
        watch.changed().await.unwrap();
        let expected = 24 * HOUR * percent / 100;
        let off = start.elapsed().abs_diff(expected);
        assert!(off < MINUTE, "{percent} %: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_sees_each_renewal() {
    let mesh = Mesh::new();
    let source = mesh.source();
    let mut watch = source.watch(&id("web")).await.unwrap().unwrap();
    let mut last = watch.load();
    for _ in 0..5 {
        let next = watch.changed().await.unwrap();
        assert!(next.generation() > last.generation());
        let served = source.credential(&id("web")).await.unwrap();
        assert!(Arc::ptr_eq(&served, &next));
        last = next;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_token_is_used_for_the_next_renewal() {
    let mesh = Mesh::new();
    let source = mesh.source();
    let mut watch = source.watch(&id("web")).await.unwrap().unwrap();
    *mesh.token.lock() = "another".to_owned();
    mesh.files.write("token", "another");
    watch.changed().await.unwrap();
    assert_eq!(mesh.ca.requests(), 2, "no attempt was refused");
}

fn roots(credential: &Credential) -> usize {
    credential.trust().roots().len()
}

#[tokio::test(start_paused = true)]
async fn new_roots_of_the_mesh_come_with_the_next_certificate() {
    let mesh = Mesh::new();
    let source = mesh.source();
    let mut watch = source.watch(&id("web")).await.unwrap().unwrap();
    let first = watch.load();
    mesh.ca.rotate().unwrap();
    let second = watch.changed().await.unwrap();
    assert_eq!((roots(&first), roots(&second)), (1, 2));
    let old = &first.trust().roots()[0];
    assert!(
        second.trust().roots().contains(old),
        "peers with old certificates are trusted"
    );
    let bundle = TrustBundle::from_pem(mesh.ca.roots().as_bytes()).unwrap();
    assert_eq!(second.trust().roots(), bundle.roots());
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_of_roots_renews_soon() {
    let mesh = Mesh::new();
    let source = mesh.source();
    let mut watch = source.watch(&id("web")).await.unwrap().unwrap();
    sleep(MINUTE).await;
    mesh.ca.rotate().unwrap();
    let both = format!("{}{}", mesh.root.pem, ServerRoot::new().pem);
    mesh.files.write("roots.pem", &both);
    let start = Instant::now();
    let renewed = watch.changed().await.unwrap();
    assert_eq!(roots(&renewed), 2);
    assert!(start.elapsed() < 6 * MINUTE, "{:?}", start.elapsed());
    assert_eq!(mesh.network.dialled().len(), 2, "by a new connection");
    // Once: it is not renewed again and again.
    sleep(HOUR).await;
    assert_eq!(mesh.ca.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_file_of_roots_that_changes_while_there_is_no_connection_renews_soon() {
    let mesh = Mesh::new();
    let source = mesh.source();
    let mut watch = source.watch(&id("web")).await.unwrap().unwrap();
    mesh.stop();
    source.credential(&id("other")).await.unwrap_err();
    mesh.ca.rotate().unwrap();
    let both = format!("{}{}", mesh.root.pem, ServerRoot::new().pem);
    mesh.files.write("roots.pem", &both);
    mesh.up();
    let start = Instant::now();
    let renewed = watch.changed().await.unwrap();
    assert_eq!(roots(&renewed), 2);
    assert!(start.elapsed() < 6 * MINUTE, "{:?}", start.elapsed());
    // Once.
    sleep(6 * MINUTE).await;
    let before = mesh.ca.requests();
    sleep(HOUR).await;
    assert_eq!(mesh.ca.requests(), before);
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_counts_for_the_next_fetch_at_once() {
    let mesh = Mesh::new();
    let source = mesh.source();
    source.credential(&id("a")).await.unwrap();
    let both = format!("{}{}", ServerRoot::new().pem, mesh.root.pem);
    mesh.files.write("roots.pem", &both);
    source.credential(&id("b")).await.unwrap();
    assert_eq!(mesh.network.dialled().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn roots_that_lead_nowhere_leave_the_connection_as_it_is() {
    let mesh = Mesh::new();
    let source = mesh.source();
    source.credential(&id("a")).await.unwrap();
    let stranger = ServerRoot::new().pem;
    for (name, content) in [("b", "garbage"), ("c", &*stranger)] {
        mesh.files.write("roots.pem", content);
        source.credential(&id(name)).await.unwrap();
    }
    std::fs::remove_file(mesh.files.0.join("roots.pem")).unwrap();
    source.credential(&id("d")).await.unwrap();
    // It stays dirty: right ones are taken up.
    let both = format!("{}{}", stranger, mesh.root.pem);
    mesh.files.write("roots.pem", &both);
    let before = mesh.network.dialled().len();
    source.credential(&id("e")).await.unwrap();
    assert_eq!(mesh.network.dialled().len(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn the_identity_is_named_besides_only_where_it_is_asked_for() {
    let mesh = Mesh::down();
    let seen: Arc<Mutex<Vec<_>>> = Arc::default();
    let log = seen.clone();
    let ca = CaService::builder(move |call| {
        log.lock().push(call.impersonated.cloned());
        Ok(call.wanted().clone())
    });
    let ca = ca.clock(mesh.clock.clone()).build().unwrap();
    let _server = Server::start(&mesh.network, None, ca.into_server());
    for impersonate in [false, true] {
        let endpoint = ControlEndpoint::builder("http://localhost:15010");
        let endpoint = endpoint.dialer(mesh.network.clone()).build().unwrap();
        let builder = CaSource::builder(endpoint).clock(mesh.clock.clone());
        let builder = if impersonate {
            builder.impersonate()
        } else {
            builder
        };
        let (source, _worker) = run(builder);
        source.credential(&id("web")).await.unwrap();
    }
    assert_eq!(*seen.lock(), [None, Some(id("web"))]);
}
