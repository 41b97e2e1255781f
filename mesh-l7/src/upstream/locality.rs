//! Where hosts are preferred, seen from the proxy's own place.

use mesh_core::model::Locality;
use mesh_core::name::Name;

/// Where hosts are preferred, seen from the proxy's own place.
///
/// Source: Istio's `LocalityLoadBalancerSetting`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever arranges hosts must know every one"
)]
pub enum LocalityPreference {
    /// Nothing is said: what the service prefers counts; else, with outlier detection, [`LocalityFailover::default`].
    #[default]
    Unsaid,
    /// Hosts everywhere are alike, whatever the service prefers.
    Ignored,
    /// Localities have shares: of the first entry that is for the proxy's own place. Those without a share get
    /// nothing; where no entry is for the place, all are alike.
    Shares(Vec<LocalityShares>),
    /// The nearest hosts that are well; others while there are too few of those. All are alike without outlier
    /// detection, since nothing would say that hosts are not well.
    Failover(LocalityFailover),
}

/// Shares of localities for the proxies of some localities.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct LocalityShares {
    /// The places of proxies.
    pub from: LocalityPattern,
    /// Shares, relative to each other. Several localities that one entry means have its share together, by
    /// the weights of their hosts; a locality counts for the first entry that means it.
    pub to: Vec<(LocalityPattern, u32)>,
}

/// The order in which localities are taken. The default is by distance: the same subzone, zone, region, then all
/// others.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct LocalityFailover {
    /// From a region to the one that goes before other foreign ones.
    pub regions: Vec<(Name, Name)>,
    /// Labels that are compared, the most important one first: hosts are the nearer the more of them are the same as
    /// the proxy's before the first that is not. In place of the distance; it breaks ties where there are
    /// `regions` as well.
    pub labels: Vec<LabelPreference>,
}

/// A label of hosts that is compared with the proxy's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct LabelPreference {
    /// Its name. Those that Kubernetes and Istio have for region, zone, subzone, network, cluster and node stand for
    /// those, whatever labels there are.
    pub name: Name,
    /// The value to compare with in place of the proxy's.
    pub value: Option<Name>,
}

/// Localities, by the parts that are given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "plain data that compilers of configuration fill"
)]
pub struct LocalityPattern {
    /// The region; `None` for any.
    pub region: Option<Name>,
    /// The zone; `None` for any.
    pub zone: Option<Name>,
    /// The subzone; `None` for any.
    pub subzone: Option<Name>,
}

impl LocalityPattern {
    /// `region/zone/subzone`, of which the last ones may be left out, and each may be `*`; `None` for what is none.
    ///
    /// ```
    /// use mesh_core::model::Locality;
    /// use mesh_l7::upstream::LocalityPattern;
    ///
    /// let here = Locality { region: "eu".into(), zone: "eu-1".into(), subzone: "a".into() };
    /// for (text, matches) in [("eu", true), ("eu/eu-1", true), ("eu/*/a", true), ("*", true), ("eu/eu-2", false), ("us", false)] {
    ///     assert_eq!(LocalityPattern::parse(text).map(|pattern| pattern.matches(&here)), Some(matches), "{text}");
    /// }
    /// assert_eq!(LocalityPattern::parse("eu//a"), None);
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(|part| match part {
            "" => None,
            "*" => Some(None),
            name => Some(Some(Name::from(name))),
        });
        let pattern = Self {
            region: parts.next()??,
            zone: parts.next().unwrap_or(Some(None))?,
            subzone: parts.next().unwrap_or(Some(None))?,
        };
        parts.next().is_none().then_some(pattern)
    }

    /// Whether it means a locality.
    #[must_use]
    pub fn matches(&self, locality: &Locality) -> bool {
        let is = |wanted: &Option<Name>, part: &Name| wanted.as_ref().is_none_or(|it| it == part);
        is(&self.region, &locality.region)
            && is(&self.zone, &locality.zone)
            && is(&self.subzone, &locality.subzone)
    }
}
