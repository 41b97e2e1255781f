//! Maps in which a key that is there twice is an error, also in formats that would take the last.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};

use super::meta::Labels;

/// A map that names each key once.
struct Unique<K, V>(BTreeMap<K, V>);

struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for Entries<K, V>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    type Value = Unique<K, V>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some(key) = map.next_key::<K>()? {
            if all.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{key} is there twice")));
            }
            all.insert(key, map.next_value()?);
        }
        Ok(Unique(all))
    }
}

impl<'de, K, V> Deserialize<'de> for Unique<K, V>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// A port as a key: a number, or a text in decimal.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Port(u32);

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.0)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortKey)
    }
}

struct PortKey;

impl Visitor<'_> for PortKey {
    type Value = Port;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port, 1 to 65535")
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Port, E> {
        let unexpected = |_| E::invalid_value(Unexpected::Unsigned(number), &self);
        u32::try_from(number).map(Port).map_err(unexpected)
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Port, E> {
        let unexpected = |_| E::invalid_value(Unexpected::Signed(number), &self);
        u32::try_from(number).map(Port).map_err(unexpected)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Port, E> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number
            .map(Port)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Labels; `null` for none.
pub(super) fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    let read = Option::<Unique<String, String>>::deserialize(deserializer)?;
    Ok(read.map(|Unique(all)| all).unwrap_or_default())
}

/// Values by port, in formats whose keys are texts and in others; `null` for none.
pub(super) fn by_port<'de, D, V>(deserializer: D) -> Result<Option<BTreeMap<u32, V>>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    let read = Option::<Unique<Port, V>>::deserialize(deserializer)?;
    let plain = |Unique(all): Unique<Port, V>| {
        all.into_iter()
            .map(|(Port(port), value)| (port, value))
            .collect()
    };
    Ok(read.map(plain))
}
