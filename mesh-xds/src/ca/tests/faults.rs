//! An authority that is away, slow, wrong or behind a broken connection.

use std::sync::Arc;

use mesh_core::clock::WallClock;
use mesh_core::credential::{CertificateError, CertificateSource};
use tokio::time::{Instant, sleep};

use super::harness::*;
use crate::ca::IdentityState;

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_down_at_the_start_gives_errors_until_it_is_up() {
    let mesh = Mesh::down();
    let source = mesh.source();
    let error = source.credential(&id("web")).await.unwrap_err();
    assert!(
        matches!(&error, CertificateError::Unavailable { id: named, .. } if *named == id("web"))
    );
    assert!(
        causes(&error).contains("https://ca.test:15012"),
        "{}",
        causes(&error)
    );
    for _ in 0..60 {
        sleep(SECOND).await;
        let start = Instant::now();
        source.credential(&id("web")).await.unwrap_err();
        assert!(
            start.elapsed().is_zero(),
            "who asks later gets the error at once"
        );
    }
    // 1 + 2 + 4 + 8 + 16 + 32 s: six or seven attempts in a minute, not sixty.
    let attempts = mesh.network.dialled().len();
    assert!((6..=7).contains(&attempts), "{attempts}");
    mesh.up();
    sleep(80 * SECOND).await;
    source.credential(&id("web")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_good_certificate_outlives_an_authority_that_is_down() {
    let mesh = Mesh::new();
    mesh.ca.set_lifetime(5 * MINUTE);
    let source = mesh.source();
    let first = source.credential(&id("web")).await.unwrap();
    let mut watch = source.watch(&id("web")).await.unwrap().unwrap();
    mesh.stop();
    while mesh.clock.now() <= first.not_after() {
        let served = source.credential(&id("web")).await.unwrap();
        assert_eq!(served.generation(), first.generation());
        sleep(SECOND).await;
    }
    assert!(mesh.network.dialled().len() > 3, "renewal was tried");
    for _ in 0..60 {
        let error = source.credential(&id("web")).await.unwrap_err();
        assert!(causes(&error).contains("reached"), "{}", causes(&error));
        sleep(SECOND).await;
    }
    let state = source.identities().next().unwrap().1;
    assert!(matches!(state, IdentityState::Unavailable(_)), "{state:?}");
    mesh.up();
    let renewed = watch.changed().await.unwrap();
    let served = source.credential(&id("web")).await.unwrap();
    assert_eq!(served.generation(), renewed.generation());
}

#[tokio::test(start_paused = true)]
async fn a_silent_authority_costs_the_request_timeout() {
    let mesh = Mesh::new();
    mesh.ca.set_delay(24 * HOUR);
    for (builder, seconds) in [
        (mesh.builder(), 30),
        (mesh.builder().request_timeout(3 * SECOND), 3),
    ] {
        let (source, _worker) = run(builder);
        let start = Instant::now();
        let error = source.credential(&id("web")).await.unwrap_err();
        assert!(causes(&error).contains("within"), "{}", causes(&error));
        let waited = start.elapsed();
        assert!(
            waited >= SECOND * seconds && waited < SECOND * (seconds + 1),
            "{waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_waited_for() {
    let mesh = Mesh::new();
    mesh.ca.set_delay(29 * SECOND);
    mesh.source().credential(&id("web")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ended_meanwhile_is_replaced_unseen() {
    let mesh = Mesh::new();
    let source = mesh.source();
    source.credential(&id("a")).await.unwrap();
    mesh.stop();
    mesh.up();
    source.credential(&id("b")).await.unwrap();
    assert_eq!(mesh.network.dialled().len(), 2);
    // A peer that vanishes without a word is found out by keepalive.
    mesh.freeze();
    let pending = ask(&source, "c");
    sleep(SECOND).await;
    mesh.up();
    pending.await.unwrap().unwrap();
    assert_eq!(mesh.network.dialled().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_for_somebody_else_is_refused() {
    let mesh = Mesh::new();
    *mesh.misnamed.lock() = Some(id("other"));
    let source = mesh.source();
    let error = source.credential(&id("web")).await.unwrap_err();
    assert!(matches!(
        error,
        CertificateError::WrongIdentity { id: asked, delivered }
            if asked == id("web") && delivered == id("other")
    ));
    *mesh.misnamed.lock() = None;
    sleep(2 * SECOND).await;
    source.credential(&id("web")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_missing_token_is_named_and_its_return_is_noticed() {
    let mesh = Mesh::new();
    std::fs::remove_file(mesh.files.0.join("token")).unwrap();
    let source = mesh.source();
    let error = source.credential(&id("web")).await.unwrap_err();
    assert!(causes(&error).contains("/token"), "{}", causes(&error));
    assert_eq!(mesh.ca.requests(), 0);
    mesh.files.write("token", "secret");
    sleep(2 * SECOND).await;
    source.credential(&id("web")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn certificates_that_arrive_expired_are_not_fetched_in_a_loop() {
    let mesh = Mesh::new();
    mesh.clock.jump(24 * HOUR);
    mesh.ca.set_lifetime(std::time::Duration::ZERO);
    let source = mesh.source();
    let error = source.credential(&id("web")).await.unwrap_err();
    assert!(causes(&error).contains("expired"), "{}", causes(&error));
    sleep(MINUTE).await;
    assert!(mesh.ca.requests() <= 7, "{}", mesh.ca.requests());
    // A second is not renewed more than once in a second.
    mesh.ca.set_lifetime(SECOND);
    sleep(3 * MINUTE).await;
    let before = mesh.ca.requests();
    sleep(MINUTE).await;
    let fetched = mesh.ca.requests() - before;
    assert!(fetched <= 61, "{fetched}");
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_clock_renews_within_a_minute() {
    let mesh = Mesh::new();
    let source = mesh.source();
    let first = source.credential(&id("web")).await.unwrap();
    mesh.clock.jump(15 * HOUR);
    sleep(61 * SECOND).await;
    let second = source.credential(&id("web")).await.unwrap();
    assert!(second.generation() > first.generation());
    assert_eq!(mesh.ca.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_jump_beyond_the_expiry_makes_callers_wait_for_a_new_certificate() {
    let mesh = Mesh::new();
    let source = mesh.source();
    let first = source.credential(&id("web")).await.unwrap();
    mesh.clock.jump(25 * HOUR);
    mesh.ca.set_delay(SECOND);
    let callers: Vec<_> = (0..10).map(|_| ask(&source, "web")).collect();
    for caller in callers {
        let served = caller.await.unwrap().unwrap();
        assert!(served.generation() > first.generation());
        assert!(served.is_valid_at(mesh.clock.now()));
    }
    assert_eq!(mesh.ca.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_jump_beyond_the_expiry_without_an_authority_is_an_error() {
    let mesh = Mesh::new();
    let source = mesh.source();
    source.credential(&id("web")).await.unwrap();
    mesh.stop();
    mesh.clock.jump(25 * HOUR);
    let error = source.credential(&id("web")).await.unwrap_err();
    assert!(
        matches!(error, CertificateError::Unavailable { .. }),
        "{error}"
    );
    mesh.up();
    sleep(2 * SECOND).await;
    source.credential(&id("web")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn identities_fail_by_themselves() {
    let mesh = Mesh::new();
    let source: Arc<_> = mesh.source();
    *mesh.misnamed.lock() = Some(id("good"));
    source.credential(&id("bad")).await.unwrap_err();
    let start = Instant::now();
    source.credential(&id("good")).await.unwrap();
    assert!(
        start.elapsed() < SECOND,
        "the other's failures do not hold it up"
    );
}
