//! What is asked: a connection or a request, as far as it is known.

use std::net::{IpAddr, SocketAddr};

use mesh_core::identity::SpiffeId;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A connection to a workload or a service, or a request on one. What is absent is not known;
/// without an identity there is none, and without headers there are none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// `namespace/pod`
    pub(crate) workload: Option<String>,
    /// `namespace/name`
    pub(crate) service: Option<String>,
    pub(crate) layer: Option<Layer>,
    #[serde(default)]
    pub(crate) source: Source,
    #[serde(default)]
    pub(crate) destination: Destination,
    pub(crate) request: Option<Asked>,
    pub(crate) claims: Option<Map<String, Value>>,
}

/// Who decides.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layer {
    /// The node proxy, which sees connections.
    L4,
    /// A sidecar or an in-process proxy, or a waypoint, which see requests.
    L7,
}

/// Where a connection comes from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Source {
    #[serde(default, deserialize_with = "identity")]
    pub(crate) identity: Option<SpiffeId>,
    #[serde(default, deserialize_with = "source_address")]
    pub(crate) address: Option<IpAddr>,
    pub(crate) remote_ip: Option<IpAddr>,
}

/// Where a connection goes to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Destination {
    #[serde(default, deserialize_with = "destination_address")]
    pub(crate) address: Option<SocketAddr>,
    pub(crate) sni: Option<String>,
}

/// A request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) method: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
}

impl Question {
    /// Reads one from JSON.
    ///
    /// # Errors
    /// What is wrong, with the field.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        // The path to a mistake is only looked for when there is one.
        serde_json::from_slice(text).map_err(|_| {
            let mut json = serde_json::Deserializer::from_slice(text);
            let result = serde_path_to_error::deserialize::<_, Self>(&mut json);
            let trailing = "expected one JSON object".to_owned();
            result.err().map_or(trailing, |error| explain(&error))
        })
    }

    /// Reads one from a JSON value.
    ///
    /// # Errors
    /// What is wrong, with the field.
    pub(crate) fn of(value: &Value) -> Result<Self, String> {
        serde_path_to_error::deserialize(value).map_err(|error| explain(&error))
    }

    /// The layer that is asked.
    pub(crate) fn layer(&self) -> Layer {
        let implied = match (&self.service, &self.request) {
            (None, None) => Layer::L4,
            _ => Layer::L7,
        };
        self.layer.unwrap_or(implied)
    }
}

fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    match path.as_str() {
        "." => error.inner().to_string(),
        path => format!("{path}: {}", error.inner()),
    }
}

fn identity<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SpiffeId>, D::Error> {
    parsed(from, |text| {
        let id = text.parse();
        id.map_err(|error| format!("expected a SPIFFE ID, got {text:?}: {error}"))
    })
}

fn source_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<IpAddr>, D::Error> {
    parsed(from, |text| {
        let with_port = text.parse::<SocketAddr>().map(|address| address.ip());
        let address = with_port.or_else(|_| text.parse());
        address.map_err(|_| format!("expected IP:PORT or IP, got {text:?}"))
    })
}

fn destination_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    parsed(from, |text| {
        let address = text.parse();
        address.map_err(|_| format!("expected IP:PORT, got {text:?}"))
    })
}

fn parsed<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let value = text.map(|text| parse(&text).map_err(serde::de::Error::custom));
    value.transpose()
}
