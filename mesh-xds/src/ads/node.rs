//! Who a client is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::wire::discovery::Node;

/// The address of a client that does not know its own. Source: Istio.
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));

/// A piece of metadata: what JSON can say.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the types of JSON")]
pub enum Metadata {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Metadata>),
    /// Named pieces.
    Map(BTreeMap<String, Metadata>),
}

/// Metadata that is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("the metadata {name} is not JSON")]
#[non_exhaustive]
pub struct NodeError {
    /// The name of the metadata.
    pub name: String,
    /// What is wrong with it.
    #[source]
    source: serde_json::Error,
}

/// Who a client is, as Istio's control plane wants to know it.
///
/// ```
/// use mesh_xds::ads::NodeIdentity;
///
/// let node = NodeIdentity::new("ztunnel", "ztunnel-x7v", "istio-system")
///     .address("10.0.0.7".parse().unwrap())
///     .node_name("worker-1")
///     .text("CLUSTER_ID", "Kubernetes")
///     .json("PROXY_CONFIG", r#"{"concurrency": 2}"#)?;
/// assert_eq!(
///     node.id(),
///     "ztunnel~10.0.0.7~ztunnel-x7v.istio-system~istio-system.svc.cluster.local"
/// );
/// # Ok::<(), mesh_xds::ads::NodeError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct NodeIdentity {
    role: String,
    name: String,
    namespace: String,
    address: IpAddr,
    domain: String,
    metadata: BTreeMap<String, Metadata>,
}

impl NodeIdentity {
    /// A client in the role of `ztunnel` or `waypoint`, in a pod with this name and namespace.
    ///
    /// Address and domain are unknown and `cluster.local` until set.
    pub fn new(
        role: impl Into<String>,
        name: impl Into<String>,
        namespace: impl Into<String>,
    ) -> Self {
        let (name, namespace) = (name.into(), namespace.into());
        Self {
            role: role.into(),
            address: NO_ADDRESS,
            domain: "cluster.local".to_owned(),
            metadata: BTreeMap::from([
                ("NAME".to_owned(), Metadata::Text(name.clone())),
                ("NAMESPACE".to_owned(), Metadata::Text(namespace.clone())),
                (
                    "INSTANCE_IPS".to_owned(),
                    Metadata::Text(NO_ADDRESS.to_string()),
                ),
                ("NODE_NAME".to_owned(), Metadata::Text(String::new())),
            ]),
            name,
            namespace,
        }
    }

    /// The address of the pod; also the metadata `INSTANCE_IPS`.
    pub fn address(self, address: IpAddr) -> Self {
        Self { address, ..self }.text("INSTANCE_IPS", address.to_string())
    }

    /// The domain of the cluster; default `cluster.local`.
    pub fn domain(self, domain: impl Into<String>) -> Self {
        let domain = domain.into();
        Self { domain, ..self }
    }

    /// The node that the pod runs on: the metadata `NODE_NAME`.
    pub fn node_name(self, node: impl Into<String>) -> Self {
        self.text("NODE_NAME", node)
    }

    /// Further metadata that is text. Istio wants at least `CLUSTER_ID`, `NETWORK` and
    /// `ISTIO_VERSION`.
    pub fn text(self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.metadata(name, Metadata::Text(text.into()))
    }

    /// Further metadata.
    pub fn metadata(mut self, name: impl Into<String>, value: Metadata) -> Self {
        self.metadata.insert(name.into(), value);
        self
    }

    /// Further metadata, written as JSON.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn json(self, name: impl Into<String>, json: &str) -> Result<Self, NodeError> {
        let name = name.into();
        match serde_json::from_str::<serde_json::Value>(json) {
            Ok(value) => Ok(self.metadata(name, value.into())),
            Err(source) => Err(NodeError { name, source }),
        }
    }

    /// The id: `<role>~<address>~<name>.<namespace>~<namespace>.svc.<domain>`.
    #[must_use]
    pub fn id(&self) -> String {
        let Self {
            role,
            address,
            name,
            namespace,
            domain,
            ..
        } = self;
        format!("{role}~{address}~{name}.{namespace}~{namespace}.svc.{domain}")
    }

    pub(super) fn encode(self) -> Node {
        Node {
            id: self.id(),
            metadata: Some(fields(self.metadata)),
            ..Node::default()
        }
    }
}

