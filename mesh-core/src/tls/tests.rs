use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::{AlertDescription, ClientConnection, Error, ServerConnection};

use super::*;
use crate::credential::TrustBundle;
use crate::credential::tests::Ca;
use rustls::time_provider::TimeProvider;

const CLIENT: &str = "spiffe://cluster.local/ns/shop/sa/client";
const SERVER: &str = "spiffe://cluster.local/ns/shop/sa/server";

/// 2026-01-01T00:00:00Z
#[derive(Debug)]
struct NewYear2026;

impl WallClock for NewYear2026 {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_767_225_600)
    }
}

fn context() -> TlsContext {
    TlsContext::with_default_provider()
        .unwrap()
        .with_clock(Arc::new(NewYear2026))
}

fn id(text: &str) -> SpiffeId {
    text.parse().unwrap()
}

fn expect(text: &str) -> ExpectedPeers {
    id(text).into()
}

/// Both ends after a handshake, and what each of them ended with.
struct Handshake {
    client: ClientConnection,
    server: ServerConnection,
    client_error: Option<Error>,
    server_error: Option<Error>,
    /// The first record that the client sent.
    hello: Vec<u8>,
}

impl Handshake {
    fn run(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Self {
        let mut this = Self {
            client: ClientConnection::new(client, server_name()).unwrap(),
            server: ServerConnection::new(server).unwrap(),
            client_error: None,
            server_error: None,
            hello: Vec::new(),
        };
        loop {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            while this.client.wants_write() {
                this.client.write_tls(&mut up).unwrap();
            }
            if this.hello.is_empty() {
                this.hello.clone_from(&up);
            }
            let mut rest = &up[..];
            while !rest.is_empty() && this.server_error.is_none() {
                this.server.read_tls(&mut rest).unwrap();
                this.server_error = this.server.process_new_packets().err();
            }
            while this.server.wants_write() {
                this.server.write_tls(&mut down).unwrap();
            }
            let mut rest = &down[..];
            while !rest.is_empty() && this.client_error.is_none() {
                this.client.read_tls(&mut rest).unwrap();
                this.client_error = this.client.process_new_packets().err();
            }
            if up.is_empty() && down.is_empty() {
                return this;
            }
        }
    }

    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!((&self.client_error, &self.server_error), (&None, &None));
        assert!(!self.client.is_handshaking() && !self.server.is_handshaking());
        self
    }

    /// Why the server did not accept the client, which saw `alert`.
    #[track_caller]
    fn server_refused(self, alert: AlertDescription) -> PeerError {
        assert_eq!(self.client_error, Some(Error::AlertReceived(alert)));
        PeerError::find(&self.server_error.unwrap()).unwrap()
    }

    /// Why the client did not accept the server, which saw `alert`.
    #[track_caller]
    fn client_refused(self, alert: AlertDescription) -> PeerError {
        assert_eq!(self.server_error, Some(Error::AlertReceived(alert)));
        PeerError::find(&self.client_error.unwrap()).unwrap()
    }
}

/// A handshake between a client and a server that expects nothing special.
fn between(client: &Arc<Credential>, server: &Arc<Credential>) -> Handshake {
    let tls = context();
    let client = tls.client(client, &expect(SERVER)).unwrap();
    Handshake::run(client, tls.server(server).unwrap())
}

#[test]
fn both_ends_know_each_other() {
    let ca = Ca::root("root");
    let done = between(&ca.credential(CLIENT), &ca.credential(SERVER)).succeeded();
    assert_eq!(
        peer_identity(done.client.peer_certificates().unwrap()),
        Some(id(SERVER))
    );
    assert_eq!(
        peer_identity(done.server.peer_certificates().unwrap()),
        Some(id(CLIENT))
    );
    for (alpn, version, suite) in [
        (
            done.client.alpn_protocol(),
            done.client.protocol_version(),
            done.client.negotiated_cipher_suite(),
        ),
        (
            done.server.alpn_protocol(),
            done.server.protocol_version(),
            done.server.negotiated_cipher_suite(),
        ),
    ] {
        assert_eq!(alpn, Some(&b"h2"[..]));
        assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(
            suite.unwrap().suite(),
            CipherSuite::TLS13_AES_256_GCM_SHA384
        );
    }
    assert_eq!(done.server.server_name(), None, "no server name is sent");
    assert!(!done.hello.windows(7).any(|part| part == b"0.0.0.0"));
}

