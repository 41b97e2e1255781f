//! The regression corpus (section 1.17): flaws that proxies of this kind have had. Each row has a test
//! here or, where another part of the family is concerned, the test that is named in `ELSEWHERE`.
//!
//! Each test says which guard it fails without.

mod tokens;

use mesh_core::target::{BadTarget, PathNormalization, RequestForm, Scheme, Target};
use serde_json::{Value, json};

use crate::cases::{Expected, Question, Word, policy, usual_conn, usual_req};
use crate::evaluator::{Mesh, PROFILES, Profile, View, decide};
use crate::product;

/// What is decided in namespace `app`, where these policies are.
fn decided(profile: Profile, policies: &[Value], change: impl FnOnce(&mut Question)) -> Word {
    let policies = policies
        .iter()
        .enumerate()
        .map(|(number, one)| policy(one, number));
    let mut question = Question {
        mesh: Mesh::new(profile),
        policies: policies.collect(),
        target: crate::cases::usual_target(),
        view: View::Request,
        conn: usual_conn(),
        req: usual_req(),
    };
    change(&mut question);
    let Question {
        mesh,
        policies,
        target,
        view,
        conn,
        req,
    } = &question;
    let req = matches!(view, View::Request).then_some(req);
    let plain = || Word::of(&decide(mesh, policies, target, *view, conn, req).verdict);
    match product::ask(&question, &Expected::of(Word::Allow)) {
        Some(Ok(decision)) => {
            assert_eq!(Word::of(&decision.verdict), plain());
            Word::of(&decision.verdict)
        }
        Some(Err(_)) => Word::Rejected,
        None => plain(),
    }
}

/// What a DENY of this one rule decides, which has to be the same in both profiles.
fn denied(rule: &Value, change: impl Fn(&mut Question)) -> Word {
    let policies = [json!({"action": "DENY", "rules": [rule]})];
    let [compat, strict] = PROFILES.map(|profile| decided(profile, &policies, &change));
    assert_eq!(compat, strict);
    compat
}

fn allowed(rule: &Value, change: impl Fn(&mut Question)) -> Word {
    let policies = [json!({"action": "ALLOW", "rules": [rule]})];
    let [compat, strict] = PROFILES.map(|profile| decided(profile, &policies, &change));
    assert_eq!(compat, strict);
    compat
}

fn paths(values: &[&str]) -> Value {
    json!({"to": [{"operation": {"paths": values}}]})
}

fn header(name: &str, list: &str, values: &[&str]) -> Value {
    json!({"when": [{"key": format!("request.headers[{name}]"), list: values}]})
}

/// Sends this target, normalised as it is by default.
fn sends(question: &mut Question, target: &str) {
    let target = Target::normalize(target.as_bytes(), PathNormalization::default()).unwrap();
    question.req.path = Some(target.path().to_owned());
    question.req.query = target.query().map(str::to_owned);
}

fn lines(question: &mut Question, lines: &[(&str, &[u8])]) {
    question.req.headers = lines
        .iter()
        .map(|(name, line)| ((*name).to_owned(), line.to_vec()))
        .collect();
}

/// CVE-2019-9900. Guard: a header with NUL is no header, a path with `%00` is answered with 400.
#[test]
fn nul_is_in_no_header_and_in_no_path() {
    assert!(http::HeaderValue::from_bytes(b"admin\0").is_err());
    let error = Target::normalize(b"/admin%00", PathNormalization::default()).unwrap_err();
    assert_eq!((&error, error.status()), (&BadTarget::Nul, 400));
    assert!(Target::normalize(b"/admin\0", PathNormalization::None).is_err());
}

/// CVE-2019-9901. Guard: dot segments are resolved before paths are compared.
#[test]
fn dot_segments_do_not_lead_around_a_denied_path() {
    for target in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/./admin",
        "/public/x/../../admin/y/..",
    ] {
        assert_eq!(
            denied(&paths(&["/admin", "/admin/"]), |question| sends(
                question, target
            )),
            Word::Deny,
            "{target}"
        );
    }
}

