use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesh_core::clock::WallClock;
use mesh_core::credential::{CertificateError, CertificateSource};
use mesh_core::identity::{ExpectedPeers, SpiffeId};
use mesh_core::tls::{TlsContext, server_name};
use rustls::{ClientConnection, ServerConnection};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};

use super::authority::generate;
use super::*;

const ID: &str = "spiffe://cluster.local/ns/default/sa/web";
const HOUR: Duration = Duration::from_secs(3600);

fn id(text: &str) -> SpiffeId {
    text.parse().unwrap()
}

/// A directory that is removed with its content.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mesh-dev-ca-test-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn file(&self) -> PathBuf {
        self.0.join("dev-ca.pem")
    }

    fn open(&self) -> Result<DevCa, DevCaError> {
        DevCa::open_or_create(&self.0)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Whether two authorities accept each other's certificates, tried in a TLS handshake.
fn trust_each_other(one: &DevCa, other: &DevCa) -> bool {
    let tls = TlsContext::with_default_provider().unwrap();
    let issue = |ca: &DevCa| Arc::new(ca.issue(&id(ID), SystemTime::now(), HOUR).unwrap());
    let client = tls
        .client(&issue(one), &ExpectedPeers::from(id(ID)))
        .unwrap();
    let mut client = ClientConnection::new(client, server_name()).unwrap();
    let mut server = ServerConnection::new(tls.server(&issue(other)).unwrap()).unwrap();
    for _ in 0..4 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        server.read_tls(&mut &bytes[..]).unwrap();
        let accepted = server.process_new_packets().is_ok();
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        client.read_tls(&mut &bytes[..]).unwrap();
        if client.process_new_packets().is_err() || !accepted {
            return false;
        }
    }
    !client.is_handshaking() && !server.is_handshaking()
}

