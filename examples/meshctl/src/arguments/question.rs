//! A question by options, in the form that it has as JSON.

use std::io::Read;

use serde_json::{Map, Value, json};

use crate::failure::{Failure, Result};

/// The longest question in a file: 1 MiB.
const LARGEST: u64 = 1 << 20;

/// Options, and the places of their values in a question.
const PLACES: &[(&str, &[&str])] = &[
    ("--workload", &["workload"]),
    ("--service", &["service"]),
    ("--layer", &["layer"]),
    ("--identity", &["source", "identity"]),
    ("--source", &["source", "address"]),
    ("--remote-ip", &["source", "remoteIp"]),
    ("--destination", &["destination", "address"]),
    ("--sni", &["destination", "sni"]),
    ("--method", &["request", "method"]),
    ("--host", &["request", "host"]),
    ("--path", &["request", "path"]),
];

/// The options that are about one question.
#[derive(Debug, Default)]
pub(super) struct Flags {
    file: Option<String>,
    fields: Map<String, Value>,
}

impl Flags {
    pub(super) fn knows(name: &str) -> bool {
        matches!(name, "--request" | "--header" | "--claims")
            || PLACES.iter().any(|(known, _)| *known == name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.file.is_none() && self.fields.is_empty()
    }

    pub(super) fn take(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "--request" => {
                if self.file.replace(value.to_owned()).is_some() {
                    return Err(Failure::usage("--request is given twice"));
                }
            }
            "--header" => {
                let parts = value.split_once(':');
                let (header, line) =
                    parts.ok_or_else(|| Failure::usage("--header: expected 'NAME: VALUE'"))?;
                let line = json!([header, line.trim()]);
                let request = object(&mut self.fields, "request");
                let lines = request.map(|it| it.entry("headers").or_insert_with(|| json!([])));
                if let Some(Value::Array(lines)) = lines {
                    lines.push(line);
                }
            }
            "--claims" => {
                let claims = serde_json::from_str(value);
                let claims: Value = claims
                    .map_err(|error| Failure::usage(format!("--claims: expected JSON: {error}")))?;
                self.fields.insert("claims".to_owned(), claims);
            }
            _ => {
                let mut places = PLACES.iter().filter(|(known, _)| *known == name);
                let Some((_, place)) = places.next() else {
                    return Err(Failure::usage(format!("unknown option {name}")));
                };
                let before = match place {
                    [field] => self.fields.insert((*field).to_owned(), value.into()),
                    [outer, field] => object(&mut self.fields, outer)
                        .and_then(|it| it.insert((*field).to_owned(), value.into())),
                    _ => None,
                };
                if before.is_some() {
                    return Err(Failure::usage(format!("{name} is given twice")));
                }
            }
        }
        Ok(())
    }

    /// The question as JSON.
    pub(super) fn question(self) -> Result<Value> {
        let Some(file) = self.file else {
            if self.fields.is_empty() {
                return Err(Failure::usage(
                    "what is asked? --workload or --service is missing",
                ));
            }
            return Ok(Value::Object(self.fields));
        };
        if !self.fields.is_empty() {
            return Err(Failure::usage(
                "--request has the question; leave out other options of it",
            ));
        }
        let text = read(&file).map_err(|error| Failure::new(format!("{file}: {error}")))?;
        serde_json::from_str(&text).map_err(|error| Failure::new(format!("{file}: {error}")))
    }
}

fn read(file: &str) -> std::io::Result<String> {
    let mut text = String::new();
    if file == "-" {
        std::io::stdin().take(LARGEST).read_to_string(&mut text)?;
    } else {
        let file = std::fs::File::open(file)?;
        file.take(LARGEST).read_to_string(&mut text)?;
    }
    Ok(text)
}

/// The object in a field, made if it is not there.
fn object<'m>(
    fields: &'m mut Map<String, Value>,
    name: &str,
) -> Option<&'m mut Map<String, Value>> {
    fields
        .entry(name)
        .or_insert_with(|| json!({}))
        .as_object_mut()
}
