//! Mappings from service ports to target ports.

use std::num::NonZeroU16;

/// A mapping from service ports to target ports, sorted by service port.
///
/// A target port of `None` is a named port: each endpoint brings its own mapping. On the wire and
/// in files that is 0.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct PortMap(Box<[(u16, Option<NonZeroU16>)]>);

impl PortMap {
    /// The target for a service port: `None` when the service does not have the port,
    /// `Some(None)` when it has it as a named port.
    #[must_use]
    pub fn target(&self, service_port: u16) -> Option<Option<NonZeroU16>> {
        let at = self
            .0
            .binary_search_by_key(&service_port, |(port, _)| *port)
            .ok()?;
        self.0.get(at).map(|(_, target)| *target)
    }

    /// All pairs, sorted by service port.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Option<NonZeroU16>)> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is no port.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// From (service port, target port) pairs; a target of 0 is a named port; the last of equal
/// service ports wins.
impl FromIterator<(u16, u16)> for PortMap {
    fn from_iter<I: IntoIterator<Item = (u16, u16)>>(pairs: I) -> Self {
        let target = |(port, target)| (port, NonZeroU16::new(target));
        let mut sorted: Vec<_> = pairs.into_iter().map(target).collect();
        sorted.sort_by_key(|(port, _)| *port);
        sorted.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                *kept = *later;
            }
            same
        });
        Self(sorted.into())
    }
}

#[cfg(test)]
mod tests {
    use super::PortMap;

    #[test]
    fn pairs_are_sorted_and_the_last_of_equal_ports_wins() {
        let map: PortMap = [(90, 3), (80, 1), (90, 0), (80, 2), (70, 7), (80, 4)]
            .into_iter()
            .collect();
        let pairs: Vec<_> = map
            .iter()
            .map(|(port, target)| (port, target.map_or(0, u16::from)))
            .collect();
        assert_eq!(pairs, [(70, 7), (80, 4), (90, 0)]);
        assert_eq!(map.target(90), Some(None));
        assert_eq!(map.target(91), None);
    }
}
