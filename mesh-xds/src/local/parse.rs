//! From the text of a local file to its shape, and from there to the model.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_path_to_error::{Segment, Track};
use serde_saphyr::{Budget, Location, Options};

use super::build::Builder;
use super::config::{LocalConfig, MAX_BYTES};
use super::error::LocalError;
use super::file;
use crate::place::Place;

/// Reads the text of a local file; `file_name` is what errors call it.
///
/// Whatever is wrong with any entry refuses the whole text: there is no partial result.
///
/// # Errors
/// [`LocalError`] with line, column, field and what was expected.
///
/// # Example
/// ```
/// let config = mesh_xds::local::parse(
///     "workloads:\n- name: web\n  namespace: default\n  workloadIps: [10.0.0.2]\n  services: {}\n",
///     "mesh.yaml",
/// )?;
/// assert_eq!(config.workloads[0].uid, "Kubernetes//Pod/default/web");
///
/// let error = mesh_xds::local::parse("workloads: 7\n", "mesh.yaml").unwrap_err();
/// assert!(error.to_string().starts_with("mesh.yaml:1:12: workloads: expected"));
/// # Ok::<(), mesh_xds::local::LocalError>(())
/// ```
pub fn parse(text: &str, file_name: &str) -> Result<LocalConfig, LocalError> {
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if bytes > MAX_BYTES {
        let file = file_name.to_owned();
        return Err(LocalError::TooLong { file, bytes });
    }
    let file = deserialize(text, file_name)?;
    Builder::new(file_name).build(file)
}

fn deserialize(text: &str, file_name: &str) -> Result<file::File, LocalError> {
    let mut track = Track::new();
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |de| {
        Option::<file::File>::deserialize(serde_path_to_error::Deserializer::new(de, &mut track))
    });
    match parsed {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(LocalError::Empty {
            file: file_name.to_owned(),
        }),
        Err(error) => {
            let location = error.location().unwrap_or(Location::UNKNOWN);
            let field = field_of(&track.path());
            let text = error.without_snippet().to_string();
            let suffix = format!(" at line {}, column {}", location.line(), location.column());
            let problem = text.strip_suffix(&suffix).unwrap_or(&text).to_owned();
            let place = Place::at(file_name, location.line(), location.column(), field);
            Err(LocalError::Invalid { place, problem })
        }
    }
}

/// Room for a file of [`MAX_BYTES`]; nesting stays small and aliases stay within the defaults.
fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_events = 16_000_000;
    budget.max_nodes = 8_000_000;
    budget.max_documents = 1;
    let mut options = Options::default();
    options.with_snippet = false;
    options.budget = Some(budget);
    options
}

/// `workloads[0].services`; without the steps that only record line and column.
fn field_of(path: &serde_path_to_error::Path) -> String {
    let mut field = String::new();
    for segment in path {
        let _ = match segment {
            Segment::Seq { index } => write!(field, "[{index}]"),
            Segment::Map { key } if key == "value" => Ok(()),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                write!(field, "{}{key}", if field.is_empty() { "" } else { "." })
            }
            Segment::Unknown => Ok(()),
        };
    }
    field
}
