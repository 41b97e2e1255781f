//! HTTP/2 settings that both ends share.

use std::time::Duration;

use crate::http2::Local;

/// Settings of an HBONE connection, client or server side.
///
/// # Memory
/// A stream whose reader never reads holds at most [`Http2Config::stream_window`] bytes here. The
/// connection window is always large enough for all streams at once, so stalled readers never stop
/// their neighbours; the worst case of one connection is therefore
/// `max_concurrent_streams x stream_window` (400 MiB with the defaults, when 200 readers stall),
/// plus, toward a peer that takes nothing, 128 KiB of unsent data for the connection, and 256 KiB
/// queued and one 64 KiB read for each of its streams, as far as the peer's windows let them.
///
/// ```
/// use mesh_hbone::Http2Config;
///
/// let config = Http2Config::builder().stream_window(256 * 1024).build()?;
/// assert_eq!(config.stream_window(), 256 * 1024);
/// assert!(Http2Config::builder().stream_window(1 << 31).build().is_err());
/// # Ok::<_, mesh_hbone::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Http2Config {
    stream_window: u32,
    frame_size: u32,
    max_header_list_size: u32,
    max_concurrent_streams: u32,
    keepalive_interval: Duration,
    keepalive_timeout: Duration,
}

/// Why a configuration is not usable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number is outside its range.
    #[error("{field} is {got}, expected {min} to {max}")]
    OutOfRange {
        /// Which setting.
        field: &'static str,
        /// What was given.
        got: u64,
        /// The least that is possible.
        min: u64,
        /// The most that is possible.
        max: u64,
    },
}

impl Http2Config {
    /// Settings to start from; see the setters for the defaults.
    pub fn builder() -> Http2ConfigBuilder {
        Http2ConfigBuilder(Self {
            stream_window: 2 * 1024 * 1024,
            frame_size: 64 * 1024,
            max_header_list_size: 16 * 1024,
            max_concurrent_streams: 200,
            keepalive_interval: Duration::from_secs(10),
            keepalive_timeout: Duration::from_secs(20),
        })
    }

    /// Bytes that the peer may send on one stream ahead of its reader.
    #[must_use]
    pub fn stream_window(&self) -> u32 {
        self.stream_window
    }

    /// The largest DATA frame that the peer may send, in bytes.
    #[must_use]
    pub fn frame_size(&self) -> u32 {
        self.frame_size
    }

    /// The largest header list that the peer may send, in bytes as counted by RFC 9113 §6.5.2.
    #[must_use]
    pub fn max_header_list_size(&self) -> u32 {
        self.max_header_list_size
    }

    /// Streams that the peer may have open at once.
    #[must_use]
    pub fn max_concurrent_streams(&self) -> u32 {
        self.max_concurrent_streams
    }

    /// Silence of the peer after which it is asked for a sign of life.
    #[must_use]
    pub fn keepalive_interval(&self) -> Duration {
        self.keepalive_interval
    }

    /// Time that the peer has for that sign.
    #[must_use]
    pub fn keepalive_timeout(&self) -> Duration {
        self.keepalive_timeout
    }
}

impl Http2Config {
    /// For one end of a connection; `streams` is what a server allows.
    pub(crate) fn local(&self, streams: Option<u32>) -> Local {
        Local {
            window: self.stream_window,
            frame_size: self.frame_size,
            header_list: self.max_header_list_size,
            streams,
        }
    }
}

impl Default for Http2Config {
    fn default() -> Self {
        Self::builder().0
    }
}

/// Builds an [`Http2Config`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Http2ConfigBuilder(Http2Config);

impl Http2ConfigBuilder {
    /// Bytes that the peer may send on one stream ahead of its reader.
    ///
    /// In bytes, 16 KiB to 8 MiB; default 2 MiB. One stream reaches at most this many bytes per
    /// round trip. Source: RFC 9113 §6.9.2.
    pub fn stream_window(mut self, bytes: u32) -> Self {
        self.0.stream_window = bytes;
        self
    }

    /// The largest DATA frame that the peer may send.
    ///
    /// In bytes, 16,384 to 16,777,215; default 64 KiB: a frame is passed on only when all of it has
    /// arrived, and blocks its neighbours while it is under way. Source: RFC 9113 §4.2.
    pub fn frame_size(mut self, bytes: u32) -> Self {
        self.0.frame_size = bytes;
        self
    }

    /// The largest header list that the peer may send.
    ///
    /// In bytes, 1 KiB to 1 MiB; default 16 KiB. A larger one ends the stream or the connection.
    pub fn max_header_list_size(mut self, bytes: u32) -> Self {
        self.0.max_header_list_size = bytes;
        self
    }

    /// Streams that the peer may have open at once (servers).
    ///
    /// 1 to 256; default 200. Times the stream window this stays within the connection window, which
    /// is what keeps stalled readers from stopping their neighbours.
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.0.max_concurrent_streams = streams;
        self
    }

    /// Silence of the peer after which it is asked for a sign of life with a PING.
    ///
    /// 100 ms to one day; default 10 s. Data from the peer counts as a sign.
    pub fn keepalive_interval(mut self, interval: Duration) -> Self {
        self.0.keepalive_interval = interval;
        self
    }

    /// Time that the peer has to answer the PING before the connection is given up.
    ///
    /// 100 ms to one day; default 20 s.
    pub fn keepalive_timeout(mut self, timeout: Duration) -> Self {
        self.0.keepalive_timeout = timeout;
        self
    }

    /// The settings.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] names the setting and its range.
    pub fn build(self) -> Result<Http2Config, ConfigError> {
        let c = &self.0;
        let day = 24 * 60 * 60 * 1000;
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        in_range("stream window", c.stream_window, 16 * 1024, 8 * 1024 * 1024)?;
        in_range("frame size", c.frame_size, 1 << 14, (1 << 24) - 1)?;
        in_range(
            "max header list size",
            c.max_header_list_size,
            1024,
            1024 * 1024,
        )?;
        in_range("max concurrent streams", c.max_concurrent_streams, 1, 256)?;
        in_range(
            "keepalive interval in ms",
            millis(c.keepalive_interval),
            100,
            day,
        )?;
        in_range(
            "keepalive timeout in ms",
            millis(c.keepalive_timeout),
            100,
            day,
        )?;
        Ok(self.0)
    }
}

pub(crate) fn in_range(
    field: &'static str,
    got: impl Into<u64>,
    min: u64,
    max: u64,
) -> Result<(), ConfigError> {
    let got = got.into();
    if (min..=max).contains(&got) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange {
        field,
        got,
        min,
        max,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_range() {
        let ms = Duration::from_millis;
        let start = Http2Config::builder;
        for (name, builder) in [
            ("stream window", start().stream_window(16 * 1024 - 1)),
            ("stream window", start().stream_window(8 * 1024 * 1024 + 1)),
            ("frame size", start().frame_size(16_383)),
            ("frame size", start().frame_size(1 << 24)),
            ("max header list size", start().max_header_list_size(0)),
            ("max concurrent streams", start().max_concurrent_streams(0)),
            (
                "max concurrent streams",
                start().max_concurrent_streams(257),
            ),
            (
                "keepalive interval in ms",
                start().keepalive_interval(ms(1)),
            ),
            (
                "keepalive timeout in ms",
                start().keepalive_timeout(Duration::MAX),
            ),
        ] {
            let ConfigError::OutOfRange { field, .. } = builder.build().unwrap_err();
            assert_eq!(field, name);
        }
        assert!(start().build().is_ok());
    }
}