#[test]
fn only_two_suites_and_one_version_are_offered() {
    let ca = Ca::root("root");
    let tls = context();
    let config = tls.server(&ca.credential(SERVER)).unwrap();
    let suites: Vec<_> = config
        .crypto_provider()
        .cipher_suites
        .iter()
        .map(|s| s.suite())
        .collect();
    assert_eq!(suites, SUITES);
    assert_eq!(config.send_tls13_tickets, 0);
    assert!(!config.session_storage.can_cache());
    assert_eq!(config.max_early_data_size, 0);
    let client = tls.client(&ca.credential(CLIENT), &expect(SERVER)).unwrap();
    assert!(!client.enable_sni && !client.enable_early_data);
    assert_eq!(client.alpn_protocols, [b"h2"]);
}

#[test]
fn a_provider_without_aes_gcm_is_refused() {
    let mut provider = default_provider().unwrap();
    provider
        .cipher_suites
        .retain(|suite| !SUITES.contains(&suite.suite()));
    assert!(matches!(
        TlsContext::new(provider),
        Err(TlsError::NoCipherSuite)
    ));
}

#[test]
fn a_second_connection_does_not_resume_the_first() {
    let ca = Ca::root("root");
    let tls = context();
    let client = tls.client(&ca.credential(CLIENT), &expect(SERVER)).unwrap();
    let server = tls.server(&ca.credential(SERVER)).unwrap();
    for _ in 0..2 {
        let done = Handshake::run(client.clone(), server.clone()).succeeded();
        assert_eq!(
            done.client.handshake_kind(),
            Some(rustls::HandshakeKind::Full)
        );
        assert_eq!(done.client.tls13_tickets_received(), 0);
    }
}

#[test]
fn a_client_without_certificate_is_refused() {
    let ca = Ca::root("root");
    let tls = context();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.certificate.clone()).unwrap();
    let mut client = ClientConfig::builder_with_provider(tls.provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(servers_of(&tls, &ca))
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let done = Handshake::run(
        Arc::new(client),
        tls.server(&ca.credential(SERVER)).unwrap(),
    );
    assert_eq!(done.server_error, Some(Error::NoCertificatesPresented));
    assert_eq!(
        done.client_error,
        Some(Error::AlertReceived(AlertDescription::CertificateRequired))
    );
}

fn servers_of(tls: &TlsContext, ca: &Ca) -> Arc<verify::Servers> {
    let base = tls.base(&ca.credential(CLIENT)).unwrap();
    Arc::new(base.peers.servers(expect(SERVER)))
}

