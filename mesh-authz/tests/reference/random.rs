//! Random policies and requests, made so that values meet: few texts that begin and end alike, and
//! the edges of every kind of value.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use serde_json::{Map, Value, json};

use crate::cases::{Question, policy};
use crate::evaluator::{Conn, Mesh, Profile, Req, Target, View};

const NAMES: [&str; 5] = ["a", "ab", "ba", "shop", "shopping"];
const DOMAINS: [&str; 3] = ["cluster.local", "td", "old"];
const ADDRESSES: [&str; 6] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.1.0",
    "::ffff:10.0.0.1",
    "2001:db8::1",
    "255.255.255.255",
];
const RANGES: [&str; 9] = [
    "10.0.0.0/31",
    "10.0.0.3/30",
    "0.0.0.0/0",
    "::/0",
    "::ffff:10.0.0.0/127",
    "10.0.0.1",
    "2001:db8::/32",
    "255.255.255.255/32",
    "10.0.0.128/25",
];
const PORTS: [&str; 5] = ["0", "80", "8080", "443", "65535"];
const HOSTS: [&str; 9] = [
    "a.com",
    "A.com",
    "a.com:80",
    "a.com.",
    "a.com.:80",
    "b.a.com",
    "b.a.com:80",
    "[::1]:80",
    "[::1]",
];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "CONNECT"];
const PATHS: [&str; 13] = [
    "/", "/a", "/A", "/a/", "/a/b", "/a//b", "/a/b/c", "/a/|b", "/a/[b/c", "/a;b", "/ab", "/b/a",
    "/a/b.c",
];
const TEMPLATES: [&str; 8] = [
    "/a/{*}",
    "/{*}",
    "/{**}",
    "/a/{**}",
    "/a/{**}/c",
    "/{*}/{**}",
    "/{*}/b",
    "/a/{*}/c",
];
const LINES: [&str; 10] = [
    "", "a", " a", "a ", "a,b", "b, a", "ab", "a\u{ff}", "*", "\ta",
];
const CLAIMS: [&str; 8] = ["a", "ab", "ba", "", "a b", "a/b", "*", "https://a"];
const PRINCIPALS: [&str; 14] = [
    "*",
    "a*",
    "a/*",
    "a/a*",
    "*a",
    "*/a",
    "*a/a",
    "a/a",
    "a",
    "https://a/a",
    "*/*",
    "a*/a",
    "*b/a*",
    "ab/ba",
];

/// A pattern out of one of these texts: exact, prefix, suffix, presence, or with a star inside.
fn pattern(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    (select(texts), any::<Index>(), 0..10_u8).prop_map(|(text, at, kind)| {
        let at = (0..=at.index(text.len() + 1))
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        let (before, after) = text.split_at(at);
        let pattern = match kind {
            0..=4 => text.to_owned(),
            5 | 6 => format!("{before}*"),
            7 => format!("*{after}"),
            8 => format!("{before}*{after}"),
            _ => "*".to_owned(),
        };
        if pattern.is_empty() {
            "*".to_owned()
        } else {
            pattern
        }
    })
}

fn plain(texts: &'static [&'static str]) -> BoxedStrategy<String> {
    select(texts).prop_map(str::to_owned).boxed()
}

fn principal() -> BoxedStrategy<String> {
    let parts = (select(&DOMAINS[..]), select(&NAMES[..]), select(&NAMES[..]));
    let whole = parts
        .prop_map(|(domain, namespace, account)| format!("{domain}/ns/{namespace}/sa/{account}"));
    (whole, any::<Index>(), 0..6_u8)
        .prop_map(|(whole, at, kind)| {
            let at = at.index(whole.len());
            match kind {
                0..=2 => whole,
                3 => format!("{}*", &whole[..at]),
                4 => format!("*{}", &whole[at..]),
                _ => "*".to_owned(),
            }
        })
        .boxed()
}

fn account() -> BoxedStrategy<String> {
    let qualified =
        (select(&NAMES[..]), select(&NAMES[..])).prop_map(|(ns, sa)| format!("{ns}/{sa}"));
    prop_oneof![3 => qualified, 1 => plain(&NAMES)].boxed()
}

fn domain() -> BoxedStrategy<String> {
    plain(&[
        "cluster.local",
        "td",
        "old",
        "*",
        "t*",
        "*local",
        "o*",
        "*d",
    ])
}

fn path() -> BoxedStrategy<String> {
    prop_oneof![2 => pattern(&PATHS), 1 => plain(&TEMPLATES)].boxed()
}

