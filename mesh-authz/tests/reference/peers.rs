//! PeerAuthentication from the specification (section 2.2): which ports take connections without
//! mutual TLS, read straight from the documents.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::evaluator::{Mesh, Target};

/// What holds for one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) mode: String,
    pub(crate) ports: BTreeMap<u16, String>,
}

impl Modes {
    pub(crate) fn accepts_plaintext(&self, port: u16) -> bool {
        self.ports.get(&port).unwrap_or(&self.mode) != "STRICT"
    }
}

pub(crate) fn compose(mesh: &Mesh, objects: &[Value], target: &Target) -> Modes {
    let namespace_of = |object: &Value| text(&object["metadata"]["namespace"]);
    let oldest = |fits: &dyn Fn(&Value) -> bool| {
        let mut found: Vec<&Value> = objects.iter().filter(|object| fits(object)).collect();
        found.sort_by_key(|object| {
            let metadata = &object["metadata"];
            (
                text(&metadata["creationTimestamp"]),
                text(&metadata["namespace"]),
                text(&metadata["name"]),
            )
        });
        found.first().copied()
    };
    let root = mesh.root_namespace.as_str();
    let of_mesh = oldest(&|object| namespace_of(object) == root && labels(object).is_empty());
    let of_namespace = oldest(&|object| {
        namespace_of(object) == target.namespace
            && target.namespace != root
            && labels(object).is_empty()
    });
    let own = oldest(&|object| {
        let labels = labels(object);
        namespace_of(object) == target.namespace
            && target.namespace != root
            && !labels.is_empty()
            && labels.iter().all(|label| target.labels.contains(label))
    });
    let mut mode = "PERMISSIVE".to_owned();
    for object in [of_mesh, of_namespace, own].into_iter().flatten() {
        mode = or(&object["spec"]["mtls"], &mode);
    }
    let mut ports = BTreeMap::new();
    let of_ports = own.and_then(|own| own["spec"]["portLevelMtls"].as_object());
    for (port, mtls) in of_ports.into_iter().flatten() {
        ports.insert(port.parse().unwrap(), or(mtls, &mode));
    }
    Modes { mode, ports }
}

/// What this says, or what holds without it.
fn or(mtls: &Value, wider: &str) -> String {
    match mtls["mode"].as_str() {
        None | Some("UNSET") => wider.to_owned(),
        Some(mode) => mode.to_owned(),
    }
}

fn labels(object: &Value) -> Vec<(String, String)> {
    let labels = object["spec"]["selector"]["matchLabels"].as_object();
    let pairs = labels.into_iter().flatten();
    pairs
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A case of `tables/peers.yaml`.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) row: String,
    pub(crate) name: String,
    pub(crate) objects: Vec<Value>,
    pub(crate) target: Target,
    pub(crate) plaintext: Vec<(u16, bool)>,
    /// `nothing`, `static` or `own`.
    pub(crate) converted: String,
    /// The field for which the object is rejected.
    pub(crate) rejected: Option<String>,
}

/// The cases, and the number of rows that the specification has.
pub(crate) fn table() -> (usize, Vec<Case>) {
    let value: Value = serde_saphyr::from_str(include_str!("tables/peers.yaml")).unwrap();
    let cases = value["cases"].as_array().unwrap().iter().map(|case| Case {
        row: text(&case["row"]),
        name: text(&case["name"]),
        objects: case["peers"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(object)
            .collect(),
        target: Target {
            namespace: case["target"]["namespace"]
                .as_str()
                .unwrap_or("app")
                .to_owned(),
            labels: vec![("app".to_owned(), "web".to_owned())],
            ..Target::default()
        },
        plaintext: case["plaintext"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(port, taken)| (port.parse().unwrap(), taken.as_bool().unwrap()))
            .collect(),
        converted: text(&case["converted"]),
        rejected: case["rejected"].as_str().map(str::to_owned),
    });
    (
        usize::try_from(value["rows"].as_u64().unwrap()).unwrap(),
        cases.collect(),
    )
}

fn object((number, written): (usize, &Value)) -> Value {
    let name = written["name"]
        .as_str()
        .map_or_else(|| format!("p{number}"), str::to_owned);
    let namespace = written["namespace"].as_str().unwrap_or("app");
    let mut metadata = serde_json::json!({"name": name, "namespace": namespace});
    if !written["created"].is_null() {
        metadata["creationTimestamp"] = written["created"].clone();
    }
    serde_json::json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": metadata,
        "spec": written["spec"],
    })
}

mod tests {
    use super::{compose, table};
    use crate::evaluator::{Mesh, Profile};
    use crate::product;

    #[test]
    fn every_row_holds_for_the_plain_evaluator() {
        let (rows, cases) = table();
        let covered: std::collections::BTreeSet<_> = cases.iter().map(|case| &case.row).collect();
        println!(
            "2 PeerAuthentication: {} rows, the specification has {rows}; {} cases",
            covered.len(),
            cases.len()
        );
        assert_eq!(covered.len(), rows);
        let mesh = Mesh::new(Profile::Strict);
        for case in cases.iter().filter(|case| case.rejected.is_none()) {
            let modes = compose(&mesh, &case.objects, &case.target);
            assert!(!case.plaintext.is_empty(), "{}", case.name);
            for (port, taken) in &case.plaintext {
                assert_eq!(
                    modes.accepts_plaintext(*port),
                    *taken,
                    "{}: {port}",
                    case.name
                );
            }
            let strict = |port: u16| !modes.accepts_plaintext(port);
            let exceptions = modes
                .ports
                .keys()
                .any(|port| strict(*port) != (modes.mode == "STRICT"));
            let converted = match (modes.mode.as_str(), exceptions) {
                (_, true) => "own",
                ("STRICT", false) => "static",
                (_, false) => "nothing",
            };
            assert_eq!(converted, case.converted, "{}", case.name);
        }
    }

    #[test]
    fn every_row_holds_for_the_product() {
        let mesh = Mesh::new(Profile::Strict);
        for case in table().1 {
            for shape in product::SHAPES {
                let converted = product::peers(&mesh, &case.objects, &case.target, shape);
                let converted = match (converted, &case.rejected) {
                    (Err(why), Some(field)) => {
                        assert!(why.contains(field.as_str()), "{}: {why}", case.name);
                        continue;
                    }
                    (Ok(converted), None) => converted,
                    (answer, _) => panic!(
                        "{}: {:?}",
                        case.name,
                        answer.map(|converted| converted.kind)
                    ),
                };
                assert_eq!(converted.kind, case.converted, "{}", case.name);
                for (port, taken) in &case.plaintext {
                    assert_eq!(
                        converted.accepts(*port, false),
                        *taken,
                        "{}: {port}",
                        case.name
                    );
                    assert!(converted.accepts(*port, true), "{}: {port}", case.name);
                }
            }
        }
    }
}