/// CVE-2019-18802. Guard: spaces around a value are taken off before it is compared.
#[test]
fn a_space_behind_a_value_does_not_defeat_a_comparison() {
    for line in [&b"admin "[..], b"admin\t", b" admin", b"admin \t "] {
        let sent = |question: &mut Question| lines(question, &[("role", line)]);
        assert_eq!(
            denied(&header("role", "values", &["admin"]), sent),
            Word::Deny,
            "{line:?}"
        );
        assert_eq!(
            denied(&header("role", "values", &["*min"]), sent),
            Word::Deny,
            "{line:?}"
        );
        assert_eq!(
            allowed(&header("role", "notValues", &["admin"]), sent),
            Word::Deny,
            "{line:?}"
        );
    }
}

/// CVE-2020-8595. Guard: query and fragment are split off before paths are compared.
#[test]
fn a_query_or_a_fragment_does_not_lead_around_an_exact_path() {
    for target in ["/admin?x", "/admin?", "/admin#x", "/admin?x#y", "/admin#?"] {
        assert_eq!(
            denied(&paths(&["/admin"]), |question| sends(question, target)),
            Word::Deny,
            "{target}"
        );
    }
}

/// CVE-2020-16844. Guard: one comparison for L4 and L7, suffixes included.
#[test]
fn a_suffix_of_a_principal_denies_connections_and_requests() {
    for view in [View::Request, View::Connection, View::Ztunnel] {
        for field in [
            json!({"principals": ["*/sa/cart"]}),
            json!({"namespaces": ["*hop"]}),
        ] {
            let rule = json!({"from": [{"source": field}]});
            assert_eq!(
                denied(&rule, |question| question.view = view),
                Word::Deny,
                "{view:?}"
            );
        }
    }
}

/// CVE-2020-25017. Guard: every line of a header is looked at.
#[test]
fn a_second_line_of_a_header_is_not_overlooked() {
    let sent = |question: &mut Question| lines(question, &[("role", b"user"), ("role", b"admin")]);
    assert_eq!(
        denied(&header("role", "values", &["admin"]), sent),
        Word::Deny
    );
    assert_eq!(
        denied(&header("role", "values", &["user"]), sent),
        Word::Deny
    );
    assert_eq!(
        allowed(&header("role", "notValues", &["admin"]), sent),
        Word::Deny
    );
}

/// CVE-2021-29492, CVE-2021-31920. Guard: escaped and repeated slashes are slashes by default.
#[test]
fn escaped_and_repeated_slashes_are_slashes() {
    for target in [
        "//admin/x",
        "/%2fadmin/x",
        "/admin%2Fx",
        "/admin%5cx",
        "\\admin/x",
        "/admin\\x",
        "/%5Cadmin//x",
    ] {
        let target = target
            .strip_prefix('\\')
            .map_or(target.to_owned(), |rest| format!("/\\{rest}"));
        assert_eq!(
            denied(&paths(&["/admin/*"]), |question| sends(question, &target)),
            Word::Deny,
            "{target}"
        );
    }
}

/// CVE-2021-32779, CVE-2021-39156. Guard: a fragment is no part of a path, and is not forwarded.
#[test]
fn a_fragment_is_neither_compared_nor_forwarded() {
    let target = Target::normalize(b"/admin#/public", PathNormalization::default()).unwrap();
    assert_eq!((target.path(), target.as_str()), ("/admin", "/admin"));
    assert_eq!(
        allowed(&paths(&["*/public"]), |question| sends(
            question,
            "/admin#/public"
        )),
        Word::Deny
    );
}

/// CVE-2021-39155. Guard: hosts are compared without case.
#[test]
fn the_case_of_a_host_does_not_lead_around_a_denial() {
    let rule = json!({"to": [{"operation": {"hosts": ["secret.com", "*.Secret.com"]}}]});
    for host in ["SECRET.com", "Secret.Com", "a.sEcret.com"] {
        assert_eq!(
            denied(&rule, |question| question.req.host = host.to_owned()),
            Word::Deny,
            "{host}"
        );
    }
}

