//! Cases as they are written in `tables/*.yaml`, and what a case asks.
//!
//! | key of a case | |
//! |---|---|
//! | `row` | the row of the specification's table that it is for |
//! | `name` | what it shows |
//! | `from`, `to` | the fields of one source, of one operation; or a list of them |
//! | `when` | the conditions |
//! | `fits` | whether this rule matches: asked once as ALLOW and once as DENY; `{compat: .., strict allow: .., strict deny: ..}` where they differ |
//! | `policies` | instead of one rule: policies, whose `name` and `namespace` (`app`) may be left out, the rest is `spec` |
//! | `expect` | `allow`, `deny`, `undecided` or `rejected`, or `{compat: .., strict: ..}` |
//! | `reason` | the rule that is named, `namespace/name/number`, or one for each profile |
//! | `audit`, `providers`, `dry_run_deny`, `dry_run_allow` | what a decision says besides |
//! | `differs` | why the product is known to say something else |
//! | `at` | a part of the message of what is rejected |
//! | `view` | where it is decided: `request` (default), `connection`, `tcp`, `ztunnel` |
//! | `mesh`, `target`, `with` | what differs from the usual mesh, workload, connection and request |

use serde_json::{Map, Value, json};

use crate::evaluator::{Conn, Mesh, PROFILES, Profile, Req, RuleName, Target, Verdict, View};

/// One decision that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) mesh: Mesh,
    pub(crate) policies: Vec<Value>,
    pub(crate) target: Target,
    pub(crate) view: View,
    pub(crate) conn: Conn,
    pub(crate) req: Req,
}

/// What a table says that the answer is; what is `None` it does not say.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) verdict: Word,
    pub(crate) reason: Option<RuleName>,
    pub(crate) audit: Option<bool>,
    pub(crate) providers: Option<Vec<String>>,
    pub(crate) dry_run_deny: Option<bool>,
    pub(crate) dry_run_allow: Option<bool>,
    pub(crate) at: Option<String>,
}