impl From<serde_json::Value> for Metadata {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value;
        match json {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            // Numbers of JSON are texts: those beyond the range of a double are infinite in one.
            Value::Number(value) => Self::Number(value.as_f64().unwrap_or(f64::INFINITY)),
            Value::String(text) => Self::Text(text),
            Value::Array(list) => Self::List(list.into_iter().map(Into::into).collect()),
            Value::Object(map) => Self::Map(
                map.into_iter()
                    .map(|(name, value)| (name, value.into()))
                    .collect(),
            ),
        }
    }
}

fn fields(map: BTreeMap<String, Metadata>) -> Struct {
    let fields = map.into_iter().map(|(name, value)| (name, encode(value)));
    Struct {
        fields: fields.collect(),
    }
}

fn encode(metadata: Metadata) -> Value {
    let kind = match metadata {
        Metadata::Null => Kind::NullValue(0),
        Metadata::Bool(value) => Kind::BoolValue(value),
        Metadata::Number(value) => Kind::NumberValue(value),
        Metadata::Text(text) => Kind::StringValue(text),
        Metadata::List(list) => Kind::ListValue(ListValue {
            values: list.into_iter().map(encode).collect(),
        }),
        Metadata::Map(map) => Kind::StructValue(fields(map)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(node: NodeIdentity) -> BTreeMap<String, Kind> {
        let fields = node.encode().metadata.unwrap().fields.into_iter();
        fields
            .map(|(name, value)| (name, value.kind.unwrap()))
            .collect()
    }

    #[test]
    fn a_node_has_what_istio_wants_to_know() {
        let node = NodeIdentity::new("ztunnel", "pod", "ns").domain("example.org");
        assert_eq!(node.id(), "ztunnel~1.1.1.1~pod.ns~ns.svc.example.org");
        let texts: Vec<_> = metadata(node.node_name("worker")).into_iter().collect();
        let text = |text: &str| Kind::StringValue(text.to_owned());
        assert_eq!(
            texts,
            [
                ("INSTANCE_IPS".to_owned(), text("1.1.1.1")),
                ("NAME".to_owned(), text("pod")),
                ("NAMESPACE".to_owned(), text("ns")),
                ("NODE_NAME".to_owned(), text("worker")),
            ]
        );
    }

    #[test]
    fn every_type_of_json_is_metadata() {
        let json = r#"{"null": null, "bool": true, "number": -1.5, "text": "x", "list": [1, "a", []],
                       "map": {"inner": false}}"#;
        let node = NodeIdentity::new("ztunnel", "pod", "ns")
            .json("ALL", json)
            .unwrap();
        let Some(Kind::StructValue(all)) = metadata(node).remove("ALL") else {
            panic!("not a map");
        };
        let kind = |name: &str| all.fields[name].kind.clone().unwrap();
        assert_eq!(kind("null"), Kind::NullValue(0));
        assert_eq!(kind("bool"), Kind::BoolValue(true));
        assert_eq!(kind("number"), Kind::NumberValue(-1.5));
        assert_eq!(kind("text"), Kind::StringValue("x".to_owned()));
        let Kind::ListValue(list) = kind("list") else {
            panic!("not a list");
        };
        assert_eq!(list.values.len(), 3);
        let Kind::StructValue(map) = kind("map") else {
            panic!("not a map");
        };
        assert_eq!(map.fields["inner"].kind, Some(Kind::BoolValue(false)));
    }

    #[test]
    fn metadata_that_is_not_json_is_named() {
        let refused = NodeIdentity::new("ztunnel", "pod", "ns").json("BAD", "{");
        assert_eq!(
            refused.unwrap_err().to_string(),
            "the metadata BAD is not JSON"
        );
    }
}
