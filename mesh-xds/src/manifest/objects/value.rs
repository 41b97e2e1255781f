//! Values that several kinds share.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::manifest::document::Labels;

/// A port, 1 to 65535.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PortNumber(u16);

impl PortNumber {
    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl<'de> Deserialize<'de> for PortNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = PortNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port from 1 to 65535")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<PortNumber, E> {
                port(number)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<PortNumber, E> {
                port(number)
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

fn port<N: TryInto<u16> + fmt::Display + Copy, E: Error>(number: N) -> Result<PortNumber, E> {
    let port = number.try_into().ok().filter(|port| *port != 0);
    port.map(PortNumber)
        .ok_or_else(|| E::custom(format!("expected a port from 1 to 65535, got {number}")))
}

/// The port of the endpoints that a service's port leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a number or a name, as in Kubernetes"
)]
pub enum TargetPort {
    /// The same for all endpoints.
    Number(PortNumber),
    /// The port that has this name in each endpoint's container.
    Name(String),
}

impl<'de> Deserialize<'de> for TargetPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = TargetPort;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port from 1 to 65535, or the name of one")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<TargetPort, E> {
                port(number).map(TargetPort::Number)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<TargetPort, E> {
                port(number).map(TargetPort::Number)
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<TargetPort, E> {
                Ok(TargetPort::Name(name.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A choice of objects by their labels; the empty one takes all.
///
/// Source: Kubernetes API, `LabelSelector` v1.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Selector {
    /// Labels that must be there with these values.
    pub match_labels: Labels,
    /// Further requirements, all of which must hold.
    pub match_expressions: Vec<Requirement>,
}

/// A requirement about one label. An operator that is not known matches nothing.
///
/// Source: Kubernetes API, `LabelSelectorRequirement` v1.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// What `In` and `NotIn` compare with.
    pub values: Vec<String>,
}

impl Selector {
    /// Whether these labels are chosen.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        includes(labels, &self.match_labels)
            && self.match_expressions.iter().all(|one| one.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => !value.is_some_and(|value| self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}

/// Whether labels have all these, with these values.
pub(in crate::manifest) fn includes(labels: &Labels, wanted: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(name, value)| labels.get(name) == Some(value))
}