impl Expected {
    /// This verdict, whatever else is said.
    pub(crate) fn of(verdict: Word) -> Self {
        Self {
            verdict,
            reason: None,
            audit: None,
            providers: None,
            dry_run_deny: None,
            dry_run_allow: None,
            at: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Allow,
    Deny,
    Undecided,
    Rejected,
}

impl Word {
    pub(crate) fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Allow(_) => Self::Allow,
            Verdict::Deny(_) => Self::Deny,
            Verdict::Undecided => Self::Undecided,
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "allow" => Self::Allow,
            "deny" => Self::Deny,
            "undecided" => Self::Undecided,
            "rejected" => Self::Rejected,
            other => panic!("no verdict: {other}"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// How many rows the specification has.
    pub(crate) rows: usize,
    pub(crate) cases: Vec<Case>,
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) row: String,
    pub(crate) name: String,
    /// Why the product is known to say something else.
    pub(crate) differs: Option<String>,
    /// Each with a word for the profile and the action that it is asked for.
    pub(crate) asked: Vec<(String, Question, Expected)>,
}

const KEYS: [&str; 19] = [
    "row",
    "name",
    "differs",
    "from",
    "to",
    "when",
    "fits",
    "policies",
    "expect",
    "reason",
    "audit",
    "providers",
    "dry_run_deny",
    "dry_run_allow",
    "at",
    "view",
    "mesh",
    "target",
    "with",
];

impl Table {
    pub(crate) fn read(text: &str) -> Self {
        let value: Value = serde_saphyr::from_str(text).expect("a table is YAML");
        let cases = value["cases"]
            .as_array()
            .expect("cases")
            .iter()
            .map(Case::read)
            .collect();
        Self {
            title: value["table"].as_str().expect("table").to_owned(),
            rows: usize::try_from(value["rows"].as_u64().expect("rows")).unwrap(),
            cases,
        }
    }

    /// The rows that have a case.
    pub(crate) fn covered(&self) -> usize {
        let rows: std::collections::BTreeSet<&str> =
            self.cases.iter().map(|case| case.row.as_str()).collect();
        rows.len()
    }
}

impl Case {
    fn read(case: &Value) -> Self {
        let text = |key: &str| case[key].as_str().map(str::to_owned);
        let name = text("name").unwrap_or_else(|| panic!("a case without a name: {case}"));
        for key in case.as_object().unwrap().keys() {
            assert!(KEYS.contains(&key.as_str()), "{name}: no key {key}");
        }
        let mut asked = Vec::new();
        for profile in PROFILES {
            if case["policies"].is_array() {
                let verdict = expectation(&case["expect"], profile);
                asked.push((
                    format!("{profile:?}"),
                    question(case, profile, policies(case)),
                    expected(case, profile, verdict),
                ));
            } else {
                for action in ["ALLOW", "DENY"] {
                    let fits = fits(&case["fits"], profile, action, &name);
                    let verdict = if fits == (action == "ALLOW") {
                        Word::Allow
                    } else {
                        Word::Deny
                    };
                    let policy = policy(
                        &json!({"name": "p", "action": action, "rules": [rule(case)]}),
                        0,
                    );
                    let word = format!("{profile:?} {action}");
                    asked.push((
                        word,
                        question(case, profile, vec![policy]),
                        expected(case, profile, verdict),
                    ));
                }
            }
        }
        Self {
            row: text("row").unwrap_or_else(|| panic!("{name}: no row")),
            name,
            differs: text("differs"),
            asked,
        }
    }
}

fn fits(value: &Value, profile: Profile, action: &str, name: &str) -> bool {
    let of = match (profile, action) {
        _ if value.is_boolean() => value,
        (Profile::Compat, _) => &value["compat"],
        (Profile::Strict, "ALLOW") => &value["strict allow"],
        (Profile::Strict, _) => &value["strict deny"],
    };
    of.as_bool()
        .unwrap_or_else(|| panic!("{name}: whether it fits"))
}

fn expectation(value: &Value, profile: Profile) -> Word {
    let of = match profile {
        _ if value.is_string() => value,
        Profile::Compat => &value["compat"],
        Profile::Strict => &value["strict"],
    };
    Word::parse(of.as_str().expect("expect"))
}

fn expected(case: &Value, profile: Profile, verdict: Word) -> Expected {
    let reason = match (&case["reason"], profile) {
        (Value::Object(by_profile), Profile::Compat) => &by_profile["compat"],
        (Value::Object(by_profile), Profile::Strict) => &by_profile["strict"],
        (reason, _) => reason,
    };
    let reason = reason.as_str().map(|text| {
        let parts: Vec<&str> = text.split('/').collect();
        (
            parts[0].to_owned(),
            parts[1].to_owned(),
            parts[2].parse().unwrap(),
        )
    });
    let providers = case["providers"].as_array().map(|names| {
        let names = names.iter().map(|name| name.as_str().unwrap().to_owned());
        names.collect()
    });
    Expected {
        verdict,
        reason,
        audit: case["audit"].as_bool(),
        providers,
        dry_run_deny: case["dry_run_deny"].as_bool(),
        dry_run_allow: case["dry_run_allow"].as_bool(),
        at: case["at"].as_str().map(str::to_owned),
    }
}

fn rule(case: &Value) -> Value {
    let wrapped = |key: &str, inner: &str| {
        let entries = match &case[key] {
            Value::Array(entries) => entries.clone(),
            one => vec![one.clone()],
        };
        entries
            .into_iter()
            .map(|entry| json!({inner: entry}))
            .collect::<Vec<_>>()
    };
    let mut rule = Map::new();
    if !case["from"].is_null() {
        rule.insert("from".into(), wrapped("from", "source").into());
    }
    if !case["to"].is_null() {
        rule.insert("to".into(), wrapped("to", "operation").into());
    }
    if !case["when"].is_null() {
        rule.insert("when".into(), case["when"].clone());
    }
    Value::Object(rule)
}

fn policies(case: &Value) -> Vec<Value> {
    let written = case["policies"].as_array().unwrap();
    written
        .iter()
        .enumerate()
        .map(|(number, one)| policy(one, number))
        .collect()
}

/// A whole object of what a table writes.
pub(crate) fn policy(written: &Value, number: usize) -> Value {
    let mut spec = written.as_object().unwrap().clone();
    let name = spec
        .remove("name")
        .unwrap_or_else(|| format!("p{number}").into());
    let namespace = spec.remove("namespace").unwrap_or_else(|| "app".into());
    let mut metadata = Map::from_iter([
        ("name".to_owned(), name),
        ("namespace".to_owned(), namespace),
    ]);
    if let Some(dry_run) = spec.remove("dry-run") {
        metadata.insert("annotations".into(), json!({"istio.io/dry-run": dry_run}));
    }
    json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": metadata,
        "spec": spec,
    })
}

