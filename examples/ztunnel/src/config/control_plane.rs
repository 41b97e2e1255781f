//! The servers of the control plane, and what it takes to talk to them.

pub(crate) use process::control_plane::{AuthoritySettings, Token, XdsSettings};

#[cfg(test)]
mod tests;
