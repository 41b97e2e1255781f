//! What a mesh's policies decide, why, and what is questionable about them.
#![forbid(unsafe_code)]

mod answer;
mod arguments;
mod case;
mod check;
mod configuration;
mod decide;
mod explain;
mod failure;
mod lint;
mod manifests;
mod mesh;
mod party;
mod question;
mod request;
mod style;
mod unknown;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use answer::{Answer, Word};
use arguments::{Asked, Command, HELP, MeshFlags, Output};
use configuration::Configuration;
use failure::{Failure, Result};
use manifests::Manifests;
use mesh::Mesh;
use style::Style;

const DENIED: u8 = 1;
const FAILED: u8 = 2;
const UNDECIDED: u8 = 3;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("meshctl: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run() -> Result<u8> {
    match Command::parse(std::env::args().skip(1))? {
        Command::Help => written(write!(io::stdout(), "{HELP}")).map(|()| 0),
        Command::Check {
            manifests,
            mesh,
            asked,
            output,
            stats,
        } => {
            let mesh = load(&manifests, &mesh)?;
            match asked {
                Asked::Batch(file) => check::batch(&mesh, &file, stats).map(|()| 0),
                Asked::One(asked) => {
                    let answer = check::one(&mesh, &asked)?;
                    written(print(&answer, output))?;
                    Ok(code(&answer))
                }
            }
        }
        Command::Explain {
            manifests,
            mesh,
            asked,
            output,
        } => {
            let mesh = load(&manifests, &mesh)?;
            let told = explain::explain(&mesh, &asked)?;
            written(match output {
                Output::Json => json(&told),
                Output::Text => explain::write(&told, Style::of_output(), io::stdout().lock()),
            })?;
            Ok(code(&told.answer))
        }
        Command::Lint {
            manifests,
            mesh,
            level,
            output,
        } => {
            let configuration = Configuration::of(&mesh)?;
            let manifests = Manifests::read(&manifests, &configuration.settings)?;
            let found = lint::find(&manifests, &configuration, level);
            let to = io::stdout().lock();
            written(match output {
                Output::Json => lint::write_json(&found, to),
                Output::Text => lint::write_text(&found, Style::of_output(), to),
            })?;
            manifests.all_right()?;
            Ok(u8::from(!found.is_empty()))
        }
    }
}

fn load(manifests: &Path, flags: &MeshFlags) -> Result<Mesh> {
    let configuration = Configuration::of(flags)?;
    let manifests = Manifests::read(manifests, &configuration.settings)?.all_right()?;
    Mesh::new(manifests.inventory, configuration)
}

fn print(answer: &Answer, output: Output) -> io::Result<()> {
    if output == Output::Json {
        let text = serde_json::to_string(answer)?;
        return writeln!(io::stdout(), "{text}");
    }
    let style = Style::of_output();
    let word = answer.decision.text();
    let word = match answer.decision {
        Word::Allow => style.green(word),
        Word::Deny => style.red(word),
        Word::Undecided => style.yellow(word),
    };
    let status = answer
        .status
        .map_or_else(String::new, |status| format!(" ({status})"));
    let rule = match (&answer.policy, answer.rule) {
        (Some(policy), Some(rule)) => format!(" [{policy}, rule {rule}]"),
        _ => String::new(),
    };
    writeln!(io::stdout(), "{word}{status}: {}{rule}", answer.reason)
}

fn json(value: &impl serde::Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    writeln!(io::stdout(), "{text}")
}

fn code(answer: &Answer) -> u8 {
    match answer.decision {
        Word::Allow => 0,
        Word::Deny => DENIED,
        Word::Undecided => UNDECIDED,
    }
}

/// Whoever reads what is written may have had enough.
fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}