/// The values of a field, or of a condition with this key.
fn values(of: &str) -> BoxedStrategy<String> {
    match of {
        "principals" | "source.principal" => principal(),
        "namespaces" | "source.namespace" => pattern(&NAMES).boxed(),
        "serviceAccounts" => account(),
        "source.serviceAccount" => (select(&NAMES[..]), select(&NAMES[..]))
            .prop_map(|(ns, sa)| format!("{ns}/{sa}"))
            .boxed(),
        "trustDomains" | "source.trustDomain" => domain(),
        "ipBlocks" | "remoteIpBlocks" | "source.ip" | "remote.ip" | "destination.ip" => {
            plain(&RANGES)
        }
        "ports" | "destination.port" => plain(&PORTS),
        "hosts" | "connection.sni" | "request.headers[:authority]" => pattern(&HOSTS).boxed(),
        "methods" | "request.headers[:method]" => pattern(&METHODS).boxed(),
        "paths" => path(),
        "request.headers[:path]" => pattern(&PATHS).boxed(),
        "requestPrincipals" | "request.auth.principal" => plain(&PRINCIPALS),
        "experimental.envoy.filters.f[list]" => pattern(&["a", "ab", "ba"])
            .prop_map(|text| format!("[{text}]"))
            .boxed(),
        key if key.starts_with("request.headers") => pattern(&["a", "ab", "b", "a,b", "*"]).boxed(),
        _ => pattern(&["a", "ab", "ba", "a b", "*"]).boxed(),
    }
}

/// One or both lists of a field; `names`: what they are called.
fn lists(of: &'static str, names: (String, String)) -> impl Strategy<Value = Map<String, Value>> {
    let list = || vec(values(of), 1..4);
    (list(), list(), 0..4_u8).prop_map(move |(fits, excluded, kind)| {
        let mut fields = Map::new();
        if kind != 2 {
            fields.insert(names.0.clone(), fits.into());
        }
        if kind >= 2 {
            fields.insert(names.1.clone(), excluded.into());
        }
        fields
    })
}

fn field(of: &'static str) -> BoxedStrategy<Map<String, Value>> {
    let (first, rest) = of.split_at(1);
    lists(
        of,
        (of.to_owned(), format!("not{}{rest}", first.to_uppercase())),
    )
    .boxed()
}

/// One to three of these fields together.
fn fields(of: &'static [&'static str]) -> BoxedStrategy<Value> {
    proptest::sample::subsequence(of, 1..=of.len().min(3))
        .prop_flat_map(|chosen| chosen.into_iter().map(field).collect::<Vec<_>>())
        .prop_map(|parts| Value::Object(parts.into_iter().flatten().collect()))
        .boxed()
}

const KEYS: [&str; 21] = [
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.serviceAccount",
    "source.principal",
    "source.trustDomain",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "request.auth.claims[g]",
    "request.auth.claims[g][h]",
    "request.auth.claims[scope]",
    "request.headers[x]",
    "request.headers[Y]",
    "request.headers[:method]",
    "request.headers[:path]",
    "request.headers[:authority]",
    "destination.ip",
    "destination.port",
    "connection.sni",
    "experimental.envoy.filters.f[text]",
];
/// What a CUSTOM policy may ask for.
const CUSTOM_KEYS: [&str; 7] = [
    "source.ip",
    "remote.ip",
    "request.headers[x]",
    "destination.ip",
    "destination.port",
    "connection.sni",
    "experimental.envoy.filters.f[list]",
];

fn condition(keys: &'static [&'static str]) -> BoxedStrategy<Value> {
    select(keys)
        .prop_flat_map(|key| {
            lists(key, ("values".to_owned(), "notValues".to_owned())).prop_map(move |mut fields| {
                fields.insert("key".to_owned(), key.into());
                Value::Object(fields)
            })
        })
        .boxed()
}

fn rule(custom: bool) -> BoxedStrategy<Value> {
    let source = if custom {
        fields(&["ipBlocks", "remoteIpBlocks"])
    } else {
        prop_oneof![
            3 => fields(&["principals", "namespaces", "ipBlocks", "requestPrincipals", "trustDomains"]),
            1 => fields(&["serviceAccounts", "remoteIpBlocks", "ipBlocks"]),
        ]
        .boxed()
    };
    let operation = fields(&["hosts", "ports", "methods", "paths"]);
    let keys: &'static [&'static str] = if custom { &CUSTOM_KEYS } else { &KEYS };
    let parts = (
        vec(source, 0..3),
        vec(operation, 0..3),
        vec(condition(keys), 0..3),
        0..8_u8,
    );
    parts
        .prop_map(|(from, to, when, keep)| {
            let wrap = |inner: &str, entries: Vec<Value>| {
                Value::from(
                    entries
                        .into_iter()
                        .map(|entry| json!({inner: entry}))
                        .collect::<Vec<_>>(),
                )
            };
            let mut rule = Map::new();
            if keep & 1 == 0 && !from.is_empty() {
                rule.insert("from".into(), wrap("source", from));
            }
            if keep & 2 == 0 && !to.is_empty() {
                rule.insert("to".into(), wrap("operation", to));
            }
            if keep & 4 == 0 && !when.is_empty() {
                rule.insert("when".into(), when.into());
            }
            Value::Object(rule)
        })
        .boxed()
}