#[test]
fn clients_are_refused_for_the_right_reason() {
    let ca = Ca::root("root");
    let issue =
        |name: &str, edit: fn(&mut CertificateParams)| ca.credential_with(name, &ca.bundle(), edit);
    let other_domain = "spiffe://other.example/ns/shop/sa/client";
    for (case, client, alert, expected) in [
        (
            "wrong trust domain",
            issue(other_domain, |_| ()),
            AlertDescription::CertificateUnknown,
            "the peer spiffe://other.example/ns/shop/sa/client is not of the trust domain cluster.local",
        ),
        (
            "expired",
            issue(CLIENT, |params| {
                params.not_after = date_time_ymd(2025, 12, 31)
            }),
            AlertDescription::CertificateExpired,
            "the peer's certificate has expired",
        ),
        (
            "not yet valid",
            issue(CLIENT, |params| {
                params.not_before = date_time_ymd(2026, 1, 2)
            }),
            AlertDescription::CertificateExpired,
            "the peer's certificate is not valid yet",
        ),
        (
            "only for servers",
            issue(CLIENT, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
            AlertDescription::UnsupportedCertificate,
            "the peer's certificate is not meant for its side of a TLS connection",
        ),
        (
            "another authority",
            Ca::root("other").credential_with(CLIENT, &ca.bundle(), |_| ()),
            AlertDescription::UnknownCA,
            "the peer's certificate does not lead to a trusted root",
        ),
    ] {
        let error = between(&client, &ca.credential(SERVER)).server_refused(alert);
        assert_eq!(error.to_string(), expected, "{case}");
    }
}

#[test]
fn servers_are_refused_for_the_right_reason() {
    let ca = Ca::root("root");
    let issue =
        |name: &str, edit: fn(&mut CertificateParams)| ca.credential_with(name, &ca.bundle(), edit);
    for (case, server, alert, expected) in [
        (
            "another workload",
            issue("spiffe://cluster.local/ns/shop/sa/thief", |_| ()),
            AlertDescription::CertificateUnknown,
            "the peer spiffe://cluster.local/ns/shop/sa/thief is not the one expected",
        ),
        (
            "the same workload of another trust domain",
            issue("spiffe://other.example/ns/shop/sa/server", |_| ()),
            AlertDescription::CertificateUnknown,
            "the peer spiffe://other.example/ns/shop/sa/server is not the one expected",
        ),
        (
            "expired",
            issue(SERVER, |params| {
                params.not_after = date_time_ymd(2025, 12, 31)
            }),
            AlertDescription::CertificateExpired,
            "the peer's certificate has expired",
        ),
        (
            "only for clients",
            issue(SERVER, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            AlertDescription::UnsupportedCertificate,
            "the peer's certificate is not meant for its side of a TLS connection",
        ),
        (
            "another authority",
            Ca::root("other").credential_with(SERVER, &ca.bundle(), |_| ()),
            AlertDescription::UnknownCA,
            "the peer's certificate does not lead to a trusted root",
        ),
    ] {
        let error = between(&ca.credential(CLIENT), &server).client_refused(alert);
        assert_eq!(error.to_string(), expected, "{case}");
    }
}

#[test]
fn a_leaf_may_carry_other_names() {
    let ca = Ca::root("root");
    let names = ["https://example.com/", "spiffe://cluster.local/web", CLIENT];
    let (chain, key) = ca.leaf(&names, |_| ());
    let client = Arc::new(Credential::from_der(chain, key, ca.bundle()).unwrap());
    let (chain, key) = ca.leaf(&[SERVER, "spiffe://cluster.local/web", SERVER], |_| ());
    let server = Arc::new(Credential::from_der(chain, key, ca.bundle()).unwrap());
    let done = between(&client, &server).succeeded();
    assert_eq!(
        peer_identity(done.server.peer_certificates().unwrap()),
        Some(id(CLIENT))
    );
}

/// X509-SVID section 2 has exactly one; which of two policies mean would depend on who looks.
#[test]
fn a_peer_with_two_identities_is_refused_and_has_none() {
    let ca = Ca::root("root");
    let other = "spiffe://cluster.local/ns/shop/sa/other";
    for names in [[CLIENT, other], [other, CLIENT]] {
        let (chain, key) = ca.leaf(&names, |_| ());
        assert_eq!(peer_identity(&chain), None);
        let client = Arc::new(Credential::from_der(chain, key, ca.bundle()).unwrap());
        let error = between(&client, &ca.credential(SERVER))
            .server_refused(AlertDescription::CertificateUnknown);
        assert!(matches!(error, PeerError::SeveralIdentities { .. }));
    }
    for names in [[SERVER, other], [other, SERVER]] {
        let (chain, key) = ca.leaf(&names, |_| ());
        let server = Arc::new(Credential::from_der(chain, key, ca.bundle()).unwrap());
        let error = between(&ca.credential(CLIENT), &server)
            .client_refused(AlertDescription::CertificateUnknown);
        assert!(matches!(error, PeerError::SeveralIdentities { .. }));
    }
}

#[test]
fn a_peer_without_an_identity_is_refused() {
    let ca = Ca::root("root");
    let tls = context();
    let verifier = tls.base(&ca.credential(SERVER)).unwrap().peers.clients();
    let (chain, _) = ca.leaf(&["https://example.com/"], |_| ());
    assert_eq!(peer_identity(&chain), None);
    let error = rustls::server::danger::ClientCertVerifier::verify_client_cert(
        &verifier,
        &chain[0],
        &[],
        tls.time.current_time().unwrap(),
    );
    assert!(matches!(
        PeerError::find(&error.unwrap_err()),
        Some(PeerError::NoIdentity)
    ));
    assert_eq!(peer_identity(&[]), None);
    assert_eq!(peer_identity(&[CertificateDer::from(vec![1, 2, 3])]), None);
}

#[test]
fn application_protocols_must_be_h2() {
    let ca = Ca::root("root");
    let tls = context();
    let server = tls.server(&ca.credential(SERVER)).unwrap();
    for (protocols, alert) in [
        (&[][..], AlertDescription::AccessDenied),
        (&[&b"http/1.1"[..]], AlertDescription::NoApplicationProtocol),
    ] {
        let client = tls.client(&ca.credential(CLIENT), &expect(SERVER)).unwrap();
        let mut client = ClientConfig::clone(&client);
        client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let done = Handshake::run(Arc::new(client), server.clone());
        assert_eq!(
            done.client_error,
            Some(Error::AlertReceived(alert)),
            "{protocols:?}"
        );
    }
}

#[test]
fn tls_1_2_is_refused() {
    let ca = Ca::root("root");
    let tls = context();
    let mut client = ClientConfig::builder_with_provider(Arc::new(default_provider().unwrap()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(servers_of(&tls, &ca))
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let done = Handshake::run(
        Arc::new(client),
        tls.server(&ca.credential(SERVER)).unwrap(),
    );
    assert_eq!(
        done.client_error,
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion))
    );
}

#[test]
fn both_roots_of_a_rotation_are_trusted() {
    let (old, new) = (Ca::root("old"), Ca::root("new"));
    let both = [old.certificate.clone(), new.certificate.clone()];
    let both = Arc::new(TrustBundle::from_der(both).unwrap());
    let server = new.credential_with(SERVER, &both, |_| ());
    for client in [&old, &new] {
        between(&client.credential_with(CLIENT, &both, |_| ()), &server).succeeded();
    }
}

#[test]
fn a_chain_with_intermediates_is_followed() {
    let root = Ca::root("root");
    let lower = root.intermediate("upper").intermediate("lower");
    let trust = root.bundle();
    let [client, server] = [CLIENT, SERVER].map(|id| lower.credential_with(id, &trust, |_| ()));
    between(&client, &server).succeeded();
    let (chain, key) = lower.leaf(&[CLIENT], |_| ());
    let bare = Arc::new(Credential::from_der(chain[..1].to_vec(), key, trust).unwrap());
    let error = between(&bare, &server).server_refused(AlertDescription::UnknownCA);
    assert!(matches!(error, PeerError::UnknownIssuer));
}

#[test]
fn a_revoked_certificate_is_refused_on_both_sides() {
    let ca = Ca::root("root");
    let serial = [0x12, 0x34];
    let trust = TrustBundle::from_der([ca.certificate.clone()]).unwrap();
    let trust = Arc::new(trust.with_revocation_lists([ca.revoke(&serial)]).unwrap());
    let issue = |id, serial: &[u8]| {
        ca.credential_with(id, &trust, |params| {
            params.serial_number = Some(rcgen::SerialNumber::from_slice(serial));
        })
    };
    between(&issue(CLIENT, &[1]), &issue(SERVER, &[2])).succeeded();
    let alert = AlertDescription::CertificateRevoked;
    let error = between(&issue(CLIENT, &serial), &issue(SERVER, &[2])).server_refused(alert);
    assert_eq!(error.outcome(), crate::outcome::Outcome::CertificateRevoked);
    let error = between(&issue(CLIENT, &[1]), &issue(SERVER, &serial)).client_refused(alert);
    assert!(matches!(error, PeerError::Revoked));
}

#[test]
fn an_alias_is_another_name_of_the_own_trust_domain() {
    let ca = Ca::root("root");
    let [client, server] = ["client", "server"]
        .map(|name| ca.credential(&format!("spiffe://old.example/ns/shop/sa/{name}")));
    let tls = context().with_trust_domain_aliases(["old.example".parse().unwrap()]);
    let own = ca.credential(SERVER);
    // An old client at a new server; but for an old server, the new name is not an alias.
    let old_client = tls.client(&client, &expect(SERVER)).unwrap();
    Handshake::run(old_client, tls.server(&own).unwrap()).succeeded();
    let new_client = tls.client(&ca.credential(CLIENT), &expect(SERVER)).unwrap();
    Handshake::run(new_client, tls.server(&server).unwrap())
        .server_refused(AlertDescription::CertificateUnknown);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let ca = Ca::root("root");
    let ((chain, _), (_, key)) = (ca.leaf(&[CLIENT], |_| ()), ca.leaf(&[CLIENT], |_| ()));
    let credential = Arc::new(Credential::from_der(chain, key, ca.bundle()).unwrap());
    let tls = context();
    for error in [
        tls.server(&credential).unwrap_err(),
        tls.client(&credential, &expect(SERVER)).unwrap_err(),
    ] {
        assert!(matches!(error, TlsError::Key { .. }), "{error}");
    }
}

#[test]
fn a_credential_is_parsed_once() {
    let ca = Ca::root("root");
    let tls = context();
    let credential = ca.credential(SERVER);
    let first = tls.server(&credential).unwrap();
    assert!(Arc::ptr_eq(&first, &tls.server(&credential).unwrap()));
    let (one, other) = (expect(SERVER), expect(CLIENT));
    let resolvers = [&one, &other].map(|expected| {
        let config = tls.client(&credential, expected).unwrap();
        Arc::as_ptr(&config.client_auth_cert_resolver).cast::<()>()
    });
    assert_eq!(resolvers[0], resolvers[1]);
    // A renewed credential gets its own; the base of the dropped one goes.
    drop(credential);
    let renewed = ca.credential(SERVER);
    assert!(!Arc::ptr_eq(&first, &tls.server(&renewed).unwrap()));
    assert_eq!(tls.bases.len(), 1);
}

#[test]
fn the_number_of_bases_is_bounded() {
    let ca = Ca::root("root");
    let tls = context();
    let credentials: Vec<_> = (0..3).map(|_| ca.credential(SERVER)).collect();
    let base = tls.base(&credentials[0]).unwrap();
    let bases = Bases::with_limit(2);
    for credential in &credentials {
        bases.insert(credential, &base);
    }
    assert_eq!(bases.len(), 2);
}

#[test]
fn a_refusal_is_found_inside_an_io_error() {
    let refused = Error::from(PeerError::Expired);
    let error = std::io::Error::new(std::io::ErrorKind::InvalidData, refused);
    assert!(matches!(PeerError::find(&error), Some(PeerError::Expired)));
    let error = std::io::Error::other("something else");
    assert!(PeerError::find(&error).is_none());
}

#[test]
fn a_live_peer_is_looked_up_in_later_lists_and_judged_by_nothing_else() {
    let (root, tls) = (Ca::root("root"), context());
    let ca = root.intermediate("intermediate");
    let trust = |lists: Vec<_>| {
        let bundle = TrustBundle::from_der([root.certificate.clone()]).unwrap();
        bundle.with_revocation_lists(lists).unwrap()
    };
    let issue = |serial: &[u8]| {
        ca.credential_with(CLIENT, &Arc::new(trust(vec![])), |params| {
            params.serial_number = Some(rcgen::SerialNumber::from_slice(serial));
            params.not_before = date_time_ymd(2025, 12, 31);
            params.not_after = date_time_ymd(2026, 1, 2);
        })
    };
    let peer = issue(&[5]);
    let own = ca.credential_with(SERVER, &Arc::new(trust(vec![])), |_| ());
    let verified = tls.verified(&own, PeerRole::Client);
    let recheck = |lists: &TrustBundle| tls.recheck(peer.chain(), &verified, lists);
    recheck(&trust(vec![])).unwrap();
    recheck(&trust(vec![ca.revoke(&[6])])).unwrap();
    assert!(
        recheck(&trust(vec![ca.revoke(&[5])]))
            .unwrap_err()
            .is_revoked()
    );

    // The root is replaced, the certificate expires: what counts is the list.
    let other = TrustBundle::from_der([Ca::root("other").certificate]).unwrap();
    recheck(&other).unwrap();
    let other = other.with_revocation_lists([ca.revoke(&[6])]).unwrap();
    recheck(&other).unwrap();
    let other = other.with_revocation_lists([ca.revoke(&[5])]).unwrap();
    assert!(recheck(&other).unwrap_err().is_revoked());

    // Who is asked in the other role is asked for the other usage, which this certificate has too.
    let verified = tls.verified(&own, PeerRole::Server);
    tls.recheck(peer.chain(), &verified, &trust(vec![ca.revoke(&[6])]))
        .unwrap();

    // Another key under the same name signs a list.
    let forged = root.intermediate("intermediate").revoke(&[6]);
    assert!(!recheck(&trust(vec![forged])).unwrap_err().is_revoked());
}

#[test]
fn the_own_certificate_is_found_on_its_own_lists() {
    let (ca, tls) = (Ca::root("root"), context());
    let own = ca.credential_with(SERVER, &ca.bundle(), |params| {
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&[5]));
    });
    tls.check_own(&own).unwrap();
    for (serial, revoked) in [(6, false), (5, true)] {
        let bundle = TrustBundle::from_der([ca.certificate.clone()]).unwrap();
        let bundle = bundle
            .with_revocation_lists([ca.revoke(&[serial])])
            .unwrap();
        let own = own.with_trust(Arc::new(bundle)).unwrap();
        assert_eq!(tls.check_own(&own).is_err(), revoked);
    }
}
