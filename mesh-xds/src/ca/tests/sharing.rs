//! One fetch for all who wait, in the right order, and no more at a time than allowed.

use std::time::Duration;

use mesh_core::credential::{CertificateError, CertificateSource};
use tokio::time::{Instant, sleep};

use super::harness::*;
use crate::ca::{CaError, IdentityState};

#[tokio::test(start_paused = true)]
async fn concurrent_callers_share_one_fetch() {
    let mesh = Mesh::new();
    mesh.ca.set_delay(SECOND);
    let source = mesh.source();
    let callers: Vec<_> = (0..100).map(|_| ask(&source, "web")).collect();
    let first = source.credential(&id("web")).await.unwrap();
    for caller in callers {
        assert_eq!(
            caller.await.unwrap().unwrap().generation(),
            first.generation()
        );
    }
    assert_eq!(mesh.ca.requests(), 1);
    let start = Instant::now();
    source.credential(&id("web")).await.unwrap();
    assert!(start.elapsed().is_zero(), "what is there is given at once");
    assert_eq!(mesh.ca.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn concurrent_callers_share_one_error() {
    let mesh = Mesh::new();
    mesh.ca.set_delay(SECOND);
    *mesh.token.lock() = "another".to_owned();
    let source = mesh.source();
    let callers: Vec<_> = (0..100).map(|_| ask(&source, "web")).collect();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert!(
            causes(&error).contains("Unauthenticated"),
            "{}",
            causes(&error)
        );
    }
    assert_eq!(mesh.ca.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_does_not_fail_the_others() {
    let mesh = Mesh::new();
    mesh.ca.set_delay(10 * SECOND);
    let source = mesh.source();
    let leaving = ask(&source, "web");
    sleep(SECOND).await;
    let staying = ask(&source, "web");
    sleep(SECOND).await;
    leaving.abort();
    staying.await.unwrap().unwrap();
    assert_eq!(mesh.ca.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_traffic_waits_for_is_fetched_first() {
    let mesh = Mesh::new();
    let (source, _worker) = run(mesh.builder().concurrency(1));
    // Renewals will be due while the authority is busy.
    mesh.ca.set_lifetime(MINUTE);
    source.credential(&id("renewed")).await.unwrap();
    mesh.ca.set_lifetime(HOUR);
    mesh.ca.set_delay(25 * SECOND);
    sleep(20 * SECOND).await;
    let busy = ask(&source, "busy");
    sleep(SECOND).await;
    source.prefetch(&id("soon"));
    source.prefetch(&id("soon-after"));
    sleep(20 * SECOND).await;
    let waited = ask(&source, "waited-for");
    let raised = ask(&source, "soon-after");
    busy.await.unwrap().unwrap();
    waited.await.unwrap().unwrap();
    raised.await.unwrap().unwrap();
    sleep(MINUTE).await;
    let order: Vec<_> = {
        let granted = mesh.granted.lock();
        granted
            .iter()
            .map(|id| id.service_account().to_string())
            .collect()
    };
    let expected = [
        "renewed",
        "busy",
        "waited-for",
        "soon-after",
        "soon",
        "renewed",
    ];
    assert_eq!(order, expected);
}

#[tokio::test(start_paused = true)]
async fn who_asks_first_is_served_first() {
    let mesh = Mesh::new();
    let (source, _worker) = run(mesh.builder().concurrency(1));
    let names: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let callers: Vec<_> = names.iter().map(|name| ask(&source, name)).collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let granted = mesh.granted.lock();
    let order: Vec<_> = granted
        .iter()
        .map(|id| id.service_account().to_string())
        .collect();
    assert_eq!(order, names);
}

#[tokio::test(start_paused = true)]
async fn eight_fetches_run_at_a_time() {
    let mesh = Mesh::new();
    mesh.ca.set_delay(10 * SECOND);
    let source = mesh.source();
    let callers: Vec<_> = (0..20)
        .map(|number| ask(&source, &number.to_string()))
        .collect();
    for expected in [8, 16, 20] {
        sleep(5 * SECOND).await;
        assert_eq!(mesh.ca.requests(), expected);
        sleep(5 * SECOND).await;
    }
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(mesh.network.dialled().len(), 1, "over one connection");
}

#[tokio::test(start_paused = true)]
async fn a_prefetched_certificate_is_there_when_it_is_wanted() {
    let mesh = Mesh::new();
    let source = mesh.source();
    source.prefetch(&id("web"));
    sleep(SECOND).await;
    mesh.stop();
    source.credential(&id("web")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_identity_is_given_up() {
    let mesh = Mesh::new();
    let source = mesh.source();
    let credential = source.credential(&id("web")).await.unwrap();
    let mut watch = source.watch(&id("web")).await.unwrap().unwrap();
    mesh.ca.set_delay(10 * SECOND);
    let pending = ask(&source, "pending");
    sleep(SECOND).await;
    source.forget(&id("web"));
    source.forget(&id("pending"));
    source.forget(&id("unknown"));
    let error = pending.await.unwrap().unwrap_err();
    assert!(
        matches!(error, CertificateError::UnknownIdentity { id: named } if named == id("pending"))
    );
    assert!(watch.changed().await.is_err(), "its watches close");
    assert_eq!(source.identities().count(), 0);
    sleep(48 * HOUR).await;
    assert_eq!(mesh.ca.requests(), 2, "it is not renewed");
    let again = source.credential(&id("web")).await.unwrap();
    assert!(again.generation() > credential.generation());
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_identity_may_be_asked_for_at_once() {
    let mesh = Mesh::new();
    mesh.ca.set_delay(10 * SECOND);
    let source = mesh.source();
    let _first = ask(&source, "web");
    sleep(SECOND).await;
    source.forget(&id("web"));
    source.credential(&id("web")).await.unwrap();
    assert_eq!(source.identities().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_states_of_identities_can_be_listed() {
    let mesh = Mesh::new();
    let source = mesh.source();
    source.credential(&id("good")).await.unwrap();
    *mesh.token.lock() = "another".to_owned();
    source.credential(&id("bad")).await.unwrap_err();
    mesh.ca.set_delay(HOUR);
    source.prefetch(&id("pending"));
    sleep(Duration::from_millis(1)).await;
    let mut states: Vec<_> = source.identities().collect();
    states.sort_by(|a, b| a.0.cmp(&b.0));
    let [
        (bad, IdentityState::Unavailable(_)),
        (good, IdentityState::Available(credential)),
        (pending, IdentityState::Initializing),
    ] = &states[..]
    else {
        panic!("{states:?}");
    };
    assert_eq!(
        (bad, good, pending),
        (&id("bad"), &id("good"), &id("pending"))
    );
    assert_eq!(credential.id(), good);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ends_leaves_errors_and_good_certificates() {
    let mesh = Mesh::new();
    mesh.ca.set_lifetime(MINUTE);
    let (source, worker) = run(mesh.builder());
    let good = source.credential(&id("web")).await.unwrap();
    let mut watch = source.watch(&id("web")).await.unwrap().unwrap();
    mesh.ca.set_delay(HOUR);
    let pending = ask(&source, "pending");
    sleep(SECOND).await;
    worker.abort();
    let error = pending.await.unwrap().unwrap_err();
    assert!(causes(&error).contains("worker"), "{}", causes(&error));
    assert!(source.credential(&id("new")).await.is_err());
    assert!(watch.changed().await.is_err());
    let same = source.credential(&id("web")).await.unwrap();
    assert_eq!(same.generation(), good.generation());
    let mut closed = source.watch(&id("web")).await.unwrap().unwrap();
    assert_eq!(closed.load().generation(), good.generation());
    assert!(closed.changed().await.is_err());
    sleep(MINUTE).await;
    assert!(
        source.credential(&id("web")).await.is_err(),
        "not beyond its end"
    );
}

#[tokio::test(start_paused = true)]
async fn settings_and_identities_have_limits() {
    let mesh = Mesh::down();
    let lifetime = |lifetime| mesh.builder().lifetime(lifetime).build().map(|_| ());
    assert!(lifetime(MINUTE).is_ok() && lifetime(365 * 24 * HOUR).is_ok());
    for wrong in [Duration::ZERO, 59 * SECOND, Duration::MAX] {
        assert!(
            matches!(lifetime(wrong), Err(CaError::Lifetime)),
            "{wrong:?}"
        );
    }
    let concurrency = |number| mesh.builder().concurrency(number).build().map(|_| ());
    assert!(concurrency(1).is_ok() && concurrency(1024).is_ok());
    assert!(matches!(concurrency(0), Err(CaError::Concurrency)));
    assert!(matches!(concurrency(1025), Err(CaError::Concurrency)));

    let (source, _worker) = mesh.builder().build().unwrap();
    for number in 0..5000 {
        source.prefetch(&id(&number.to_string()));
    }
    assert_eq!(source.identities().count(), 4096);
    let error = source.credential(&id("one-more")).await.unwrap_err();
    assert!(causes(&error).contains("4096"), "{}", causes(&error));
}
