//! Settings of sockets, of HTTP/2 and of the pool.

use std::time::Duration;

use mesh_hbone::sock::{Keepalive, SocketOptions};

use process::env::{ConfigError, Env};

/// Settings of sockets, of HTTP/2 and of the pool of HBONE connections.
///
/// What is `None` has the library's default.
#[derive(Clone, Debug)]
pub(crate) struct NetworkSettings {
    /// `KEEPALIVE_ENABLED`, `KEEPALIVE_TIME`, `KEEPALIVE_INTERVAL`, `KEEPALIVE_RETRIES`,
    /// `USER_TIMEOUT_ENABLED`, `PACKET_MARK`.
    pub(crate) sockets: SocketOptions,
    /// `POOL_MAX_STREAMS_PER_CONNECTION`.
    pub(crate) max_streams: Option<u16>,
    /// `POOL_UNUSED_RELEASE_TIMEOUT`; 5 minutes.
    pub(crate) unused_release: Duration,
    /// `MESH_AWAKE`: how long a worker looks for more traffic before it sleeps; 0.
    pub(crate) awake: Duration,
    /// `HTTP2_STREAM_WINDOW_SIZE`, in bytes.
    pub(crate) stream_window: Option<u32>,
    /// `HTTP2_FRAME_SIZE`, in bytes.
    pub(crate) frame_size: Option<u32>,
}

impl NetworkSettings {
    pub(super) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        Ok(Self {
            sockets: sockets(env)?,
            max_streams: env.read("POOL_MAX_STREAMS_PER_CONNECTION", positive)?,
            unused_release: env
                .duration("POOL_UNUSED_RELEASE_TIMEOUT", Duration::from_secs(1))?
                .unwrap_or(Duration::from_secs(5 * 60)),
            awake: env
                .duration("MESH_AWAKE", Duration::ZERO)?
                .unwrap_or(Duration::ZERO),
            stream_window: env.parse("HTTP2_STREAM_WINDOW_SIZE", "a number of bytes")?,
            frame_size: env.parse("HTTP2_FRAME_SIZE", "a number of bytes")?,
        })
    }
}

fn positive(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a number from 1 to 65535".to_owned()),
        Ok(number) => Ok(number),
    }
}

fn sockets(env: &Env) -> Result<SocketOptions, ConfigError> {
    let second = Duration::from_secs(1);
    let default = Keepalive::default();
    let keepalive = Keepalive {
        idle: env
            .duration("KEEPALIVE_TIME", second)?
            .unwrap_or(default.idle),
        interval: env
            .duration("KEEPALIVE_INTERVAL", second)?
            .unwrap_or(default.interval),
        probes: env
            .read("KEEPALIVE_RETRIES", positive)?
            .map_or(default.probes, u32::from),
    };
    let mut options = SocketOptions::default();
    options.keepalive = env
        .switch("KEEPALIVE_ENABLED")?
        .unwrap_or(true)
        .then_some(keepalive);
    options.user_timeout = env
        .switch("USER_TIMEOUT_ENABLED")?
        .unwrap_or(false)
        .then(|| keepalive.total());
    options.mark = env.read("PACKET_MARK", mark)?;
    Ok(options)
}

fn mark(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "a packet mark such as 1337 or 0x539".to_owned())
}
