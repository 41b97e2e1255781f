//! What formats are compiled with, and what is wrong with those that are none.

use std::collections::BTreeMap;

/// What is the same for all requests, and known outside only.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "plain data, with a default")]
pub struct Surroundings {
    /// The name of this machine, `HOSTNAME`.
    pub hostname: Box<str>,
    /// Variables that formats may ask for, `ENVIRONMENT(name)`.
    pub environment: BTreeMap<Box<str>, Box<str>>,
}

/// A format that is not one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("format {text:?}, byte {position}: {problem}")]
#[non_exhaustive]
pub struct BadFormat {
    /// The format.
    pub text: Box<str>,
    /// Where: the byte of the `%` that begins the operator, from 0.
    pub position: usize,
    /// What is wrong.
    pub problem: FormatProblem,
}

/// What is wrong with a format.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatProblem {
    /// No such operator.
    #[error("no such operator")]
    Unknown,
    /// An operator without its end.
    #[error(
        "expected %NAME%, %NAME(arguments)% or %NAME(arguments):length%, or %% for a percent sign"
    )]
    Form,
    /// Not what the operator takes.
    #[error("expected {0} in the parentheses")]
    Arguments(&'static str),
    /// The operator takes nothing.
    #[error("the operator takes no arguments")]
    NoArguments,
    /// A conversion of times that is not known.
    #[error(
        "expected %Y %y %m %b %d %j %a %H %M %S %s %T %F %f %1f..%9f %E1S..%E9S %z %Z or %% in the parentheses"
    )]
    Time,
}
