//! What the proxy tells the control plane about itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_xds::ads::NodeIdentity;
use serde_json::Value;

use crate::env::{ConfigError, Env};

/// The prefix of variables that become metadata as they are.
const META: &str = "ISTIO_META_";
/// The prefix of variables that become metadata as JSON.
const META_JSON: &str = "ISTIO_METAJSON_";

/// The `node` of discovery requests.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "settings of the processes here")]
pub struct Node {
    /// The pod's name.
    pub name: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The first address of the pod.
    pub address: IpAddr,
    /// The domain of the cluster.
    pub domain: String,
    /// Names, addresses, and what `ISTIO_META_*` and `ISTIO_METAJSON_*` say.
    pub metadata: BTreeMap<String, Value>,
}

impl Node {
    /// `POD_NAME` and `POD_NAMESPACE`, else the name and namespace of the proxy's workload; `INSTANCE_IP`, `NODE_NAME`,
    /// `CLUSTER_DOMAIN`. `proxy_metadata` is what the mesh's configuration says, and the environment does not.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable and what was expected.
    pub fn from_env(
        env: &Env,
        proxy_metadata: &BTreeMap<String, String>,
        (name, namespace): (&str, &str),
    ) -> Result<Self, ConfigError> {
        let ips = env.read("INSTANCE_IP", addresses)?;
        let pod = env.text("POD_NAME").unwrap_or(name);
        let namespace = env.text("POD_NAMESPACE").unwrap_or(namespace);
        let domain = env.text("CLUSTER_DOMAIN").unwrap_or("cluster.local");
        let ip = ips
            .as_ref()
            .and_then(|ips| ips.first().copied())
            .unwrap_or(IpAddr::from([1, 1, 1, 1]));
        let mut metadata = BTreeMap::new();
        for (name, value) in proxy_metadata {
            let name = name.strip_prefix(META).unwrap_or(name);
            metadata.insert(name.to_owned(), value.as_str().into());
        }
        for variable in env.names() {
            let Some(text) = env.text(variable) else {
                continue;
            };
            if let Some(name) = variable.strip_prefix(META) {
                metadata.insert(name.to_owned(), text.into());
            } else if let Some(name) = variable.strip_prefix(META_JSON) {
                let value = env.read(variable, json)?.unwrap_or_default();
                metadata.insert(name.to_owned(), value);
            }
        }
        let all_ips = ips.unwrap_or_default().into_iter();
        let all_ips = all_ips.map(|ip| ip.to_string()).collect::<Vec<_>>();
        for (name, value) in [
            ("NAME", pod),
            ("NAMESPACE", namespace),
            ("INSTANCE_IPS", all_ips.join(",").as_str()),
            ("NODE_NAME", env.text("NODE_NAME").unwrap_or("")),
        ] {
            if !value.is_empty() {
                metadata.insert(name.to_owned(), value.into());
            }
        }
        Ok(Self {
            name: pod.to_owned(),
            namespace: namespace.to_owned(),
            address: ip,
            domain: domain.to_owned(),
            metadata,
        })
    }

    /// The same for the client of the control plane, in the role of `ztunnel` or `waypoint`.
    pub fn identity(&self, role: &str) -> NodeIdentity {
        let identity = NodeIdentity::new(role, &self.name, &self.namespace)
            .address(self.address)
            .domain(&self.domain);
        let metadata = self.metadata.iter();
        metadata.fold(identity, |identity, (name, value)| {
            identity.metadata(name, value.clone().into())
        })
    }
}

fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let one = |text: &str| text.trim().parse();
    let all: Result<Vec<IpAddr>, _> = text.split(',').map(one).collect();
    all.map_err(|_| "an IP address, or several separated by commas".to_owned())
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("JSON ({error})"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(vars: &[(&str, &str)], metadata: &[(&str, &str)]) -> Result<Node, ConfigError> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let metadata = metadata.iter().map(own).collect();
        Node::from_env(&Env::of(vars), &metadata, ("web-1", "ns"))
    }

    #[test]
    fn the_id_has_the_four_parts_of_istio() {
        for (vars, id) in [
            (&[][..], "ztunnel~1.1.1.1~web-1.ns~ns.svc.cluster.local"),
            (
                &[
                    ("POD_NAME", "zt-7"),
                    ("POD_NAMESPACE", "istio-system"),
                    ("INSTANCE_IP", "10.0.0.7,fd00::7"),
                    ("CLUSTER_DOMAIN", "example.org"),
                ][..],
                "ztunnel~10.0.0.7~zt-7.istio-system~istio-system.svc.example.org",
            ),
        ] {
            assert_eq!(node(vars, &[]).unwrap().identity("ztunnel").id(), id);
        }
    }

    #[test]
    fn metadata_comes_from_the_environment_over_the_configuration() {
        let vars = [
            ("INSTANCE_IP", "10.0.0.7, fd00::7"),
            ("NODE_NAME", "node-1"),
            ("ISTIO_META_CLUSTER_ID", "c1"),
            ("ISTIO_METAJSON_LABELS", "{\"app\": [\"a\", 1, true, null]}"),
        ];
        let config = [
            ("ISTIO_META_CLUSTER_ID", "c2"),
            ("ISTIO_META_A", "x"),
            ("B", "y"),
        ];
        let metadata = node(&vars, &config).unwrap().metadata;
        let expected = json!({
            "A": "x",
            "B": "y",
            "CLUSTER_ID": "c1",
            "INSTANCE_IPS": "10.0.0.7,fd00::7",
            "LABELS": {"app": ["a", 1, true, null]},
            "NAME": "web-1",
            "NAMESPACE": "ns",
            "NODE_NAME": "node-1",
        });
        assert_eq!(serde_json::to_value(metadata).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_said_is_refused_by_name() {
        for (name, value, says) in [
            (
                "INSTANCE_IP",
                "here",
                "INSTANCE_IP is `here`, expected an IP",
            ),
            (
                "ISTIO_METAJSON_A",
                "{",
                "ISTIO_METAJSON_A is `{`, expected JSON",
            ),
        ] {
            let error = node(&[(name, value)], &[]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