fn reference() -> BoxedStrategy<Value> {
    let gateway = "gateway.networking.k8s.io";
    select(vec![
        json!({"kind": "Service", "name": "web"}),
        json!({"kind": "Service", "name": "api"}),
        json!({"group": "networking.istio.io", "kind": "ServiceEntry", "name": "web"}),
        json!({"group": gateway, "kind": "GatewayClass", "name": "istio-waypoint"}),
        json!({"group": gateway, "kind": "Gateway", "name": "wp"}),
    ])
    .boxed()
}

fn one_policy() -> BoxedStrategy<Value> {
    select(&["ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "AUDIT", "CUSTOM"][..])
        .prop_flat_map(|action| {
            let least = usize::from(action != "ALLOW" && action != "AUDIT");
            (
                Just(action),
                vec(rule(action == "CUSTOM"), least..4),
                select(&["app", "app", "app", "app", "istio-system", "other"][..]),
                0..14_u8,
                vec(reference(), 1..3),
                0..8_u8,
                select(&["opa", "ext", "opa-2"][..]),
            )
        })
        .prop_map(
            |(action, rules, namespace, attach, references, dry_run, provider)| {
                let mut spec = json!({"action": action, "namespace": namespace});
                if !rules.is_empty() {
                    spec["rules"] = rules.into();
                }
                match attach {
                    0 => spec["selector"] = json!({"matchLabels": {"app": "web"}}),
                    1 => spec["selector"] = json!({"matchLabels": {"app": "api"}}),
                    2 => spec["selector"] = json!({}),
                    3 | 4 => spec["targetRefs"] = references.into(),
                    _ => {}
                }
                if dry_run == 0 && matches!(action, "ALLOW" | "DENY") {
                    spec["dry-run"] = "true".into();
                }
                if action == "CUSTOM" {
                    spec["provider"] = json!({"name": provider});
                }
                spec
            },
        )
        .boxed()
}

pub(crate) fn policies(most: usize) -> impl Strategy<Value = Vec<Value>> {
    vec(one_policy(), 0..=most).prop_map(|written| {
        let numbered = written.iter().enumerate();
        numbered.map(|(number, one)| policy(one, number)).collect()
    })
}

pub(crate) fn mesh() -> impl Strategy<Value = Mesh> {
    (any::<bool>(), any::<bool>()).prop_map(|(strict, aliases)| {
        let mut mesh = Mesh::new(if strict {
            Profile::Strict
        } else {
            Profile::Compat
        });
        if aliases {
            mesh.trust_domains = vec!["td".to_owned(), "old".to_owned()];
        }
        mesh
    })
}

pub(crate) fn target() -> impl Strategy<Value = Target> {
    (0..6_u8).prop_map(|kind| {
        let text = str::to_owned;
        let gateway = vec![
            (text("gateway.networking.k8s.io/gateway-name"), text("wp")),
            (text("app"), text("web")),
        ];
        let mut target = Target {
            namespace: text("app"),
            labels: vec![(text("app"), text("web"))],
            ..Target::default()
        };
        if kind == 0 {
            target.labels = gateway;
            target.waypoint = true;
            target.services = vec![(text("Service"), text("app"), text("web"))];
        }
        target
    })
}

pub(crate) fn conn() -> impl Strategy<Value = Conn> {
    let identity = (select(&DOMAINS[..]), select(&NAMES[..]), select(&NAMES[..]))
        .prop_map(|(domain, namespace, account)| format!("{domain}/ns/{namespace}/sa/{account}"));
    let optional = |texts: &'static [&'static str]| proptest::option::weighted(0.6, select(texts));
    (
        select(&ADDRESSES[..]),
        (select(&ADDRESSES[..]), select(&PORTS[..])),
        optional(&ADDRESSES),
        proptest::option::weighted(0.8, identity),
        optional(&HOSTS),
    )
        .prop_map(|(source, (to, port), remote, identity, sni)| Conn {
            source: source.parse().unwrap(),
            destination: (
                to.parse::<std::net::IpAddr>().unwrap(),
                port.parse().unwrap(),
            )
                .into(),
            remote: remote.map(|address| address.parse().unwrap()),
            identity,
            sni: sni.map(str::to_owned),
        })
}

fn claim() -> impl Strategy<Value = Value> {
    let text = || select(&CLAIMS[..]).prop_map(Value::from);
    prop_oneof![
        5 => text(),
        2 => vec(prop_oneof![text(), Just(json!(7)), Just(json!(["a"]))], 0..3).prop_map(Value::from),
        1 => Just(json!(7)),
        1 => Just(json!(true)),
        1 => text().prop_map(|inner| json!({"h": inner})),
    ]
}

fn claims() -> impl Strategy<Value = Option<Map<String, Value>>> {
    let some = proptest::collection::hash_map(
        select(&["iss", "sub", "aud", "azp", "g", "scope"][..]),
        claim(),
        0..6,
    );
    proptest::option::weighted(0.7, some).prop_map(|claims| {
        let named = claims?
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        // What an empty list of words is, nobody says.
        Some(
            named
                .filter(|(name, value)| name != "scope" || value != "")
                .collect(),
        )
    })
}

pub(crate) fn req() -> impl Strategy<Value = Req> {
    let line = select(&LINES[..]).prop_map(|text| {
        text.chars()
            .map(|c| u8::try_from(u32::from(c)).unwrap())
            .collect()
    });
    let headers = vec((select(&["x", "X", "y"][..]), line), 0..4);
    let metadata = (
        proptest::option::of(select(&["a", "ab", "", "ba"][..])),
        proptest::option::of(vec(select(&["a", "ab", "", "ba"][..]), 0..3)),
    );
    (
        select(&METHODS[..]),
        select(&PATHS[..]),
        proptest::option::weighted(0.3, select(&["", "a=b", "x=/a/b?c"][..])),
        select(&HOSTS[..]),
        headers,
        claims(),
        metadata,
    )
        .prop_map(
            |(method, path, query, host, headers, claims, (text, list))| {
                let mut keys = Map::new();
                if let Some(text) = text {
                    keys.insert("text".into(), text.into());
                }
                if let Some(list) = list {
                    keys.insert("list".into(), list.into());
                }
                let connect = method == "CONNECT";
                Req {
                    method: method.to_owned(),
                    path: (!connect).then(|| path.to_owned()),
                    query: query.filter(|_| !connect).map(str::to_owned),
                    host: host.to_owned(),
                    headers: headers
                        .into_iter()
                        .map(|(name, line)| (name.to_owned(), line))
                        .collect(),
                    claims,
                    metadata: Map::from_iter([("envoy.filters.f".to_owned(), Value::Object(keys))]),
                }
            },
        )
}

pub(crate) fn view() -> impl Strategy<Value = View> {
    prop_oneof![3 => Just(View::Request), 1 => Just(View::Connection), 1 => Just(View::Ztunnel)]
}

pub(crate) fn question() -> impl Strategy<Value = Question> {
    (mesh(), policies(8), target(), view(), conn(), req()).prop_map(
        |(mesh, policies, target, view, conn, req)| Question {
            mesh,
            policies,
            target,
            view,
            conn,
            req,
        },
    )
}

/// Questions that all have the same answer would show nothing.
#[test]
fn random_questions_have_every_answer() {
    use crate::evaluator::{Verdict, decide};

    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut counts = [0_usize; 7];
    for _ in 0..2000 {
        let Question {
            mesh,
            policies,
            target,
            view,
            conn,
            req,
        } = question().new_tree(&mut runner).unwrap().current();
        let req = matches!(view, View::Request).then_some(req);
        let decision = decide(&mesh, &policies, &target, view, &conn, req.as_ref());
        let answer = match decision.verdict {
            Verdict::Allow(None) => 0,
            Verdict::Allow(Some(_)) => 1,
            Verdict::Deny(None) => 2,
            Verdict::Deny(Some(_)) => 3,
            Verdict::Undecided => 4,
        };
        counts[answer] += 1;
        counts[5] += usize::from(decision.audit.is_some());
        counts[6] += usize::from(!decision.providers.is_empty());
    }
    println!(
        "allowed without and by ALLOW, denied without ALLOW and by DENY, undecided, noted, asked: {counts:?}"
    );
    assert!(counts.iter().all(|count| *count >= 40), "{counts:?}");
}
