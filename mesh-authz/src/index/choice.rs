//! The values that a rule is filed under.
//!
//! A rule matches only when each of its clauses has a match that agrees in all its fields. So it is
//! found by one clause alone, when each match of that clause is filed under all values of one of
//! its positive fields. Of all ways to do that the cheapest is taken, where a value costs as much
//! as there are rules under it already.

use super::keys::Keys;
use super::pivots::{Pivots, Place};
use super::probe::Part;
use super::probes::NAMED_AT_ONCE;
use crate::policy::{Clause, Dimension, Field, Match, Rule};

/// The most rules that may be found under one value of the most selective kind; of another kind, as
/// many fewer as its values are less selective. So what a connection has in common with many rules
/// costs no more than this: to look at a rule that is not at hand takes as long as it takes a sieve
/// to rule out thousands.
const CROWDED: usize = 3;

/// A field, and where its values are found.
pub(super) type Choice<'a> = (Field<'a>, Vec<Place>);

/// The fields that a rule is filed under; `None` when there is no selective way.
///
/// Nothing at all for a rule that cannot match.
pub(super) fn choose<'a>(
    keys: &Keys,
    connection: &Pivots,
    request: &Pivots,
    rule: Rule<'a>,
) -> Option<Vec<Choice<'a>>> {
    let clauses = rule.clauses().filter(|clause| !clause.is_empty());
    let pivots = |field: &Field<'_>| {
        if field.dimension.needs_request() {
            request
        } else {
            connection
        }
    };
    let choices = clauses.filter_map(|clause| choose_of(clause, keys, &pivots));
    let (_, cheapest) = choices.min_by_key(|(cost, _)| *cost)?;
    Some(cheapest)
}

/// The cheapest field of each match of a clause that can match at all, and what all cost together.
fn choose_of<'a, 'p>(
    clause: Clause<'a>,
    keys: &Keys,
    pivots: &impl Fn(&Field<'_>) -> &'p Pivots,
) -> Option<(usize, Vec<Choice<'a>>)> {
    let mut sum = 0_usize;
    let mut choices = Vec::new();
    for one in clause.matches().filter(|one| !one.is_empty()) {
        let (cost, choice) = cheapest(one, keys, pivots)?;
        sum = sum.saturating_add(cost);
        choices.push(choice);
    }
    // Places were looked for before any of them is taken.
    let named = choices.iter().filter(|(f, _)| f.dimension.is_named());
    (named.count() <= NAMED_AT_ONCE).then_some((sum, choices))
}

fn cheapest<'a, 'p>(
    one: Match<'a>,
    keys: &Keys,
    pivots: &impl Fn(&Field<'_>) -> &'p Pivots,
) -> Option<(usize, Choice<'a>)> {
    let fields = one.fields().filter(|field| !field.excludes);
    let costs = fields.filter_map(|field| {
        let places = pivots(&field).places(keys, &field)?;
        let weight = |place: &Place| weight(field.dimension, place.part);
        let is_crowded = |place: &Place| place.rules >= (CROWDED / weight(place)).max(1);
        if places.iter().any(is_crowded) {
            return None;
        }
        let costs = places.iter().map(|place| (place.rules + 1) * weight(place));
        Some((costs.sum::<usize>(), (field, places)))
    });
    costs.min_by_key(|(cost, _)| *cost)
}

/// How likely a value of this kind fits, in no particular unit.
fn weight(dimension: Dimension, part: Part) -> usize {
    match (dimension, part) {
        (_, Part::Presence) => 32,
        (Dimension::ServiceAccount | Dimension::Principal, Part::All) => 1,
        (Dimension::RequestPrincipal | Dimension::Path | Dimension::Sni, Part::All) => 2,
        (Dimension::Path, Part::Segment(_)) => 4,
        (Dimension::Namespace | Dimension::Host, Part::All) => 3,
        (Dimension::DestinationIp, Part::Bits4(32) | Part::Bits6(128)) => 3,
        (Dimension::SourceIp | Dimension::RemoteIp, Part::Bits4(24..) | Part::Bits6(64..)) => 3,
        (Dimension::Header | Dimension::Claim, Part::All) => 4,
        (Dimension::Principal | Dimension::Namespace, _) => 4,
        (Dimension::DestinationPort, _) => 5,
        (Dimension::Method, _) => 16,
        _ => 7,
    }
}
