//! Resolution as the services of this module use it.

mod mesh;
mod seam;
#[cfg(test)]
mod tests;

pub use mesh::{LocalWorkload, MeshResolver};
pub use seam::{NoLocalWorkload, Resolver};