/// ISTIO-SECURITY-2021-004. Guard: what is excluded is told apart from what is absent only by asking
/// for presence as well; the rules of absence are as they are documented.
#[test]
fn an_exclusion_takes_callers_without_identity_unless_presence_is_asked_for() {
    let plain = |question: &mut Question| question.conn.identity = None;
    let excluded = json!({"from": [{"source": {"notNamespaces": ["mall"]}}]});
    assert_eq!(allowed(&excluded, plain), Word::Allow);
    let present = json!({"from": [{"source": {"notNamespaces": ["mall"], "principals": ["*"]}}]});
    assert_eq!(allowed(&present, plain), Word::Deny);
}

/// CVE-2022-21679. Guard: a field that is not known rejects its policy.
#[test]
fn a_field_that_is_not_known_is_not_ignored() {
    for rule in [
        json!({"from": [{"source": {"principals": ["*"], "notZones": ["a"]}}]}),
        json!({"to": [{"operation": {"methods": ["GET"], "queries": ["a"]}}]}),
        json!({"when": [{"key": "source.ip", "values": ["10.0.0.1"], "regex": true}]}),
        json!({"unless": [{}]}),
    ] {
        assert_eq!(denied(&rule, |_| ()), Word::Rejected, "{rule}");
    }
}

/// CVE-2023-27487. Guard: paths are those of the request line, whatever headers say.
#[test]
fn a_header_does_not_say_what_the_path_is() {
    for name in [
        "x-envoy-original-path",
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-path",
    ] {
        let sent = |question: &mut Question| {
            sends(question, "/admin");
            lines(question, &[(name, b"/public")]);
        };
        assert_eq!(allowed(&paths(&["/public"]), sent), Word::Deny, "{name}");
        assert_eq!(denied(&paths(&["/admin"]), sent), Word::Deny, "{name}");
    }
}

/// CVE-2023-35944. Guard: schemes are read in either case.
#[test]
fn the_case_of_a_scheme_does_not_change_a_target() {
    for raw in [
        "HTTP://web.app/a/../admin",
        "hTTp://web.app/admin",
        "http://web.app/admin",
    ] {
        let form = RequestForm::parse("GET", raw.as_bytes()).unwrap();
        assert!(
            matches!(
                form,
                RequestForm::Absolute {
                    scheme: Scheme::Http,
                    ..
                }
            ),
            "{raw}"
        );
        let target = form.target(PathNormalization::default()).unwrap().unwrap();
        assert_eq!(target.path(), "/admin", "{raw}");
    }
}

/// CVE-2024-45806. Guard: no address is believed that nobody has evaluated, not even from private
/// networks.
#[test]
fn a_private_peer_does_not_tell_the_address_of_the_client() {
    let rule = json!({"from": [{"source": {"remoteIpBlocks": ["192.0.2.0/24"]}}]});
    let sent = |question: &mut Question| {
        question.conn.source = "10.0.0.1".parse().unwrap();
        lines(
            question,
            &[
                ("x-forwarded-for", b"192.0.2.1"),
                ("x-real-ip", b"192.0.2.1"),
            ],
        );
    };
    assert_eq!(allowed(&rule, sent), Word::Deny);
}

/// CVE-2025-46821. Guard: `*` is among the characters that a template takes.
#[test]
fn a_star_in_a_segment_does_not_lead_around_a_template() {
    for target in ["/admin/*", "/admin/a*b", "/admin/!$&'()*+,;=:@-._~"] {
        assert_eq!(
            denied(&paths(&["/admin/{*}"]), |question| sends(question, target)),
            Word::Deny,
            "{target}"
        );
        assert_eq!(
            denied(&paths(&["/admin/{**}"]), |question| sends(question, target)),
            Word::Deny,
            "{target}"
        );
    }
}

/// CVE-2025-66220. Guard: an identity has no NUL.
#[test]
fn nul_is_in_no_identity() {
    for text in [
        "spiffe://cluster.local/ns/shop/sa/cart\0",
        "spiffe://cluster.local\0.evil/ns/shop/sa/cart",
    ] {
        assert!(
            text.parse::<mesh_core::identity::SpiffeId>().is_err(),
            "{text:?}"
        );
    }
}

