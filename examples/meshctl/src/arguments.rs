//! The command line.

mod help;
mod question;

use std::path::PathBuf;

use mesh_authz::kube::Profile;
use mesh_authz::lint::Level;
use mesh_core::identity::TrustDomain;
use mesh_core::target::PathNormalization;
use serde_json::Value;

use crate::failure::{Failure, Result};
pub(crate) use help::HELP;
use question::Flags;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Check {
        manifests: PathBuf,
        mesh: MeshFlags,
        asked: Asked,
        output: Output,
        stats: bool,
    },
    Explain {
        manifests: PathBuf,
        mesh: MeshFlags,
        asked: Value,
        output: Output,
    },
    Lint {
        manifests: PathBuf,
        mesh: MeshFlags,
        level: Level,
        output: Output,
    },
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum Asked {
    One(Value),
    /// One question a line, from a file or from standard input (`-`).
    Batch(PathBuf),
}

/// In which form the answer is given.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Output {
    #[default]
    Text,
    Json,
}

/// What the command line says that the mesh's configuration would.
#[derive(Debug, Default)]
pub(crate) struct MeshFlags {
    pub(crate) config: Option<PathBuf>,
    pub(crate) root_namespace: Option<String>,
    pub(crate) trust_domains: Vec<TrustDomain>,
    pub(crate) profile: Profile,
    pub(crate) paths: Option<PathNormalization>,
}

/// All options that were given, before it is known which the command takes.
#[derive(Default)]
struct Options {
    manifests: Option<PathBuf>,
    mesh: MeshFlags,
    flags: Flags,
    batch: Option<PathBuf>,
    output: Option<Output>,
    level: Option<Level>,
    stats: bool,
}

impl Command {
    /// Reads a command line without the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let words: Vec<String> = words.collect();
        let mut words = words.iter().map(String::as_str);
        let is_help = |word: &str| matches!(word, "--help" | "-h" | "help");
        let command = match (words.next(), words.next()) {
            (None, _) => return Ok(Self::Help),
            (Some(word), _) if is_help(word) => return Ok(Self::Help),
            (Some("authz"), None) => return Ok(Self::Help),
            (Some("authz"), Some(word)) if is_help(word) => return Ok(Self::Help),
            (Some("authz"), Some(command)) => command,
            (Some(other), _) => return Err(Failure::usage(format!("unknown command {other}"))),
        };
        let mut options = Options::default();
        while let Some(word) = words.next() {
            if is_help(word) {
                return Ok(Self::Help);
            }
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value)),
                _ => (word, None),
            };
            options.take(name, inline, &mut words)?;
        }
        options.command(command)
    }
}

impl Options {
    fn take<'w>(
        &mut self,
        name: &str,
        inline: Option<&'w str>,
        words: &mut impl Iterator<Item = &'w str>,
    ) -> Result<()> {
        if name == "--stats" && inline.is_none() {
            self.stats = true;
            return Ok(());
        }
        let mut value = || {
            let value = inline.or_else(|| words.next());
            value.ok_or_else(|| Failure::usage(format!("{name} needs a value")))
        };
        match name {
            "--manifests" => once(&mut self.manifests, name, value()?.into())?,
            "--batch" => once(&mut self.batch, name, value()?.into())?,
            "--mesh-config" => once(&mut self.mesh.config, name, value()?.into())?,
            "--root-namespace" => once(&mut self.mesh.root_namespace, name, value()?.into())?,
            "--trust-domain" => {
                let domain = value()?.parse();
                let domain = domain.map_err(|error| Failure::usage(format!("{name}: {error}")))?;
                self.mesh.trust_domains.push(domain);
            }
            "--profile" => self.mesh.profile = profile(value()?)?,
            "--path-normalization" => once(&mut self.mesh.paths, name, paths(value()?)?)?,
            "--output" | "-o" => once(&mut self.output, name, output(value()?)?)?,
            "--level" => once(&mut self.level, name, level(value()?)?)?,
            _ if Flags::knows(name) => self.flags.take(name, value()?)?,
            _ => return Err(Failure::usage(format!("unknown option {name}"))),
        }
        Ok(())
    }

    fn command(self, command: &str) -> Result<Command> {
        let lints = command == "lint";
        if self.level.is_some() && !lints {
            return Err(Failure::usage("--level is for lint"));
        }
        if (self.stats || self.batch.is_some()) && command != "check" {
            return Err(Failure::usage("--batch and --stats are for check"));
        }
        if lints && !self.flags.is_empty() {
            return Err(Failure::usage("lint asks nothing about a request"));
        }
        let manifests = self.manifests;
        let manifests = manifests.ok_or_else(|| Failure::usage("--manifests DIR is missing"))?;
        let (mesh, output) = (self.mesh, self.output.unwrap_or_default());
        match command {
            "check" => {
                let asked = match self.batch {
                    Some(_) if !self.flags.is_empty() => {
                        return Err(Failure::usage(
                            "--batch has the requests; leave out other options of one",
                        ));
                    }
                    Some(file) => Asked::Batch(file),
                    None => Asked::One(self.flags.question()?),
                };
                Ok(Command::Check {
                    manifests,
                    mesh,
                    asked,
                    output,
                    stats: self.stats,
                })
            }
            "explain" => Ok(Command::Explain {
                manifests,
                mesh,
                asked: self.flags.question()?,
                output,
            }),
            "lint" => Ok(Command::Lint {
                manifests,
                mesh,
                level: self.level.unwrap_or(Level::Warning),
                output,
            }),
            other => Err(Failure::usage(format!("unknown command authz {other}"))),
        }
    }
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Failure::usage(format!("{name} is given twice"))),
    }
}

fn profile(text: &str) -> Result<Profile> {
    match text {
        "compat" => Ok(Profile::Compat),
        "strict" => Ok(Profile::Strict),
        other => Err(Failure::usage(format!(
            "--profile: expected compat or strict, got {other}"
        ))),
    }
}

fn paths(text: &str) -> Result<PathNormalization> {
    match text {
        "none" => Ok(PathNormalization::None),
        "base" => Ok(PathNormalization::Base),
        "merge-slashes" => Ok(PathNormalization::MergeSlashes),
        "decode-and-merge-slashes" => Ok(PathNormalization::DecodeAndMergeSlashes),
        other => Err(Failure::usage(format!(
            "--path-normalization: expected none, base, merge-slashes or \
             decode-and-merge-slashes, got {other}"
        ))),
    }
}

fn output(text: &str) -> Result<Output> {
    match text {
        "text" => Ok(Output::Text),
        "json" => Ok(Output::Json),
        other => Err(Failure::usage(format!(
            "--output: expected text or json, got {other}"
        ))),
    }
}

fn level(text: &str) -> Result<Level> {
    match text {
        "error" => Ok(Level::Error),
        "warning" => Ok(Level::Warning),
        "info" => Ok(Level::Info),
        other => Err(Failure::usage(format!(
            "--level: expected error, warning or info, got {other}"
        ))),
    }
}
