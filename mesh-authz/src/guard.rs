//! Live connections, which are decided again when policies or workloads change.
//!
//! A [`Guard`] admits connections and keeps a list of those that live. Its [`Redecider`], a future
//! that the embedder spawns, looks at them again when the policies change, when the record of
//! their workload changes (which policies it names, its namespace), and when the grace of a policy
//! ends that has not arrived. Only connections of workloads that are affected are looked at, always
//! with what is newest, a few hundred connections or workloads at a time; those that are no longer
//! allowed learn it through their [`Live`] future, and nobody waits for them to go.
//!
//! A policy that a workload names and that is not known does not let connections through: new ones
//! are [`Held`], live ones go on, and when the grace has passed since the reference was first seen,
//! both are denied. The guards of several workers share since when, through [`MissingPolicies`].
//!
//! A workload that vanishes from the mesh takes nothing from its live connections: they are decided
//! again by its last record, until the mesh has another one with the same unique id.
//!
//! A guard is meant for one worker: its lock is then never waited for. A live connection takes 72
//! bytes in its list and a [`Live`] of 40 bytes.

mod admit;
mod connections;
mod denial;
mod group;
mod live;
mod missing;
mod redecide;
mod shared;
mod timer;
mod waits;

pub use admit::{Admission, Answer, Guard};
pub use denial::{Denial, DryRunReport, MatchedRule};
pub use live::{Held, Live};
pub use missing::{GRACE, MissingPolicies};
pub use redecide::Redecider;
pub use shared::Counts;
pub use timer::Timer;
