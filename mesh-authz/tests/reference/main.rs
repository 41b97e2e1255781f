//! Authorization from the specification: a plain evaluator over raw policies, the tables of the
//! specification as cases, and both held against the product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::exhaustive_enums,
    missing_docs
)]

mod agreement;
mod cases;
mod corpus;
mod elsewhere;
mod evaluator;
mod flips;
mod laws;
mod peers;
mod product;
mod random;
mod tables;
