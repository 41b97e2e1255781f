//! Tests with certificates that the test issues.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mesh_core::credential::{
    CertificateError, CertificateSource, Credential, FixedSource, RevocationLists,
};
use mesh_core::identity::SpiffeId;
use mesh_core::watch::{self, Watch};
use rcgen::{CertificateParams, Issuer, KeyPair, SanType};

use parking_lot::Mutex;

use super::{RevokingSource, revoke};

const ID: &str = "spiffe://cluster.local/ns/ns/sa/web";

fn id() -> SpiffeId {
    ID.parse().unwrap()
}

fn credential() -> Arc<Credential> {
    let mut ca = CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let root = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![SanType::URI(ID.try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let chain = leaf.signed_by(&key, &issuer).unwrap().pem();
    let [chain, key, root] = [chain, key.serialize_pem(), root.pem()];
    let credential = Credential::from_pem(chain.as_bytes(), key.as_bytes(), root.as_bytes());
    Arc::new(credential.unwrap())
}

/// Different from the default, though as empty.
fn other_lists() -> RevocationLists {
    RevocationLists::from_der([]).unwrap()
}

#[tokio::test]
async fn a_credential_is_made_once_for_each_state_of_certificate_and_lists() {
    let (publisher, lists) = watch::channel(RevocationLists::default());
    let fixed = Arc::new(FixedSource::new([credential()]));
    let source = RevokingSource::new(fixed.clone(), lists);
    let first = source.credential(&id()).await.unwrap();
    let again = source.credential(&id()).await.unwrap();
    assert_eq!(first.generation(), again.generation());

    publisher.publish(other_lists());
    let revoked = source.credential(&id()).await.unwrap();
    assert!(revoked.generation() > first.generation());
    assert_eq!(revoked.serial(), first.serial());

    fixed.replace(credential());
    let renewed = source.credential(&id()).await.unwrap();
    assert!(renewed.generation() > revoked.generation());
    assert_ne!(renewed.serial(), first.serial());
}

#[tokio::test(start_paused = true)]
async fn who_watches_sees_renewals_new_lists_and_the_end() {
    let (publisher, lists) = watch::channel(RevocationLists::default());
    let fixed = Arc::new(FixedSource::new([credential()]));
    let source = RevokingSource::new(fixed.clone(), lists);
    let mut seen = source.watch(&id()).await.unwrap().unwrap();
    let first = seen.load();

    publisher.publish(other_lists());
    let revoked = seen.changed().await.unwrap();
    assert!(revoked.generation() > first.generation());
    assert_eq!(revoked.serial(), first.serial());

    fixed.replace(credential());
    let renewed = seen.changed().await.unwrap();
    assert_ne!(renewed.serial(), first.serial());

    fixed.remove(&id());
    let end = tokio::time::timeout(Duration::from_secs(60), seen.changed()).await;
    assert!(end.unwrap().is_err());
    assert!(source.credential(&id()).await.is_err());
}

/// Renews the credential right before it is watched.
#[derive(Debug)]
struct RenewedMeanwhile {
    fixed: FixedSource,
    next: Mutex<Option<Arc<Credential>>>,
}

#[async_trait]
impl CertificateSource for RenewedMeanwhile {
    async fn credential(&self, id: &SpiffeId) -> Result<Arc<Credential>, CertificateError> {
        self.fixed.credential(id).await
    }

    async fn watch(&self, id: &SpiffeId) -> Result<Option<Watch<Credential>>, CertificateError> {
        if let Some(next) = self.next.lock().take() {
            self.fixed.replace(next);
        }
        self.fixed.watch(id).await
    }
}

#[tokio::test]
async fn a_renewal_while_the_watch_is_opened_is_not_missed() {
    let (_publisher, lists) = watch::channel(RevocationLists::default());
    let (first, second) = (credential(), credential());
    let issued = RenewedMeanwhile {
        fixed: FixedSource::new([first]),
        next: Mutex::new(Some(second.clone())),
    };
    let source = RevokingSource::new(Arc::new(issued), lists);
    let seen = source.watch(&id()).await.unwrap().unwrap();
    assert_eq!(seen.load().serial(), second.serial());
}

#[test]
fn new_lists_count_also_when_an_older_credential_is_brought_late() {
    let (publisher, lists) = watch::channel(RevocationLists::default());
    let (older, newer) = (credential(), credential());
    let known = Mutex::default();
    let shown = revoke(&known, newer.clone(), &lists).unwrap();
    let before = shown.load().generation();
    publisher.publish(other_lists());
    revoke(&known, older, &lists).unwrap();
    assert_eq!(shown.load().serial(), newer.serial());
    assert!(shown.load().generation() > before, "the new lists are in");
}

/// Generations grow as credentials are made: the newest is the one that was made last.
#[test]
fn what_is_published_is_never_older_than_what_was() {
    let (publisher, lists) = watch::channel(RevocationLists::default());
    let issued = credential();
    let known = Mutex::default();
    let shown = revoke(&known, issued.clone(), &lists).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut newest = 0;
                for _ in 0..2_000 {
                    publisher.publish(other_lists());
                    revoke(&known, issued.clone(), &lists).unwrap();
                    let now = shown.load().generation();
                    assert!(now >= newest, "{now} after {newest}");
                    newest = now;
                }
            });
        }
    });
    let lists = lists.load();
    assert!(Arc::ptr_eq(&known.lock()[&id()].lists, &lists));
}
