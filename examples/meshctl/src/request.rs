//! A request as a proxy has it once it has been read: normalised, or refused as malformed.

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_core::target::{Host, RequestForm, Target};

use crate::configuration::Configuration;
use crate::question::Asked;

/// A request, as far as it is known.
#[derive(Clone, Debug)]
pub(crate) struct HttpRequest {
    pub(crate) method: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) target: Option<Target<'static>>,
    pub(crate) headers: HeaderMap,
    /// Whether the path is not known, and not only absent.
    pub(crate) path_unknown: bool,
}

/// Why a proxy answers a request before it asks any policy.
#[derive(Clone, Debug)]
pub(crate) struct Malformed {
    pub(crate) status: u16,
    pub(crate) reason: String,
}

/// A request, or that it is malformed.
pub(crate) type Read = Result<HttpRequest, Malformed>;

impl HttpRequest {
    /// Reads what is asked as a proxy would.
    ///
    /// # Errors
    /// What in the question cannot be a request at all.
    pub(crate) fn read(asked: &Asked, configuration: &Configuration) -> Result<Read, String> {
        let mut request = Self {
            method: asked.method.clone(),
            host: asked.host.clone(),
            target: None,
            headers: HeaderMap::with_capacity(asked.headers.len()),
            path_unknown: false,
        };
        let mut hosts = Vec::new();
        for (at, (name, value)) in asked.headers.iter().enumerate() {
            let header = HeaderName::from_bytes(name.as_bytes());
            let header =
                header.map_err(|_| format!("request.headers[{at}]: {name:?} is no header name"))?;
            let Ok(line) = HeaderValue::from_bytes(value.as_bytes()) else {
                let reason = format!("the header {header} has a control character");
                return Ok(Err(Malformed::bad(reason)));
            };
            if header == http::header::HOST {
                hosts.push(value.as_str());
            }
            request.headers.append(header, line);
        }
        if configuration.is_strict() && hosts.len() > 1 {
            return Ok(Err(Malformed::bad("there is more than one Host header")));
        }
        if request.host.is_none() && !hosts.is_empty() {
            request.host = Some(hosts.join(","));
        }
        Ok(request.with_path(asked.path.as_deref(), configuration))
    }

    fn with_path(mut self, path: Option<&str>, configuration: &Configuration) -> Read {
        let method = self.method.as_deref().unwrap_or_default();
        let is_connect = method == "CONNECT";
        let Some(path) = path.filter(|path| !(is_connect && path.is_empty())) else {
            self.path_unknown = !is_connect;
            return self.with_host(configuration);
        };
        let form = RequestForm::parse(method, path.as_bytes())?;
        if let RequestForm::Absolute { authority, .. } | RequestForm::Authority(authority) = form {
            // What the request line says overrides the header.
            self.host = Some(authority.to_owned());
        }
        self.target = form.target(configuration.paths)?.map(Target::into_owned);
        self.with_host(configuration)
    }

    /// Refuses a host that is none; Istio compares it as it is.
    fn with_host(self, configuration: &Configuration) -> Read {
        if configuration.is_strict()
            && let Some(host) = self.host.as_deref().filter(|host| !host.is_empty())
            && let Err(error) = Host::parse(host.as_bytes())
        {
            return Err(Malformed::bad(format!("the host {host:?}: {error}")));
        }
        Ok(self)
    }
}

impl Malformed {
    fn bad(reason: impl Into<String>) -> Self {
        Self {
            status: 400,
            reason: reason.into(),
        }
    }
}

impl From<mesh_core::target::BadTarget> for Malformed {
    fn from(error: mesh_core::target::BadTarget) -> Self {
        Self {
            status: error.status(),
            reason: error.to_string(),
        }
    }
}