/// CVE-2026-26308, CVE-2026-31838. Guard: lines are compared one by one, not joined.
#[test]
fn two_lines_are_not_one_value() {
    let sent = |question: &mut Question| lines(question, &[("role", b"admin"), ("role", b"x")]);
    assert_eq!(
        denied(&header("role", "values", &["admin"]), sent),
        Word::Deny
    );
    assert_eq!(
        denied(&header("role", "values", &["*dmin"]), sent),
        Word::Deny
    );
    assert_eq!(
        allowed(&header("role", "notValues", &["admin"]), sent),
        Word::Deny
    );
    assert_eq!(
        allowed(&header("role", "values", &["admin,x"]), sent),
        Word::Deny
    );
}

/// CVE-2026-39350. Guard: service accounts are compared as texts, a dot is a dot.
#[test]
fn a_dot_in_a_service_account_is_a_dot() {
    let of = |account: &'static str| {
        move |question: &mut Question| {
            question.conn.identity = Some(format!("cluster.local/ns/shop/sa/{account}"))
        }
    };
    let rule = json!({"from": [{"source": {"serviceAccounts": ["shop/cart.v1"]}}]});
    assert_eq!(allowed(&rule, of("cart.v1")), Word::Allow);
    assert_eq!(allowed(&rule, of("cart-v1")), Word::Deny);
    let excluded = json!({"from": [{"source": {"notServiceAccounts": ["shop/cart.v1"]}}]});
    assert_eq!(denied(&excluded, of("cart-v1")), Word::Deny);
}

/// istio 59992. Guard: principals and namespaces are compared as texts, a dot is a dot.
#[test]
fn a_dot_in_a_principal_or_a_namespace_is_a_dot() {
    let as_peer = |question: &mut Question| {
        question.conn.identity = Some("cluster.local/ns/a-b/sa/x-y".to_owned())
    };
    for source in [
        json!({"principals": ["*/sa/x.y"]}),
        json!({"principals": ["cluster.local/ns/a.b/*"]}),
        json!({"namespaces": ["a.b"]}),
        json!({"namespaces": ["a.*"]}),
        json!({"namespaces": ["*.b"]}),
    ] {
        assert_eq!(
            allowed(&json!({"from": [{"source": source}]}), as_peer),
            Word::Deny,
            "{source}"
        );
    }
}

/// CVE-2026-73511, CVE-2026-73551, CVE-2026-73553. Guard: dot segments with parameters are dot
/// segments, in whatever way they are written, and normalising again changes nothing.
#[test]
fn parameters_do_not_hide_dot_segments() {
    for target in [
        "/public/..;/admin",
        "/public/..;a=b/admin",
        "/public/%2e%2e;/admin",
        "/public/%2E.;x/admin",
    ] {
        let once = Target::normalize(target.as_bytes(), PathNormalization::default()).unwrap();
        let twice =
            Target::normalize(once.as_str().as_bytes(), PathNormalization::default()).unwrap();
        assert_eq!(once, twice, "{target}");
        assert_eq!(
            denied(&paths(&["/admin*"]), |question| sends(question, target)),
            Word::Deny,
            "{target}"
        );
        assert_eq!(
            allowed(&paths(&["/public*"]), |question| sends(question, target)),
            Word::Deny,
            "{target}"
        );
    }
}

/// CVE-2026-73552. Guard: values are compared as bytes, whatever their encoding.
#[test]
fn bytes_that_are_no_text_do_not_lead_around_an_exclusion() {
    let sent = |question: &mut Question| lines(question, &[("role", b"admin\xff")]);
    assert_eq!(
        allowed(&header("role", "notValues", &["admin*"]), sent),
        Word::Deny
    );
    assert_eq!(
        denied(&header("role", "values", &["admin*"]), sent),
        Word::Deny
    );
    assert_eq!(denied(&header("role", "values", &["*"]), sent), Word::Deny);
    let sent = |question: &mut Question| lines(question, &[("role", b"\xffadmin")]);
    assert_eq!(
        allowed(&header("role", "notValues", &["*admin"]), sent),
        Word::Deny
    );
}

