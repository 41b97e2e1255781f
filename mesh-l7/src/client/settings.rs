//! How upstreams are spoken to.

use std::time::Duration;

use crate::hygiene::HygieneRules;
use crate::serve::Http2Settings;

/// How upstreams are spoken to, where their own settings do not say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientSettings {
    /// What is refused in responses: 502.
    pub rules: HygieneRules,
    /// Time for a connection, until requests can be sent on it. Default 10 s.
    pub connect_timeout: Duration,
    /// Time without a request after which a connection is closed. Default 1 h.
    pub idle_timeout: Duration,
    /// HTTP/2. The number of streams of a connection is the lower one of this and the upstream's.
    pub http2: Http2Settings,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            rules: HygieneRules::default(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(3600),
            http2: Http2Settings::default(),
        }
    }
}
