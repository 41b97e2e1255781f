//! Where connections of bytes go, by what is known of them before they are connected.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_core::name::Name;

use super::conditions::{TcpConditions, TcpHead};
use crate::route::{Backends, HostMatch, Origin};
use crate::target::ServiceTarget;

/// A rule for connections, and where those go that meet it.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct TcpRule {
    /// Its name in logs.
    pub name: Name,
    /// Where it comes from.
    pub origin: Origin,
    /// Server names of TLS, of which one must match. Empty for every connection, of TLS or not.
    pub server_names: Vec<HostMatch>,
    /// What else must hold.
    pub conditions: TcpConditions,
    /// Where connections go. Header edits of a backend mean nothing.
    pub backends: Backends,
}

/// The rules for connections to one port, in their order: the first one that matches counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpRules(Box<[TcpRule]>);

/// Rules by the port of a service that clients connect to. A port without rules leads to the service.
#[derive(Clone, Debug, Default)]
pub struct TcpRouteTable(HashMap<ServiceTarget, Arc<TcpRules>>);

impl TcpRules {
    /// Rules in their order.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = TcpRule>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// All of them.
    #[must_use]
    pub fn rules(&self) -> &[TcpRule] {
        &self.0
    }

    /// Whether the server name must be known before one can be chosen.
    #[must_use]
    pub fn want_server_name(&self) -> bool {
        self.0.iter().any(|rule| !rule.server_names.is_empty())
    }

    /// The rule for a connection; `None` when it meets none, and is to be closed.
    ///
    /// ```
    /// use mesh_l7::route::{Backends, HostMatch, Origin};
    /// use mesh_l7::tcp::{TcpConditions, TcpHead, TcpRule, TcpRules};
    ///
    /// let rule = |host: &str| TcpRule {
    ///     name: host.into(),
    ///     origin: Origin { kind: "TLSRoute", namespace: "shop".into(), name: host.into(), rule: 0 },
    ///     server_names: vec![HostMatch::parse(host).expect("it is a host")],
    ///     conditions: TcpConditions::default(),
    ///     backends: Backends::default(),
    /// };
    /// let rules = TcpRules::new([rule("db.example.com"), rule("*.example.com")]);
    /// let name_of = |server_name| Some(&*rules.select(&TcpHead::of_server_name(server_name))?.name);
    /// assert_eq!(name_of(Some("DB.example.com")), Some("db.example.com"));
    /// assert_eq!(name_of(Some("a.example.com")), Some("*.example.com"));
    /// assert_eq!((name_of(Some("example.com")), name_of(None)), (None, None));
    /// ```
    #[must_use]
    pub fn select(&self, head: &TcpHead<'_>) -> Option<&TcpRule> {
        let name = head.server_name.map(str::to_ascii_lowercase);
        self.0.iter().find(|rule| {
            let mut names = rule.server_names.iter();
            let named = rule.server_names.is_empty()
                || name
                    .as_deref()
                    .is_some_and(|name| names.any(|host| host.matches(name)));
            named && rule.conditions.hold(head)
        })
    }
}

impl TcpRouteTable {
    /// Sets the rules of a port.
    pub fn insert(&mut self, target: &ServiceTarget, rules: TcpRules) {
        self.0.insert(target.clone(), Arc::new(rules));
    }

    /// The rules of a port.
    #[must_use]
    pub fn of(&self, target: &ServiceTarget) -> Option<&Arc<TcpRules>> {
        self.0.get(target)
    }

    /// How many ports have rules.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no port has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
