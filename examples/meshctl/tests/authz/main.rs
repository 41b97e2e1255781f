//! The program as scripts use it: questions in, answers and exit codes out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::{Run, clean, directory, meshctl};

const WAYPOINT: &str = "spiffe://cluster.local/ns/shop/sa/waypoint";
const FRONT: &str = "spiffe://cluster.local/ns/shop/sa/front";

/// A question about the node proxy of the cart of the clean example.
fn to_cart(identity: Option<&str>, port: u16) -> Value {
    json!({
        "workload": "shop/cart-1", "layer": "l4",
        "source": { "identity": identity, "address": "10.0.0.10:40000" },
        "destination": { "address": format!("10.0.0.11:{port}") },
    })
}

/// A question about the waypoint of the cart.
fn carts(method: &str, path: &str) -> Value {
    json!({
        "service": "shop/cart",
        "source": { "identity": FRONT, "address": "10.0.0.10:40000" },
        "destination": { "address": "10.1.0.11:80" },
        "request": { "method": method, "host": "cart.shop:80", "path": path, "headers": [] },
    })
}

/// A directory with one policy of the namespace `shop`, and a pod there.
fn with_policy(name: &str, policy: &str) -> std::path::PathBuf {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: cart-1, namespace: shop, labels: {app: cart}}\n";
    let text = format!(
        "{pod}---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
         metadata: {{name: p, namespace: shop}}\nspec: {policy}\n"
    );
    directory(name, &[("mesh.yaml", &text)])
}

fn l7(request: Value) -> Value {
    json!({
        "workload": "shop/cart-1", "layer": "l7",
        "source": { "identity": FRONT, "address": "10.0.0.10:40000" },
        "destination": { "address": "10.0.0.11:8080" },
        "request": request,
    })
}

#[test]
fn a_batch_is_answered_line_by_line_as_documented() {
    let none = "allow policies exist, but none allowed";
    let cases = [
        (
            to_cart(Some(WAYPOINT), 8080),
            json!({ "decision": "allow", "status": 200, "policy": "shop/cart-from-waypoint", "rule": 0,
                    "reason": "allowed by: shop/cart-from-waypoint" }),
        ),
        (
            to_cart(Some(FRONT), 8080),
            json!({ "decision": "deny", "status": 401, "policy": null, "rule": null, "reason": none }),
        ),
        (
            to_cart(None, 8080),
            json!({ "decision": "deny", "status": 401,
                    "policy": "istio-system/istio_converted_static_strict", "rule": 0,
                    "reason": "explicitly denied by: istio-system/istio_converted_static_strict" }),
        ),
        (
            carts("GET", "/x/../carts/7"),
            json!({ "decision": "allow", "status": 200, "policy": "shop/cart-requests", "rule": 0,
                    "reason": "allowed by: shop/cart-requests" }),
        ),
        (
            carts("GET", "/carts/../admin"),
            json!({ "decision": "deny", "status": 403, "policy": null, "rule": null, "reason": none }),
        ),
        (
            carts("GET", "/carts/%00"),
            json!({ "decision": "deny", "status": 400, "policy": null, "rule": null,
                    "reason": "a path has %00" }),
        ),
    ];
    let lines: Vec<_> = cases.iter().map(|(asked, _)| asked.to_string()).collect();
    let run = batch(&lines.join("\n"));
    assert_eq!(run.code, 0, "{}", run.err);
    let answers = run.lines();
    assert_eq!(answers.len(), cases.len());
    for ((asked, expected), answer) in cases.iter().zip(&answers) {
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(&answer, expected, "{asked}");
    }
    let order = r#"{"decision":"allow","status":200,"policy":"shop/cart-from-waypoint","rule":0,"#;
    assert!(answers[0].starts_with(order), "{}", answers[0]);
}

fn batch(lines: &str) -> Run {
    let clean = clean();
    meshctl(
        &["authz", "check", "--manifests", &clean, "--batch", "-"],
        lines,
    )
}

