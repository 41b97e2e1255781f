//! The choice among the endpoints of a service, in words.

use mesh_core::balance::{Candidate, Ineligible, PickMode, Picked, candidates};
use mesh_core::model::{Service, Workload};
use serde_json::{Value, json};

use super::known::Known;
use super::story::Story;

/// The most endpoints that are written down.
const MOST: usize = 100;

/// Notes which endpoint was drawn, and what was said for and against each.
pub(super) fn explain(
    known: &Known<'_>,
    source: &Workload,
    (service, port, mode): (&Service, u16, PickMode),
    picked: Option<Picked<'_>>,
    story: &mut Story,
) {
    let key = service.key();
    let set = known.mesh.endpoints(service);
    let mut all = candidates(service, set, source, port, mode);
    let best = all
        .iter()
        .filter(|one| one.port.is_ok())
        .map(|one| one.rank)
        .max();
    let is_best = |one: &Candidate<'_>| one.port.is_ok() && Some(one.rank) == best;
    let total: u64 = all
        .iter()
        .filter(|one| is_best(one))
        .map(|one| u64::from(one.workload.capacity()))
        .sum();
    all.sort_by(|a, b| {
        let order = |one: &Candidate<'_>| (one.port.is_err(), std::cmp::Reverse(one.rank));
        (order(a), a.workload.uid()).cmp(&(order(b), b.workload.uid()))
    });
    let count = all.len();
    let items = all
        .iter()
        .take(MOST)
        .map(|one| {
            let chosen = picked.is_some_and(|picked| picked.workload.uid() == one.workload.uid());
            item(one, best, total, chosen)
        })
        .collect();
    let more = match count.checked_sub(MOST) {
        Some(more) if more > 0 => format!(", of which {more} are not shown"),
        _ => String::new(),
    };
    let text = match picked {
        Some(picked) => format!(
            "{} is drawn from the {count} endpoints of {key}, port {port}{more}",
            picked.workload.uid()
        ),
        None => format!("none of the {count} endpoints of {key} can be used, port {port}{more}"),
    };
    story.list("endpoint", text, items);
}

fn item(one: &Candidate<'_>, best: Option<usize>, total: u64, chosen: bool) -> (String, Value) {
    let uid = one.workload.uid();
    let capacity = one.workload.capacity();
    let (fate, chance) = match one.port {
        Err(why) => (format!("not eligible: {}", say(why)), 0.0),
        Ok(port) if Some(one.rank) == best => {
            let chance = f64::from(capacity) / total.max(1) as f64;
            let chosen = if chosen { ", drawn this time" } else { "" };
            let percent = chance * 100.0;
            (
                format!(
                    "port {port}, rank {}, chance {percent:.1} %{chosen}",
                    one.rank
                ),
                chance,
            )
        }
        Ok(port) => (
            format!("port {port}, rank {}: others are preferred", one.rank),
            0.0,
        ),
    };
    let data = json!({
        "workload": uid,
        "port": one.port.ok(),
        "ineligible": one.port.err().map(say),
        "rank": one.rank,
        "capacity": capacity,
        "chance": chance,
        "drawn": chosen,
    });
    (format!("{uid}: {fate}"), data)
}

fn say(why: Ineligible) -> &'static str {
    match why {
        Ineligible::NoServicePort => "the service does not have the port",
        Ineligible::Unhealthy => "it is unhealthy",
        Ineligible::NoAddress => "it has no address, and no network gateway leads to it",
        Ineligible::NoPort => "the port leads to no port of it",
        Ineligible::NoCapacity => "its capacity is 0",
        Ineligible::NotPreferred => "strict routing preferences rule it out",
        _ => "it cannot be used",
    }
}
