//! The labels of a pod, as Kubernetes' downward API writes them into a file.

use std::io;
use std::path::Path;

use mesh_authz::kube::Labels;

/// Why the labels of the waypoint's own pod cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PodLabelsError {
    #[error("cannot read the labels of the pod in {file}")]
    Read {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("{file}:{line}: expected name=\"value\"")]
    Line { file: String, line: usize },
}

/// The labels in a file; none where there is no file.
///
/// # Errors
/// [`PodLabelsError`].
pub(crate) fn read(file: &Path) -> Result<Labels, PodLabelsError> {
    let name = || file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => parse(&text).map_err(|line| PodLabelsError::Line { file: name(), line }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Labels::new()),
        Err(source) => Err(PodLabelsError::Read {
            file: name(),
            source,
        }),
    }
}

/// Lines of `name="value"`; the number of a line that is none. Values of labels have no characters that would be
/// escaped.
fn parse(text: &str) -> Result<Labels, usize> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.is_empty());
    let label = |(line, number): (&str, usize)| {
        let (name, value) = line.split_once('=').ok_or(number)?;
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        let value = value.filter(|value| !value.contains(['"', '\\']));
        Ok((name.to_owned(), value.ok_or(number)?.to_owned()))
    };
    lines.map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form is that of Kubernetes' documentation of the downward API.
    #[test]
    fn each_line_is_a_label() {
        let text = "gateway.networking.k8s.io/gateway-name=\"wp\"\nempty=\"\"\n";
        let labels = parse(text).unwrap();
        let pairs: Vec<_> = labels
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            pairs,
            [
                ("empty", ""),
                ("gateway.networking.k8s.io/gateway-name", "wp")
            ]
        );
        assert_eq!(parse(""), Ok(Labels::new()));
        for text in ["a", "a=b", "a=\"b", "a=\"", "a=\"b\"c\"", "a=\"\\\"\""] {
            assert_eq!(parse(&format!("x=\"y\"\n{text}\n")), Err(2), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_has_none() {
        assert_eq!(read(Path::new("./no/such/file")).unwrap(), Labels::new());
        assert!(read(Path::new("Cargo.toml")).is_err());
    }
}