/// A line that cannot be answered never keeps the next one from being answered.
#[test]
fn a_bad_line_gets_an_error_that_names_line_and_field_and_stops_nothing() {
    let good = to_cart(Some(WAYPOINT), 8080).to_string();
    let cases = [
        ("not json", "line 1: "),
        (r#"{"workload":"shop/nobody"}"#, "shop/nobody"),
        (r#"{"service":"shop/nothing"}"#, "shop/nothing"),
        (r#"{"workload":"shop/cart-1","sauce":{}}"#, "sauce"),
        (
            r#"{"workload":"shop/cart-1","source":{"identity":"x"}}"#,
            "source.identity: ",
        ),
        (
            r#"{"workload":"shop/cart-1","source":{"address":"x"}}"#,
            "source.address: ",
        ),
        (r#"{"workload":"shop/cart-1","layer":"l5"}"#, "layer: "),
        (
            r#"{"workload":"shop/cart-1","service":"shop/cart"}"#,
            "either workload or service",
        ),
        (r#"{}"#, "either workload or service"),
        (r#"{"workload":"cart-1"}"#, "NAMESPACE/NAME"),
        ("[1]", "line 1: "),
    ];
    for (bad, expected) in cases {
        let run = batch(&format!("{bad}\n{good}\n"));
        assert_eq!(run.code, 0, "{bad}");
        let answers = run.lines();
        assert_eq!(answers.len(), 2, "{bad}");
        let error: Value = serde_json::from_str(&answers[0]).unwrap();
        let error = error["error"].as_str().unwrap();
        assert!(error.contains(expected), "{bad}: {error}");
        assert!(answers[1].contains("\"allow\""), "{bad}");
    }
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let good = to_cart(Some(WAYPOINT), 8080).to_string();
    let long = format!("{{\"workload\":\"{}\"}}", "x".repeat(1 << 20));
    let answers = batch(&format!("{long}\n\n{good}")).lines();
    assert!(
        answers[0].contains("longer than 1048576 bytes"),
        "{}",
        answers[0]
    );
    assert!(answers[1].contains("\"allow\""));
    assert_eq!(answers.len(), 2);
}

#[test]
fn the_exit_code_is_the_answer() {
    let clean = clean();
    let l7_without_request = [
        "--service",
        "shop/cart",
        "--identity",
        FRONT,
        "--source",
        "10.0.0.1",
        "--destination",
        "10.1.0.11:80",
    ];
    let cases: [(&str, &[&str], i32); 6] = [
        (
            "allowed",
            &[
                "--workload",
                "shop/cart-1",
                "--identity",
                WAYPOINT,
                "--destination",
                "10.0.0.11:8080",
            ],
            0,
        ),
        (
            "denied",
            &[
                "--workload",
                "shop/cart-1",
                "--identity",
                FRONT,
                "--destination",
                "10.0.0.11:8080",
            ],
            1,
        ),
        ("undecided: there is no request", &l7_without_request, 3),
        (
            "undecided: the port is not known",
            &["--workload", "shop/cart-1", "--identity", WAYPOINT],
            3,
        ),
        ("no such pod", &["--workload", "shop/nobody"], 2),
        ("no such option", &["--frobnicate"], 2),
    ];
    for command in ["check", "explain"] {
        for (name, asked, expected) in cases {
            let mut words = vec!["authz", command, "--manifests", &clean];
            words.extend(asked);
            let run = meshctl(&words, "");
            assert_eq!(
                run.code, expected,
                "{command}: {name}: {}{}",
                run.out, run.err
            );
            assert!(!run.out.contains('\x1b'), "{command}: {name}: colours");
        }
    }
}

#[test]
fn a_directory_with_a_mistake_is_refused_with_its_place() {
    let bad = with_policy(
        "mistake",
        "{rules: [{from: [{source: {ipBlocks: [10.0.0.0/99]}}]}]}",
    );
    let bad = bad.to_str().unwrap();
    let question = ["--workload", "shop/cart-1"];
    let run = meshctl(
        &[&["authz", "check", "--manifests", bad][..], &question[..]].concat(),
        "",
    );
    assert_eq!(run.code, 2);
    assert!(run.err.contains("mesh.yaml:"), "{}", run.err);
    assert!(
        run.err.contains("spec.rules[0].from[0].source.ipBlocks[0]"),
        "{}",
        run.err
    );
    let run = meshctl(
        &[
            "authz",
            "check",
            "--manifests",
            "/nonexistent/manifests",
            "--workload",
            "a/b",
        ],
        "",
    );
    assert_eq!(run.code, 2);
}

/// Section 1.16, S2: a DENY of a host is about the host whatever its port.
#[test]
fn profiles_differ_where_they_are_meant_to() {
    let dir = with_policy(
        "profiles",
        "{action: DENY, rules: [{to: [{operation: {hosts: [evil.example]}}]}]}",
    );
    let dir = dir.to_str().unwrap();
    let asked = l7(json!({ "method": "GET", "host": "evil.example:80", "path": "/" }));
    for (profile, expected) in [("strict", 1), ("compat", 0)] {
        let words = [
            "authz",
            "check",
            "--manifests",
            dir,
            "--profile",
            profile,
            "--request",
            "-",
        ];
        assert_eq!(
            meshctl(&words, &asked.to_string()).code,
            expected,
            "{profile}"
        );
    }
}

/// Section 1.13.3: the table of what is normalised.
#[test]
fn paths_are_normalised_as_the_mesh_would() {
    let dir = with_policy(
        "paths",
        "{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}",
    );
    let dir = dir.to_str().unwrap();
    for (path, none, base, merge, decode) in [
        ("/app/../admin", 0, 1, 1, 1),
        ("//admin", 0, 0, 1, 1),
        ("/%2Fadmin", 0, 0, 0, 1),
        ("/app", 0, 0, 0, 0),
        ("/admin?x=1", 1, 1, 1, 1),
    ] {
        let asked = l7(json!({ "method": "GET", "host": "h", "path": path })).to_string();
        for (mode, expected) in [
            ("none", none),
            ("base", base),
            ("merge-slashes", merge),
            ("decode-and-merge-slashes", decode),
        ] {
            let words = [
                "authz",
                "check",
                "--manifests",
                dir,
                "--path-normalization",
                mode,
                "--request",
                "-",
            ];
            assert_eq!(meshctl(&words, &asked).code, expected, "{path} {mode}");
        }
    }
}

#[test]
fn trust_domain_aliases_are_the_mesh_itself() {
    let dir = with_policy(
        "aliases",
        "{rules: [{from: [{source: {principals: [old/ns/shop/sa/front]}}]}]}",
    );
    let dir = dir.to_str().unwrap();
    let question = [
        "--workload",
        "shop/cart-1",
        "--identity",
        "spiffe://new/ns/shop/sa/front",
    ];
    for (domains, expected) in [(&["new"][..], 1), (&["new", "old"][..], 0)] {
        let mut words = vec!["authz", "check", "--manifests", dir];
        words.extend(domains.iter().flat_map(|domain| ["--trust-domain", domain]));
        words.extend(question);
        assert_eq!(meshctl(&words, "").code, expected, "{domains:?}");
    }
}

#[test]
fn the_root_namespace_is_that_of_the_whole_mesh() {
    let dir = with_policy("root", "{}");
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                  metadata: {name: all, namespace: root}\nspec: {rules: [{}]}\n";
    std::fs::write(dir.join("root.yaml"), policy).unwrap();
    let dir = dir.to_str().unwrap();
    let question = ["--workload", "shop/cart-1", "--root-namespace"];
    for (root, expected) in [("root", 0), ("istio-system", 1)] {
        let words = [
            &["authz", "check", "--manifests", dir][..],
            &question[..],
            &[root][..],
        ]
        .concat();
        assert_eq!(meshctl(&words, "").code, expected, "{root}");
    }
}

/// Claims that are given count as verified; a token that is there is checked without them.
#[test]
fn tokens_are_checked_unless_claims_are_given() {
    let dir = with_policy(
        "tokens",
        "{rules: [{from: [{source: {requestPrincipals: [idp/alice]}}]}]}",
    );
    let token = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n\
                 metadata: {name: idp, namespace: shop}\n\
                 spec: {jwtRules: [{issuer: idp, jwks: '{\"keys\": []}'}]}\n";
    std::fs::write(dir.join("idp.yaml"), token).unwrap();
    let dir = dir.to_str().unwrap();
    let words = ["authz", "check", "--manifests", dir, "--batch", "-"];
    let request =
        |headers: Value| json!({ "method": "GET", "host": "h", "path": "/", "headers": headers });
    let mut given = l7(request(json!([])));
    given["claims"] = json!({ "iss": "idp", "sub": "alice" });
    let bad = l7(request(json!([["authorization", "Bearer a.b"]])));
    let none = l7(request(json!([])));
    let run = meshctl(&words, &format!("{given}\n{bad}\n{none}"));
    let answers: Vec<Value> = run
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer["status"].as_u64())
        .collect();
    assert_eq!(statuses, [Some(200), Some(401), Some(403)], "{answers:?}");
    assert!(
        answers[1]["reason"]
            .as_str()
            .unwrap()
            .contains("Jwt is not in the form of")
    );
}

/// An external authorizer cannot be asked; what denies without it denies.
#[test]
fn custom_policies_leave_it_to_their_authorizer() {
    let dir = with_policy(
        "custom",
        "{action: CUSTOM, provider: {name: opa}, rules: [{to: [{operation: {methods: [PUT]}}]}]}",
    );
    let without = dir.join("without.mesh");
    std::fs::write(&without, "extensionProviders: []\n").unwrap();
    let (dir, without) = (dir.to_str().unwrap(), without.to_str().unwrap());
    let put = l7(json!({ "method": "PUT", "host": "h", "path": "/" })).to_string();
    let get = l7(json!({ "method": "GET", "host": "h", "path": "/" })).to_string();
    let words = ["authz", "check", "--manifests", dir, "--request", "-"];
    assert_eq!(meshctl(&words, &put).code, 3);
    assert_eq!(meshctl(&words, &get).code, 0);
    let words = [&words[..], &["--mesh-config", without]].concat();
    assert_eq!(meshctl(&words, &put).code, 1, "nobody can be asked");
}

#[test]
fn explain_names_the_nearest_rule_and_the_one_condition_that_failed() {
    let clean = clean();
    let words = [
        "authz",
        "explain",
        "--manifests",
        &clean,
        "--output",
        "json",
        "--request",
        "-",
    ];
    let run = meshctl(&words, &carts("POST", "/a/../carts/7").to_string());
    assert_eq!(run.code, 1, "{}", run.err);
    let told: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(told["nearest"]["policy"], "shop/cart-requests");
    assert_eq!(told["nearest"]["rule"], 0);
    assert_eq!(
        told["nearest"]["conditions"],
        json!([{ "field": "spec.rules[0].to[0].operation.methods",
                 "expected": "one of GET, PUT", "found": "POST" }])
    );
    assert_eq!(
        told["path"],
        json!({ "raw": "/a/../carts/7", "normalised": "/carts/7" })
    );
    let detached = told["notConsidered"].as_array().unwrap();
    assert!(
        detached
            .iter()
            .any(|one| one["policy"] == "shop/cart-from-waypoint")
    );
    let text = meshctl(&words[..4], "");
    assert_eq!(text.code, 2, "nothing was asked");
}

/// At the node proxy a rule keeps the number that it has in the object.
#[test]
fn rules_are_numbered_as_they_are_written() {
    let rules = "{rules: [{to: [{operation: {methods: [GET]}}]}, {from: [{source: {namespaces: [shop]}}]}]}";
    let dir = with_policy("numbers", rules);
    let dir = dir.to_str().unwrap();
    let question = [
        "--workload",
        "shop/cart-1",
        "--identity",
        FRONT,
        "--output",
        "json",
    ];
    let run = meshctl(
        &[&["authz", "check", "--manifests", dir][..], &question[..]].concat(),
        "",
    );
    let answer: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        (&answer["decision"], &answer["rule"]),
        (&json!("allow"), &json!(1))
    );
}

/// What a request and its caller have, by the field of a source or an operation that asks for it.
const ATTRIBUTES: [(&str, [&str; 3]); 4] = [
    ("methods", ["GET", "PUT", "POST"]),
    ("paths", ["/a", "/b", "/c"]),
    ("hosts", ["a.example", "b.example", "c.example"]),
    ("namespaces", ["shop", "front", "bank"]),
];

/// Numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// A rule that asks for some of the attributes, or excludes values of them.
fn some_rule(dice: &mut Dice) -> Value {
    let mut rule = json!({});
    for (field, values) in ATTRIBUTES {
        let count = 1 + dice.below(2);
        let start = dice.below(3);
        let list: Vec<_> = (0..count).map(|at| values[(start + at) % 3]).collect();
        let name = match dice.below(4) {
            0 => format!("not{}{}", field[..1].to_uppercase(), &field[1..]),
            1 | 2 => field.to_owned(),
            _ => continue,
        };
        let (part, inner) = match field {
            "namespaces" => ("from", "source"),
            _ => ("to", "operation"),
        };
        if rule[part].is_null() {
            rule[part] = json!([{ inner: {} }]);
        }
        rule[part][0][inner][name.as_str()] = json!(list);
    }
    rule
}

fn question_of(has: &[&str; 4]) -> Value {
    let [method, path, host, namespace] = has;
    let mut question = l7(json!({ "method": method, "host": host, "path": path }));
    question["source"]["identity"] = format!("spiffe://cluster.local/ns/{namespace}/sa/x").into();
    question
}

/// P13: the condition that explain reports alone keeps a request out, and meeting it lets it pass.
#[test]
fn meeting_the_one_condition_that_explain_reports_turns_the_answer() {
    let mut dice = Dice(7);
    let mut turned = 0;
    for case in 0..60 {
        let rules: Vec<_> = (0..=dice.below(3)).map(|_| some_rule(&mut dice)).collect();
        let rules: Vec<_> = rules
            .into_iter()
            .filter(|rule| *rule != json!({}))
            .collect();
        let dir = with_policy(
            &format!("flip-{case}"),
            &json!({ "rules": rules }).to_string(),
        );
        let mut has = ATTRIBUTES.map(|(_, values)| values[dice.below(3)]);
        let words = ["authz", "explain", "--manifests", dir.to_str().unwrap()];
        let words = [&words[..], &["--output", "json", "--request", "-"]].concat();
        let told = meshctl(&words, &question_of(&has).to_string());
        let explained: Value = serde_json::from_str(&told.out).unwrap();
        let conditions = explained["nearest"]["conditions"].as_array();
        assert_eq!(
            told.code == 0,
            explained["decision"] == "allow",
            "{explained}"
        );
        let Some([condition]) = conditions.map(Vec::as_slice) else {
            continue;
        };
        assert_eq!(told.code, 1, "{explained}");
        let field = condition["field"]
            .as_str()
            .unwrap()
            .rsplit('.')
            .next()
            .unwrap();
        let about = |one: &str| field.to_lowercase().ends_with(one);
        let at = ATTRIBUTES.iter().position(|(name, _)| about(name)).unwrap();
        assert_eq!(condition["found"], has[at]);
        let expected = condition["expected"].as_str().unwrap();
        let (listed, wanted) = match expected.strip_prefix("one of ") {
            Some(list) => (list, true),
            None => (expected.strip_prefix("none of ").unwrap(), false),
        };
        let fits = |value: &&&str| listed.split(", ").any(|one| one == **value) == wanted;
        has[at] = ATTRIBUTES[at].1.iter().find(fits).unwrap();
        let check = [&["authz", "check"], &words[2..4], &words[6..]].concat();
        let answer = meshctl(&check, &question_of(&has).to_string());
        assert_eq!(answer.code, 0, "{rules:?} {condition}: {}", answer.out);
        turned += 1;
    }
    println!("{turned} answers turned");
    assert!(turned > 15, "{turned}");
}