fn question(case: &Value, profile: Profile, policies: Vec<Value>) -> Question {
    let mut mesh = Mesh::new(profile);
    if let Some(domains) = case["mesh"]["trust_domains"].as_array() {
        mesh.trust_domains = domains
            .iter()
            .map(|domain| domain.as_str().unwrap().to_owned())
            .collect();
    }
    if let Some(root) = case["mesh"]["root"].as_str() {
        mesh.root_namespace = root.to_owned();
    }
    let view = match case["view"].as_str() {
        None | Some("request") => View::Request,
        Some("connection") => View::Connection,
        Some("tcp") => View::TcpChain,
        Some("ztunnel") => View::Ztunnel,
        Some(other) => panic!("no view: {other}"),
    };
    let mut question = Question {
        policies,
        target: target(&case["target"]),
        mesh,
        view,
        conn: usual_conn(),
        req: usual_req(),
    };
    for (key, value) in case["with"].as_object().into_iter().flatten() {
        change(&mut question, key, value);
    }
    question
}

/// A pod `app: web` in namespace `app`, or what the case says.
fn target(written: &Value) -> Target {
    let mut target = Target {
        namespace: written["namespace"].as_str().unwrap_or("app").to_owned(),
        labels: vec![("app".to_owned(), "web".to_owned())],
        waypoint: written["waypoint"].as_bool().unwrap_or(false),
        services: Vec::new(),
    };
    if let Some(labels) = written["labels"].as_object() {
        let labels = labels
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()));
        target.labels = labels.collect();
    }
    for service in written["services"].as_array().into_iter().flatten() {
        let parts: Vec<&str> = service.as_str().unwrap().split('/').collect();
        target.services.push((
            parts[0].to_owned(),
            parts[1].to_owned(),
            parts[2].to_owned(),
        ));
    }
    target
}

/// A pod `app: web` in namespace `app`.
pub(crate) fn usual_target() -> Target {
    target(&Value::Null)
}

pub(crate) fn usual_conn() -> Conn {
    Conn {
        source: "10.0.0.1".parse().unwrap(),
        destination: "10.9.9.9:8080".parse().unwrap(),
        remote: None,
        identity: Some("cluster.local/ns/shop/sa/cart".to_owned()),
        sni: None,
    }
}

pub(crate) fn usual_req() -> Req {
    Req {
        method: "GET".to_owned(),
        path: Some("/".to_owned()),
        query: None,
        host: "web.app".to_owned(),
        headers: Vec::new(),
        claims: None,
        metadata: Map::new(),
    }
}

fn change(question: &mut Question, key: &str, value: &Value) {
    let Question { conn, req, .. } = question;
    let text = || {
        value
            .as_str()
            .unwrap_or_else(|| panic!("{key} is a text"))
            .to_owned()
    };
    match key {
        "identity" => conn.identity = value.as_str().map(str::to_owned),
        "source" => conn.source = text().parse().unwrap(),
        "destination" => conn.destination = text().parse().unwrap(),
        "remote" => conn.remote = Some(text().parse().unwrap()),
        "sni" => conn.sni = Some(text()),
        "method" => req.method = text(),
        "path" => req.path = value.as_str().map(str::to_owned),
        "query" => req.query = Some(text()),
        "host" => req.host = text(),
        "headers" => {
            let lines = value.as_array().unwrap().iter().map(|line| {
                let value = line[1].as_str().unwrap();
                // Bytes up to 0xff are written as characters up to U+00FF.
                let bytes = value.chars().map(|c| u8::try_from(u32::from(c)).unwrap());
                (line[0].as_str().unwrap().to_owned(), bytes.collect())
            });
            req.headers = lines.collect();
        }
        "claims" => req.claims = Some(value.as_object().unwrap().clone()),
        "metadata" => req.metadata = value.as_object().unwrap().clone(),
        other => panic!("nothing is called {other}"),
    }
}
