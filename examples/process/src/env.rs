//! The environment as an input: variables with their types, and errors that name the variable.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::duration;

/// Why the environment does not make a configuration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A variable has a value that it cannot have.
    #[error("{variable} is `{got}`, expected {expected}")]
    Value {
        /// Its name.
        variable: String,
        /// Its value.
        got: String,
        /// What it can be.
        expected: String,
    },
    /// The variables do not fit together, or something is missing.
    #[error("{0}")]
    Refused(String),
}

/// The variables of the environment. An empty value counts as absent, except where said.
#[derive(Clone, Debug, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The environment of this process. A variable that is not UTF-8 is none of ours.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// An environment of these variables, for tests.
    #[must_use]
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(pairs.iter().map(own).collect())
    }

    /// The value of a variable, unless it is absent or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether a variable is set to nothing, which for some means something.
    pub fn is_empty(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(String::is_empty)
    }

    /// The same with values for variables that are not set.
    pub fn with_defaults<'a>(
        mut self,
        defaults: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        for (name, value) in defaults {
            let entry = self.0.entry(name.clone());
            entry.or_insert_with(|| value.clone());
        }
        self
    }

    /// The names of all variables that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A variable read by `read`, which answers what was expected otherwise.
    pub fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        self.text(name)
            .map(|text| read(text).map_err(|expected| wrong(name, text, expected)))
            .transpose()
    }

    /// A variable of a type with a text form.
    pub fn parse<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, ConfigError> {
        self.read(name, |text| text.parse().map_err(|_| expected.to_owned()))
    }

    /// `true` or `false`.
    pub fn switch(&self, name: &str) -> Result<Option<bool>, ConfigError> {
        self.read(name, |text| match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("true or false".to_owned()),
        })
    }

    /// A duration of at least `least`, such as `500ms`, `10s`, `1m30s` or `1h`.
    pub fn duration(&self, name: &str, least: Duration) -> Result<Option<Duration>, ConfigError> {
        self.read(name, |text| {
            duration::parse(text)
                .filter(|duration| *duration >= least)
                .ok_or_else(|| format!("a duration such as 10s or 5m, at least {least:?}"))
        })
    }

    /// A port from 1 to 65535, else `default`.
    pub fn port(&self, name: &str, default: u16) -> Result<u16, ConfigError> {
        let port = self.read(name, |text| match text.parse() {
            Ok(0) | Err(_) => Err("a port from 1 to 65535".to_owned()),
            Ok(port) => Ok(port),
        })?;
        Ok(port.unwrap_or(default))
    }
}

/// A variable with a value that it cannot have.
pub fn wrong(variable: &str, got: &str, expected: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        variable: variable.to_owned(),
        got: got.to_owned(),
        expected: expected.into(),
    }
}
