//! Tests of the settings of the control plane: the documented variables and defaults.

use std::num::NonZeroUsize;
use std::time::Duration;

use process::control_plane::{ControlPlane, Header, Root};

use super::{AuthoritySettings, Token, XdsSettings};
use crate::config::{Authority, Env, Settings};

const DEFAULT_ROOT: &str = "./var/run/secrets/istio/root-cert.pem";

fn settings(vars: &[(&str, &str)]) -> Result<Settings, String> {
    let least = [
        ("PROXY_MODE", "dedicated"),
        ("PROXY_WORKLOAD_INFO", "ns/web-1/web"),
    ];
    let vars: Vec<_> = least.iter().chain(vars).copied().collect();
    Settings::from_env(&Env::of(&vars), NonZeroUsize::MIN).map_err(|error| error.to_string())
}

fn server(address: &str) -> ControlPlane {
    ControlPlane {
        address: address.to_owned(),
        root: Root::File(DEFAULT_ROOT.into()),
        alt_hostname: None,
        headers: vec![],
    }
}

fn authority(settings: Settings) -> Option<AuthoritySettings> {
    match settings.authority {
        Authority::ControlPlane(settings) => Some(settings),
        Authority::Development(_) => None,
    }
}

#[test]
fn the_surroundings_say_where_the_control_plane_is() {
    for (vars, address) in [
        (&[][..], "https://localhost:15012"),
        (
            &[("KUBERNETES_SERVICE_HOST", "10.96.0.1")][..],
            "https://istiod.istio-system.svc:15012",
        ),
    ] {
        let settings = settings(vars).unwrap();
        let xds = settings.xds.clone().unwrap();
        assert_eq!((xds.server, xds.on_demand), (server(address), false));
        let ca = authority(settings).unwrap();
        assert_eq!(ca.server, server(address));
        assert_eq!(ca.lifetime, Duration::from_secs(86_400));
    }
}

#[test]
fn every_variable_has_its_effect() {
    let settings = settings(&[
        ("XDS_ADDRESS", "istiod:15012"),
        ("XDS_ROOT_CA", "/roots.pem"),
        ("ALT_XDS_HOSTNAME", "istiod.example.org"),
        ("XDS_HEADER_X-Tenant", "blue"),
        ("XDS_ON_DEMAND", "true"),
        ("CA_ADDRESS", "http://127.0.0.1:15010/"),
        ("CA_ROOT_CA", "SYSTEM"),
        ("ALT_CA_HOSTNAME", "ca.example.org"),
        ("CA_HEADER_A", "1"),
        ("CA_HEADER_EMPTY", ""),
        ("SECRET_TTL", "60s"),
        ("AUTH_TOKEN", "eyJ.abc.def"),
    ])
    .unwrap();
    let header = |name: &str, value: &str| Header {
        name: name.into(),
        value: value.into(),
    };
    assert_eq!(settings.ignored, [""; 0]);
    assert_eq!(settings.token, Token::Literal("eyJ.abc.def".into()));
    assert_eq!(
        settings.xds,
        Some(XdsSettings {
            server: ControlPlane {
                address: "https://istiod:15012".into(),
                root: Root::File("/roots.pem".into()),
                alt_hostname: Some("istiod.example.org".into()),
                headers: vec![header("x-tenant", "blue")],
            },
            on_demand: true,
        })
    );
    let expected = AuthoritySettings {
        server: ControlPlane {
            address: "http://127.0.0.1:15010".into(),
            root: Root::System,
            alt_hostname: Some("ca.example.org".into()),
            headers: vec![header("a", "1")],
        },
        lifetime: Duration::from_secs(60),
    };
    assert_eq!(authority(settings), Some(expected));
}