#[test]
fn a_certificate_is_an_svid_for_both_sides() {
    let ca = DevCa::in_memory().unwrap();
    // Certificates have whole seconds. 2026-01-01T00:00:00Z
    let now = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let credential = ca.issue(&id(ID), now, 24 * HOUR).unwrap();
    assert_eq!(credential.id(), &id(ID));
    assert_eq!(credential.not_before(), now - Duration::from_secs(300));
    assert_eq!(credential.not_after(), now + 24 * HOUR);
    let leaf = x509_cert::Certificate::from_der(&credential.chain()[0]).unwrap();
    let leaf = leaf.tbs_certificate();
    assert!(leaf.subject().is_empty());
    let (critical, names) = leaf.get_extension::<SubjectAltName>().unwrap().unwrap();
    assert!(critical);
    assert_eq!(names.0.len(), 1);
    let (_, usage) = leaf.get_extension::<ExtendedKeyUsage>().unwrap().unwrap();
    let usage: Vec<_> = usage.0.iter().map(ToString::to_string).collect();
    assert_eq!(usage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    assert!(
        leaf.get_extension::<BasicConstraints>()
            .unwrap()
            .is_none_or(|(_, ca)| !ca.ca)
    );
}

#[test]
fn a_certificate_does_not_outlive_its_authority() {
    let ca = DevCa::in_memory().unwrap();
    let late = ca.not_after - HOUR;
    assert_eq!(
        ca.issue(&id(ID), late, 24 * HOUR).unwrap().not_after(),
        ca.not_after
    );
}

#[test]
fn a_directory_is_made_private_and_used_again() {
    let directory = Directory::new();
    let (first, second) = (directory.open().unwrap(), directory.open().unwrap());
    assert_eq!(first.trust().roots(), second.trust().roots());
    assert!(trust_each_other(&first, &second));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(
        (mode(&directory.0), mode(&directory.file())),
        (0o700, 0o600)
    );
    assert!(!trust_each_other(&first, &DevCa::in_memory().unwrap()));
}

#[test]
fn many_threads_at_once_share_one_authority() {
    for _ in 0..8 {
        let (directory, barrier) = (Directory::new(), Barrier::new(8));
        let roots: Vec<_> = std::thread::scope(|scope| {
            let open = || {
                barrier.wait();
                directory.open().unwrap().trust().roots().to_vec()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(roots.iter().all(|root| *root == roots[0]));
        assert_eq!(
            fs::read_dir(&directory.0).unwrap().count(),
            1,
            "no draft is left"
        );
    }
}

#[test]
fn what_others_can_touch_is_refused() {
    let directory = Directory::new();
    directory.open().unwrap();
    for mode in [0o640, 0o604, 0o660] {
        set_mode(&directory.file(), mode);
        let error = directory.open().unwrap_err();
        assert!(
            matches!(error, DevCaError::ExposedFile { .. }),
            "{mode:o}: {error}"
        );
    }
    set_mode(&directory.file(), 0o600);
    for mode in [0o720, 0o702, 0o777] {
        set_mode(&directory.0, mode);
        let error = directory.open().unwrap_err();
        assert!(
            matches!(error, DevCaError::OpenDirectory { .. }),
            "{mode:o}: {error}"
        );
    }
    set_mode(&directory.0, 0o755);
    assert!(
        directory.open().is_ok(),
        "others may look into the directory"
    );
}

#[test]
fn the_directory_of_another_user_is_refused() {
    let directory = Directory::new();
    let foreign = if rustix::process::geteuid().is_root() {
        fs::create_dir(&directory.0).unwrap();
        std::os::unix::fs::chown(&directory.0, Some(12345), None).unwrap();
        directory.0.clone()
    } else {
        PathBuf::from("/")
    };
    let error = DevCa::open_or_create(foreign).unwrap_err();
    assert!(
        matches!(error, DevCaError::ForeignDirectory { .. }),
        "{error}"
    );
}

#[test]
fn broken_files_are_named_and_kept() {
    let directory = Directory::new();
    directory.open().unwrap();
    let good = fs::read_to_string(directory.file()).unwrap();
    let other = Directory::new();
    other.open().unwrap();
    let other = fs::read_to_string(other.file()).unwrap();
    let begin = "-----BEGIN CERTIFICATE-----";
    let (key, certificate) = good.split_once(begin).unwrap();
    let (_, foreign) = other.split_once(begin).unwrap();
    let long = "x".repeat(1 << 20);
    for (case, text) in [
        ("empty", String::new()),
        ("no PEM", "hello".to_owned()),
        ("only the key", key.to_owned()),
        ("only the certificate", format!("{begin}{certificate}")),
        ("cut short", good[..good.len() / 2].to_owned()),
        (
            "the certificate of another authority",
            format!("{key}{begin}{foreign}"),
        ),
        (
            "a broken certificate",
            good.replace(certificate, "\nAAAA\n-----END CERTIFICATE-----\n"),
        ),
        ("huge", long),
    ] {
        fs::write(directory.file(), &text).unwrap();
        let error = directory.open().unwrap_err();
        assert!(
            matches!(error, DevCaError::Corrupt { .. }),
            "{case}: {error}"
        );
        assert!(error.to_string().contains("dev-ca.pem"), "{case}: {error}");
        assert_eq!(
            fs::read_to_string(directory.file()).unwrap(),
            text,
            "{case}"
        );
    }
}

#[test]
fn an_expired_authority_is_refused() {
    let directory = Directory::new();
    directory.open().unwrap();
    let (key, certificate) = generate(UNIX_EPOCH).unwrap();
    fs::write(directory.file(), key.serialize_pem() + &certificate.pem()).unwrap();
    let error = directory.open().unwrap_err();
    assert!(matches!(error, DevCaError::Expired { .. }), "{error}");
}

#[test]
fn the_default_directory_follows_the_environment() {
    for (case, variables, expected) in [
        ("nothing", &[][..], None),
        ("home", &[("HOME", "/h")], Some("/h/.cache/mesh-dev-ca")),
        (
            "cache",
            &[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")],
            Some("/c/mesh-dev-ca"),
        ),
        (
            "runtime",
            &[("XDG_RUNTIME_DIR", "/r"), ("HOME", "/h")],
            Some("/r/mesh-dev-ca"),
        ),
        (
            "explicit",
            &[("MESH_DEV_CA_DIR", "/d"), ("XDG_RUNTIME_DIR", "/r")],
            Some("/d"),
        ),
        (
            "empty",
            &[("MESH_DEV_CA_DIR", ""), ("HOME", "/h")],
            Some("/h/.cache/mesh-dev-ca"),
        ),
        (
            "relative",
            &[("MESH_DEV_CA_DIR", "d"), ("XDG_RUNTIME_DIR", "r")],
            None,
        ),
    ] {
        let variable = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(OsString::from(found.1))
        };
        assert_eq!(
            DevCa::default_directory(variable),
            expected.map(PathBuf::from),
            "{case}"
        );
    }
}

/// A clock that is set by hand, in seconds since 1970.
#[derive(Debug)]
struct HandClock(AtomicU64);

impl HandClock {
    fn new() -> Arc<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Arc::new(Self(AtomicU64::new(now.as_secs())))
    }

    fn forward(&self, time: Duration) {
        self.0.fetch_add(time.as_secs(), Ordering::SeqCst);
    }
}

impl WallClock for HandClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

fn builder(clock: &Arc<HandClock>) -> DevCaSourceBuilder {
    DevCaSource::builder(DevCa::in_memory().unwrap()).clock(clock.clone())
}

#[tokio::test]
async fn concurrent_callers_share_one_certificate() {
    let source = builder(&HandClock::new()).build().unwrap();
    let barrier = Barrier::new(16);
    let generations: Vec<_> = std::thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            let id = id(ID);
            let mut future = source.credential(&id);
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            match future.as_mut().poll(&mut context) {
                std::task::Poll::Ready(credential) => credential.unwrap().generation(),
                std::task::Poll::Pending => panic!("issuing does not wait"),
            }
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(
        generations
            .iter()
            .all(|generation| *generation == generations[0])
    );
}

#[tokio::test]
async fn certificates_are_replaced_at_40_to_60_per_cent_of_their_lifetime() {
    for (random, percent) in [(0, 40), (u64::MAX / 2, 50), (u64::MAX, 60)] {
        let clock = HandClock::new();
        let source = builder(&clock)
            .lifetime(100 * HOUR)
            .random(move || random)
            .build()
            .unwrap();
        let (id, minute) = (id(ID), Duration::from_secs(60));
        let first = source.credential(&id).await.unwrap();
        clock.forward(HOUR * percent - minute);
        assert!(
            Arc::ptr_eq(&first, &source.credential(&id).await.unwrap()),
            "{percent}"
        );
        clock.forward(2 * minute);
        let second = source.credential(&id).await.unwrap();
        assert!(second.generation() > first.generation(), "{percent}");
        assert_eq!(second.not_after(), clock.now() + 100 * HOUR);
        assert!(first.is_valid_at(clock.now()));
    }
}

#[tokio::test(start_paused = true)]
async fn run_replaces_what_is_watched() {
    let clock = HandClock::new();
    let source = Arc::new(builder(&clock).build().unwrap());
    let id = id(ID);
    let mut watch = source.watch(&id).await.unwrap().unwrap();
    let first = watch.load();
    let task = tokio::spawn({
        let source = source.clone();
        async move { source.run().await }
    });
    clock.forward(15 * HOUR);
    // Time that passes for the runtime only: the task looks at the clock again.
    let second = watch.changed().await.unwrap();
    assert!(second.generation() > first.generation());
    assert!(Arc::ptr_eq(&second, &source.credential(&id).await.unwrap()));
    task.abort();
}

#[tokio::test]
async fn other_trust_domains_are_unknown() {
    let source = builder(&HandClock::new()).trust_domains(["cluster.local".parse().unwrap()]);
    let source = source.build().unwrap();
    assert!(source.credential(&id(ID)).await.is_ok());
    let other = id("spiffe://other.example/ns/default/sa/web");
    for error in [
        source.credential(&other).await.err(),
        source.watch(&other).await.err(),
    ] {
        assert!(matches!(error, Some(CertificateError::UnknownIdentity { id }) if id == other));
    }
}

#[test]
fn lifetimes_have_limits() {
    let build = |lifetime| {
        builder(&HandClock::new())
            .lifetime(lifetime)
            .build()
            .map(|_| ())
    };
    assert!(build(Duration::from_secs(60)).is_ok() && build(365 * 24 * HOUR).is_ok());
    for lifetime in [Duration::ZERO, Duration::from_secs(59), Duration::MAX] {
        assert!(
            matches!(build(lifetime), Err(DevCaError::Lifetime)),
            "{lifetime:?}"
        );
    }
}