/// CVE-2026-73547. Guard: a request may have no path.
#[test]
fn a_connect_without_a_path_is_decided() {
    let connect = |question: &mut Question| {
        question.req.method = "CONNECT".to_owned();
        question.req.path = None;
    };
    assert_eq!(denied(&paths(&["*"]), connect), Word::Allow);
    assert_eq!(
        denied(
            &json!({"to": [{"operation": {"notPaths": ["*"]}}]}),
            connect
        ),
        Word::Deny
    );
    assert_eq!(allowed(&paths(&["/{**}"]), connect), Word::Deny);
    assert_eq!(
        denied(
            &json!({"to": [{"operation": {"methods": ["CONNECT"]}}]}),
            connect
        ),
        Word::Deny
    );
}

/// Rows that other parts of the family have their tests for: the row, the file, the test.
const ELSEWHERE: [(&str, &str, &str); 7] = [
    (
        "CVE-2021-32777",
        "mesh-authz/tests/external.rs",
        "grpc_is_told_of_both_ends_and_of_the_whole_head",
    ),
    (
        "CVE-2023-27488",
        "mesh-authz/tests/external.rs",
        "grpc_is_told_of_both_ends_and_of_the_whole_head",
    ),
    (
        "CVE-2021-31921",
        "mesh-hbone/src/proxy/passthrough/tests.rs",
        "policy_is_asked_without_an_identity_and_a_denial_resets",
    ),
    (
        "CVE-2022-21654",
        "mesh-core/src/tls/tests.rs",
        "a_second_connection_does_not_resume_the_first",
    ),
    (
        "CVE-2022-21656",
        "mesh-core/src/tls/tests.rs",
        "a_leaf_may_carry_other_names",
    ),
    (
        "CVE-2022-21657",
        "mesh-core/src/tls/tests.rs",
        "clients_are_refused_for_the_right_reason",
    ),
    (
        "CVE-2024-23324",
        "mesh-hbone/src/proxy_protocol/tests.rs",
        "what_is_not_a_header_is_refused",
    ),
];

/// The row about what is not there yet: OPA.
const NOT_BUILT: [&str; 1] = ["CVE-2026-26205"];

/// The rows of the specification, by the first name of each.
const ROWS: [&str; 32] = [
    "CVE-2019-9900",
    "CVE-2019-9901",
    "CVE-2019-18802",
    "CVE-2020-8595",
    "CVE-2020-16844",
    "CVE-2020-25017",
    "CVE-2021-21378",
    "CVE-2021-29492",
    "CVE-2021-31921",
    "CVE-2021-32777",
    "CVE-2021-32779",
    "CVE-2021-39155",
    "ISTIO-SECURITY-2021-004",
    "CVE-2022-21679",
    "CVE-2022-21654",
    "CVE-2023-27487",
    "CVE-2023-27488",
    "CVE-2023-35944",
    "CVE-2024-23324",
    "CVE-2024-45806",
    "CVE-2025-46821",
    "CVE-2025-64527",
    "CVE-2025-66220",
    "CVE-2026-26308",
    "CVE-2026-31837",
    "CVE-2026-39350",
    "istio 59992",
    "CVE-2026-41413",
    "CVE-2026-26205",
    "CVE-2026-73511",
    "CVE-2026-73552",
    "CVE-2026-73547",
];

#[test]
fn every_row_has_a_test_here_or_elsewhere() {
    let here = [include_str!("corpus.rs"), include_str!("corpus/tokens.rs")].concat();
    let family = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap();
    for (row, file, test) in ELSEWHERE {
        let text = std::fs::read_to_string(family.join(file)).unwrap();
        assert!(
            text.contains(&format!("fn {test}(")),
            "{row}: {file} has no test {test}"
        );
    }
    let is_here = |row: &&str| here.contains(&format!("/// {row}"));
    let is_elsewhere = |row: &&str| ELSEWHERE.iter().any(|(of, _, _)| of == row);
    let (mut tested, mut missing) = (0, Vec::new());
    for row in ROWS {
        if is_here(&row) || is_elsewhere(&row) {
            tested += 1;
        } else {
            missing.push(row);
        }
    }
    println!(
        "1.17 regression corpus: {tested} rows of {} have tests, not built yet: {missing:?}",
        ROWS.len()
    );
    assert_eq!(missing, NOT_BUILT);
}
