//! The client's side of delta xDS as a state machine without IO: responses, demands and time go
//! in; requests, answers and typed updates come out.
//!
//! [`Delta`] knows resource types by their type URL only. What a type means is up to its
//! [`Resources`], which decode, convert and apply. `mesh_xds::ads` drives the machine over
//! gRPC; tests drive it with values.
//!
//! # What it promises
//!
//! - **Partial rejection.** The good resources of a response apply; bad ones are named with their
//!   reasons in the rejection, and what was known about them before stays, with its version.
//! - **Nothing happens twice.** After a reconnect the server hears the names and versions that are
//!   known, and sends what differs and what is gone.
//! - **A demand ends**: found, not found, or timed out. Demands of one name share a subscription.
//!   A resource answers demands by its name and by its aliases, after it has been applied.
//! - Types are subscribed in the order in which they were given: addresses before policies.
//!
//! # Reconnecting within a bounded request
//!
//! Servers refuse requests above a limit, 4 MiB by default in gRPC, and names and versions of
//! 200,000 workloads take four times that. The protocol has no continuation, so for a wildcard
//! subscription as many entries are sent as fit: those with versions first, of these the shortest
//! first, which makes it the largest number. The server believes that the rest is unknown here and
//! sends it again as far as it exists. What is left out *and* not sent again is *in doubt*: it was
//! removed in the meantime, or it is still on its way, and no response says that it was the last.
//!
//! No doubt is resolved by waiting. When the server has said nothing about the type for a while
//! ([`DeltaConfig::quiet`], which saves work and decides nothing), or has gone on for
//! [`DeltaConfig::first_response`] without such a pause, the names that are still in
//! doubt, with the usual server exactly those that are gone, are asked for by name, on a stream of
//! their own, a *probe*: subscribing to names on the wildcard stream itself makes some versions of
//! Istio's control plane announce everything else as removed. The answer to a named subscription
//! is definite, a resource or a removal. Only a removal removes, and only the wildcard stream ends the
//! doubt about what exists: until that has sent it, the server would not announce its removal. So:
//!
//! - a resource that exists is never removed, however the server splits, orders and delays;
//! - one that was removed goes as soon as a probe is answered: after the quiet time and one round
//!   trip, with a server that never stops talking a minute after its first response, or, should the
//!   server be silent or the stream break, at a later attempt. Probes are repeated until every doubt
//!   is gone, with pauses that grow while they fail and that no response shortens or extends.
//!
//! Named and on-demand subscriptions know no doubt: their names are subscribed one by one, in as
//! many requests as it takes, and a server answers each.

mod config;
mod demands;
mod doubt;
mod initial;
mod kind;
mod machine;
mod nack;
mod resources;
mod retained;
#[cfg(test)]
mod tests;
mod version;

pub use config::{DeltaConfig, Interest, Subscription};
pub use demands::{Answer, DemandId};
pub use machine::{Delta, Received};
pub use resources::{Applied, Change, Incoming, Resources};
