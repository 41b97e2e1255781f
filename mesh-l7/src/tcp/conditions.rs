//! What a rule for connections may ask of their two ends.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use mesh_core::name::Name;

use crate::labels::has_labels;

/// What is known of a connection when its rule is chosen. What is not known meets no condition.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TcpHead<'a> {
    /// The server name of TLS.
    pub server_name: Option<&'a str>,
    /// Where the client is.
    pub source: Option<IpAddr>,
    /// Where the client connected to.
    pub destination: Option<IpAddr>,
    /// Namespace of the client, as its certificate says.
    pub source_namespace: Option<&'a str>,
    /// Labels of the client's workload.
    pub source_labels: Option<&'a BTreeMap<String, String>>,
}

/// Conditions on the two ends of a connection, of which all must hold. The default holds always.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct TcpConditions {
    /// Where the client is, in one of these; anywhere when there is none.
    pub sources: Vec<IpNet>,
    /// Where it connected to, in one of these; anywhere when there is none.
    pub destinations: Vec<IpNet>,
    /// Its namespace.
    pub source_namespace: Option<Name>,
    /// Labels that its workload has.
    pub source_labels: BTreeMap<String, String>,
}

impl<'a> TcpHead<'a> {
    /// A connection of which no more is known than its server name, if it has one.
    #[must_use]
    pub fn of_server_name(server_name: Option<&'a str>) -> Self {
        Self {
            server_name,
            ..Self::default()
        }
    }
}

impl TcpConditions {
    /// Whether a connection meets all of them.
    ///
    /// ```
    /// use mesh_l7::tcp::{TcpConditions, TcpHead};
    /// let conditions = TcpConditions { sources: vec!["10.1.0.0/16".parse()?], ..TcpConditions::default() };
    /// let mut head = TcpHead::default();
    /// assert!(!conditions.hold(&head), "it is not known where the client is");
    /// head.source = Some([10, 1, 2, 3].into());
    /// assert!(conditions.hold(&head));
    /// # Ok::<(), ipnet::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn hold(&self, head: &TcpHead<'_>) -> bool {
        let within = |networks: &[IpNet], address: Option<IpAddr>| {
            let address = address.map(|address| address.to_canonical());
            let holds = |network: &IpNet| address.is_some_and(|it| network.contains(&it));
            networks.is_empty() || networks.iter().any(holds)
        };
        within(&self.sources, head.source)
            && within(&self.destinations, head.destination)
            && self
                .source_namespace
                .as_ref()
                .is_none_or(|name| head.source_namespace == Some(name.as_str()))
            && has_labels(head.source_labels, &self.source_labels)
    }
}
