//! Ranges of addresses: a persistent radix tree for each network.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::keys::Keys;
use crate::model::{NetworkCidr, Service};
use crate::name::Name;
use crate::tree::{Item, Tree};

/// Services by ranges of virtual IPs.
#[derive(Clone, Default)]
pub(super) struct Ranges(Tree<Arc<Ranged>>);

/// The ranges of one network.
#[derive(Clone)]
struct Ranged {
    network: Name,
    v4: Link,
    v6: Link,
}

impl Item for Arc<Ranged> {
    type Sum = ();
    fn sum(&self) {}
}

type Link = Option<Arc<Node>>;

/// A range, with all ranges within it below.
// Invariant: a node without services has two children.
#[derive(Clone)]
struct Node {
    range: Range,
    /// Those with exactly this range, in the order of their insertion.
    services: Vec<Arc<Service>>,
    /// By the first bit behind the prefix.
    zero: Link,
    one: Link,
}

/// A prefix: its bits from the top of the word, and how many of them count.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Range {
    bits: u128,
    len: u8,
}

impl Ranges {
    /// The services whose ranges contain an address, with the prefix lengths, shortest first.
    pub(super) fn containing(&self, keys: &Keys, network: &str, ip: IpAddr) -> Containing<'_> {
        let key = keys.text(network);
        let ranged = self.0.find(key, |ranged| ranged.network == network);
        let next = ranged.and_then(|ranged| match ip {
            IpAddr::V4(_) => ranged.v4.as_deref(),
            IpAddr::V6(_) => ranged.v6.as_deref(),
        });
        Containing {
            address: bits(ip),
            next,
            len: 0,
            services: [].iter(),
        }
    }

    pub(super) fn insert(&mut self, keys: &Keys, range: &NetworkCidr, service: &Arc<Service>) {
        let key = keys.text(&range.network);
        let same = |ranged: &Arc<Ranged>| ranged.network == range.network;
        if self.0.find(key, same).is_none() {
            let ranged = Ranged {
                network: range.network.clone(),
                v4: None,
                v6: None,
            };
            self.0.insert(key, Arc::new(ranged));
        }
        let (is_v4, range) = Range::new(range.cidr);
        self.0.update(key, same, |ranged| {
            insert(Arc::make_mut(ranged).root(is_v4), range, service);
        });
    }

    pub(super) fn remove(&mut self, keys: &Keys, range: &NetworkCidr, service: &Arc<Service>) {
        let key = keys.text(&range.network);
        let same = |ranged: &Arc<Ranged>| ranged.network == range.network;
        let (is_v4, range) = Range::new(range.cidr);
        let empty = self.0.update(key, same, |ranged| {
            let ranged = Arc::make_mut(ranged);
            remove(ranged.root(is_v4), range, service);
            ranged.v4.is_none() && ranged.v6.is_none()
        });
        if empty == Some(true) {
            self.0.remove(key, same);
        }
    }
}

impl Ranged {
    fn root(&mut self, is_v4: bool) -> &mut Link {
        if is_v4 { &mut self.v4 } else { &mut self.v6 }
    }
}

fn insert(link: &mut Link, range: Range, service: &Arc<Service>) {
    let Some(here) = link else {
        *link = Some(Arc::new(Node::new(range, vec![service.clone()])));
        return;
    };
    let common = here.range.common(range);
    if common == here.range && common == range {
        let services = &mut Arc::make_mut(here).services;
        let at = services.partition_point(|other| other.order() < service.order());
        if !services
            .get(at)
            .is_some_and(|other| Arc::ptr_eq(other, service))
        {
            services.insert(at, service.clone());
        }
    } else if common == here.range {
        insert(Arc::make_mut(here).child(range), range, service);
    } else {
        let mut above = Node::new(common, Vec::new());
        let below = here.range;
        *above.child(below) = link.take();
        if common == range {
            above.services.push(service.clone());
        } else {
            insert(above.child(range), range, service);
        }
        *link = Some(Arc::new(above));
    }
}

fn remove(link: &mut Link, range: Range, service: &Arc<Service>) {
    let Some(here) = link else { return };
    let common = here.range.common(range);
    if common != here.range {
        return;
    }
    let here = Arc::make_mut(here);
    if common == range {
        here.services.retain(|other| !Arc::ptr_eq(other, service));
    } else {
        remove(here.child(range), range, service);
    }
    if here.services.is_empty() && (here.zero.is_none() || here.one.is_none()) {
        *link = here.zero.take().or(here.one.take());
    }
}

impl Node {
    fn new(range: Range, services: Vec<Arc<Service>>) -> Self {
        Self {
            range,
            services,
            zero: None,
            one: None,
        }
    }

    fn child(&mut self, range: Range) -> &mut Link {
        if self.range.turns_right(range.bits) {
            &mut self.one
        } else {
            &mut self.zero
        }
    }
}

impl Range {
    /// A range and whether it is one of IPv4; one of IPv4-mapped addresses is.
    fn new(cidr: IpNet) -> (bool, Self) {
        let (ip, len) = match (cidr.network(), cidr.prefix_len()) {
            (IpAddr::V6(v6), len @ 96..) => match v6.to_ipv4_mapped() {
                Some(v4) => (IpAddr::V4(v4), len - 96),
                None => (IpAddr::V6(v6), len),
            },
            (ip, len) => (ip, len),
        };
        let range = Self {
            bits: bits(ip),
            len,
        };
        (ip.is_ipv4(), range)
    }

    /// The longest prefix of both.
    fn common(self, other: Self) -> Self {
        let equal = (self.bits ^ other.bits).leading_zeros();
        let equal = u8::try_from(equal).unwrap_or(u8::MAX);
        let len = equal.min(self.len).min(other.len);
        Self {
            bits: self.bits & mask(len),
            len,
        }
    }

    fn contains(self, address: u128) -> bool {
        (self.bits ^ address) & mask(self.len) == 0
    }

    /// The first bit behind the prefix.
    fn turns_right(self, address: u128) -> bool {
        address.checked_shl(u32::from(self.len)).unwrap_or(0) >> 127 == 1
    }
}

fn mask(len: u8) -> u128 {
    !u128::MAX.checked_shr(u32::from(len)).unwrap_or(0)
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(Ipv4Addr::to_bits(v4)) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The services whose ranges contain an address.
pub(super) struct Containing<'a> {
    address: u128,
    next: Option<&'a Node>,
    len: u8,
    services: std::slice::Iter<'a, Arc<Service>>,
}

impl<'a> Iterator for Containing<'a> {
    type Item = (u8, &'a Arc<Service>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(service) = self.services.next() {
                return Some((self.len, service));
            }
            let address = self.address;
            let node = self
                .next
                .take()
                .filter(|node| node.range.contains(address))?;
            self.len = node.range.len;
            self.services = node.services.iter();
            self.next = if node.range.turns_right(address) {
                node.one.as_deref()
            } else {
                node.zero.as_deref()
            };
        }
    }
}
