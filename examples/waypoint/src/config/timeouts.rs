//! Time limits of clients' connections and requests.

use std::time::Duration;

use mesh_l7::router::RouterSettings;
use mesh_l7::serve::ServerSettings;
use process::env::{ConfigError, Env};

/// Time limits of clients' connections and requests. `None` is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Timeouts {
    /// `MESH_HTTP_HEAD_TIMEOUT`, 60 s: for the head of a request.
    head: Option<Duration>,
    /// `MESH_HTTP_IDLE_TIMEOUT`, 1 h: without a request on a connection.
    idle: Option<Duration>,
    /// `MESH_HTTP_MAX_CONNECTION_DURATION`: for a connection.
    connection: Option<Duration>,
    /// `MESH_HTTP_STREAM_IDLE_TIMEOUT`: without a byte of a request or its response. None, as Istio's waypoints have
    /// it: calls may be silent for long.
    stream_idle: Option<Duration>,
    /// `MESH_HTTP_MAX_STREAM_DURATION`: for a request and its response.
    stream: Option<Duration>,
}

impl Timeouts {
    /// # Errors
    /// [`ConfigError`] names the variable and what was expected.
    pub(super) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let read = |variable, default: Duration| {
            let limit = env.duration(variable, Duration::ZERO)?;
            Ok(Some(limit.unwrap_or(default)).filter(|limit| !limit.is_zero()))
        };
        let defaults = ServerSettings::default();
        Ok(Self {
            head: read("MESH_HTTP_HEAD_TIMEOUT", defaults.head_timeout)?,
            idle: read("MESH_HTTP_IDLE_TIMEOUT", defaults.idle_timeout)?,
            connection: read("MESH_HTTP_MAX_CONNECTION_DURATION", Duration::ZERO)?,
            stream_idle: read("MESH_HTTP_STREAM_IDLE_TIMEOUT", Duration::ZERO)?,
            stream: read("MESH_HTTP_MAX_STREAM_DURATION", Duration::ZERO)?,
        })
    }

    /// The limits of connections.
    pub(crate) fn of_connections(self, settings: &mut ServerSettings) {
        settings.head_timeout = self.head.unwrap_or(Duration::MAX);
        settings.idle_timeout = self.idle.unwrap_or(Duration::MAX);
        settings.max_connection_duration = self.connection;
    }

    /// The limits of requests.
    pub(crate) fn of_requests(self, settings: &mut RouterSettings) {
        settings.stream_idle = self.stream_idle;
        settings.max_stream_duration = self.stream;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_limit_and_what_is_not_said_is_as_istio_has_it() {
        let read = |vars: &[(&str, &str)]| Timeouts::from_env(&Env::of(vars));
        let timeouts = read(&[]).unwrap();
        assert_eq!(timeouts.head, Some(Duration::from_secs(60)));
        assert_eq!(timeouts.idle, Some(Duration::from_secs(3600)));
        let off = [timeouts.connection, timeouts.stream_idle, timeouts.stream];
        assert_eq!(off, [None; 3]);
        let timeouts = read(&[
            ("MESH_HTTP_HEAD_TIMEOUT", "0s"),
            ("MESH_HTTP_STREAM_IDLE_TIMEOUT", "5m"),
        ]);
        let timeouts = timeouts.unwrap();
        assert_eq!(timeouts.head, None);
        assert_eq!(timeouts.stream_idle, Some(Duration::from_secs(300)));
        let error = read(&[("MESH_HTTP_IDLE_TIMEOUT", "soon")]).unwrap_err();
        assert!(
            error.to_string().contains("MESH_HTTP_IDLE_TIMEOUT"),
            "{error}"
        );
    }
}
