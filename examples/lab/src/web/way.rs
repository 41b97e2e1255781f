//! The ways from a client to the application that are compared.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::middle::{Middle, Role, Start, entry};
use super::nodes;
use super::world::{Service, Version, World};
use crate::path::AWAKE;
use crate::worker::Worker;

/// A way from a client to the application.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Way {
    /// Nothing in between.
    Direct,
    /// A reverse proxy of plain hyper, without TLS and without a mesh.
    Hyper,
    /// Our node proxies, no waypoint.
    Nodes,
    /// Our node proxies, and plain hyper in the waypoint's place.
    Forwarder,
    /// Our node proxies and our waypoint.
    Waypoint,
    /// The same, with workers of all three that stay awake for [`AWAKE`] after traffic.
    WaypointAwake,
}

impl Way {
    /// All ways, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Direct,
        Self::Hyper,
        Self::Nodes,
        Self::Forwarder,
        Self::Waypoint,
        Self::WaypointAwake,
    ];

    /// The name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Hyper => "hyper, no mesh",
            Self::Nodes => "no waypoint",
            Self::Forwarder => "hyper as waypoint",
            Self::Waypoint => "waypoint",
            Self::WaypointAwake => "waypoint, awake",
        }
    }

    /// Who stands in the middle, and how long workers stay awake.
    #[must_use]
    pub fn role(self) -> Option<(Role, Duration)> {
        match self {
            Self::Direct | Self::Nodes => None,
            Self::Hyper => Some((Role::Hyper, Duration::ZERO)),
            Self::Forwarder => Some((Role::Forwarder, Duration::ZERO)),
            Self::Waypoint => Some((Role::Waypoint, Duration::ZERO)),
            Self::WaypointAwake => Some((Role::Waypoint, AWAKE)),
        }
    }

    /// The service that clients connect to; `None` where there is no mesh.
    fn service(self) -> Option<Service> {
        match self {
            Self::Direct | Self::Hyper => None,
            Self::Nodes => Some(Service::Plain),
            Self::Forwarder => Some(Service::Forwarder),
            Self::Waypoint | Self::WaypointAwake => Some(Service::Waypoint),
        }
    }

    /// Opens the way; one at a time in a world. `start` says how what is in the middle is started.
    ///
    /// # Errors
    /// When a socket, a thread, a process or a certificate cannot be made.
    pub fn open(self, world: &World, start: &Start) -> io::Result<Open> {
        let middle = match self.role() {
            Some((role, awake)) => Some(Middle::start(role, world, start, awake)?),
            None => None,
        };
        let both = [Version::Http1, Version::Http2];
        let Some(service) = self.service() else {
            let entries = match self {
                Self::Hyper => both.map(|version| entry(Role::Hyper, world, version)),
                _ => both.map(|version| world.application(version)),
            };
            return Ok(Open::new(entries, Vec::new(), middle));
        };
        let awake = match self {
            Self::WaypointAwake => AWAKE,
            _ => Duration::ZERO,
        };
        let inbound = nodes::inbound(world, awake)?;
        let (entries, outbound) = nodes::outbound(world, service, awake)?;
        Ok(Open::new(entries, vec![outbound, inbound], middle))
    }
}

/// A way that is open.
#[derive(Debug)]
pub struct Open {
    entries: [SocketAddr; 2],
    nodes: Vec<Worker>,
    middle: Option<Middle>,
}

impl Open {
    fn new(entries: [SocketAddr; 2], nodes: Vec<Worker>, middle: Option<Middle>) -> Self {
        Self {
            entries,
            nodes,
            middle,
        }
    }

    /// Where clients of a version connect.
    #[must_use]
    pub fn entry(&self, version: Version) -> SocketAddr {
        let [http1, http2] = self.entries;
        match version {
            Version::Http1 => http1,
            Version::Http2 => http2,
        }
    }

    /// What stands in the middle.
    #[must_use]
    pub fn middle(&self) -> Option<&Middle> {
        self.middle.as_ref()
    }

    /// The processor time of the middle, and of both node proxies.
    ///
    /// # Errors
    /// When one of them has ended.
    pub fn processor_time(&self) -> io::Result<(Duration, Duration)> {
        let middle = self.middle.as_ref().map(Middle::processor_time);
        let nodes = self.nodes.iter().map(Worker::processor_time);
        Ok((
            middle.transpose()?.unwrap_or_default(),
            nodes.sum::<io::Result<_>>()?,
        ))
    }
}