#[test]
fn the_mesh_may_come_from_a_file_a_control_plane_or_both() {
    let file = ("LOCAL_XDS_PATH", "mesh.yaml");
    let discovery = ("PROXY_CONFIG", "discoveryAddress: istiod:15012");
    let server = ("XDS_ADDRESS", "xds:15012");
    let none = ("XDS_ADDRESS", "");
    for (vars, local, xds) in [
        (vec![file], true, None),
        (vec![file, none], true, None),
        (vec![file, server], true, Some("https://xds:15012")),
        (vec![file, discovery], true, Some("https://istiod:15012")),
        (vec![file, discovery, none], true, None),
        (vec![server], false, Some("https://xds:15012")),
        (vec![server, discovery], false, Some("https://xds:15012")),
        (vec![discovery], false, Some("https://istiod:15012")),
        (vec![], false, Some("https://localhost:15012")),
    ] {
        let settings = settings(&vars).unwrap();
        let address = settings.xds.map(|xds| xds.server.address);
        assert_eq!(
            (settings.local.is_some(), address.as_deref()),
            (local, xds),
            "{vars:?}"
        );
    }
    let error = settings(&[none]).unwrap_err();
    assert!(error.contains("XDS_ADDRESS is empty"), "{error}");
}

#[test]
fn certificates_come_from_the_control_plane_unless_a_development_authority_is_asked_for() {
    let fake = ("FAKE_CA", "true");
    let directory = ("MESH_DEV_CA_DIR", "ca");
    let settings = |vars: &[_]| settings(vars);
    for (vars, development) in [
        (vec![], false),
        (vec![("FAKE_CA", "false")], false),
        (vec![fake, directory], true),
        (vec![fake, directory, ("CA_ADDRESS", "")], true),
    ] {
        let authority = authority(settings(&vars).unwrap());
        assert_eq!(authority.is_none(), development, "{vars:?}");
    }
    let error = settings(&[("CA_ADDRESS", "")]).unwrap_err();
    assert!(error.contains("CA_ADDRESS is empty"), "{error}");
    let ignored = settings(&[fake, directory, ("SECRET_TTL", "1h"), ("CA_HEADER_B", "c")]);
    assert_eq!(ignored.unwrap().ignored, ["CA_HEADER_B", "SECRET_TTL"]);
}

#[test]
fn roots_and_tokens_are_files_or_texts() {
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    for (text, root) in [
        ("SYSTEM", Root::System),
        (pem, Root::Pem(pem.into())),
        ("roots.pem", Root::File("roots.pem".into())),
    ] {
        let settings = settings(&[("XDS_ROOT_CA", text)]).unwrap();
        assert_eq!(settings.xds.unwrap().server.root, root);
    }
    for (text, token) in [
        ("/run/token", Token::File("/run/token".into())),
        ("./token", Token::File("./token".into())),
        ("Cargo.toml", Token::File("Cargo.toml".into())),
        ("secret", Token::Literal("secret".into())),
    ] {
        assert_eq!(settings(&[("AUTH_TOKEN", text)]).unwrap().token, token);
    }
}

#[test]
fn secrets_are_not_shown() {
    let vars = [("AUTH_TOKEN", "eyJhush"), ("XDS_HEADER_A", "hush")];
    let shown = format!("{:?}", settings(&vars).unwrap());
    assert!(!shown.contains("hush"), "{shown}");
    let error = settings(&[("XDS_HEADER_A", "hush\n")]).unwrap_err();
    assert!(
        error.starts_with("XDS_HEADER_A: expected a value"),
        "{error}"
    );
    assert!(!error.contains("hush"), "{error}");
}

#[test]
fn errors_name_the_variable_and_what_was_expected() {
    for (name, value, says) in [
        (
            "XDS_ADDRESS",
            "ftp://x",
            "XDS_ADDRESS is `ftp://x`, expected https://host:port",
        ),
        (
            "CA_ADDRESS",
            "http://istiod:1",
            "CA_ADDRESS is `http://istiod:1`, expected https:",
        ),
        (
            "PROXY_CONFIG",
            "discoveryAddress: 'a b'",
            "XDS_ADDRESS is `a b`, expected https:",
        ),
        (
            "XDS_HEADER_A B",
            "c",
            "XDS_HEADER_A B: expected the name of an HTTP header",
        ),
        (
            "ALT_CA_HOSTNAME",
            "a/b",
            "ALT_CA_HOSTNAME is `a/b`, expected a host name",
        ),
        (
            "XDS_ON_DEMAND",
            "yes",
            "XDS_ON_DEMAND is `yes`, expected true or false",
        ),
        (
            "SECRET_TTL",
            "59s",
            "SECRET_TTL is `59s`, expected a duration",
        ),
    ] {
        let error = settings(&[(name, value)]).unwrap_err();
        assert!(error.contains(says), "{name}={value}: {error}");
    }
}
