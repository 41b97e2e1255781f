//! Bounds and forms of single fields.

use http::{HeaderName, HeaderValue};

use super::status::Problem;

/// A list has so many entries at most.
pub(super) fn at_most(entries: usize, most: usize, field: &str, problems: &mut Vec<Problem>) {
    if entries > most {
        problems.push(Problem::new(
            field,
            format!("{entries} entries, expected at most {most}"),
        ));
    }
}

/// A name of a header.
pub(super) fn header_name(
    text: &str,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok();
    if name.is_none() || text.len() > 256 {
        let problem = format!(
            "{:?} is no name of a header",
            text.chars().take(64).collect::<String>()
        );
        problems.push(Problem::new(field, problem));
    }
    name
}

/// A value of a header.
pub(super) fn header_value(
    text: &str,
    field: &str,
    problems: &mut Vec<Problem>,
) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text).ok();
    if value.is_none() || text.len() > 4096 {
        problems.push(Problem::new(
            field,
            "expected a value of a header of at most 4096 bytes",
        ));
    }
    value
}

/// A path to compare with: not an expression.
pub(super) fn path(text: &str, field: &str, problems: &mut Vec<Problem>) {
    let inside = ["//", "/./", "/../", "%2f", "%2F", "#"];
    let wrong = if !text.starts_with('/') {
        Some("expected to begin with /".to_owned())
    } else if text.len() > 1024 {
        Some("expected at most 1024 bytes".to_owned())
    } else if text.ends_with("/..") || text.ends_with("/.") {
        Some("expected not to end with /. or /..".to_owned())
    } else {
        let found = inside.iter().find(|part| text.contains(**part));
        found.map(|part| format!("expected to be without {part}"))
    };
    if let Some(wrong) = wrong {
        let text: String = text.chars().take(64).collect();
        problems.push(Problem::new(field, format!("{text:?}: {wrong}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_normalisation_would_change_are_refused() {
        let mut problems = Vec::new();
        for good in ["/", "/a", "/a/b/", "/a.b/..c", "/%20"] {
            path(good, "f", &mut problems);
            assert!(problems.is_empty(), "{good}: {problems:?}");
        }
        let bad = [
            "", "a", "/a//b", "/./a", "/a/../b", "/a%2fb", "/a%2Fb", "/a#b", "/a/..", "/a/.",
        ];
        for text in bad {
            path(text, "f", &mut problems);
            assert_eq!(problems.len(), 1, "{text}");
            problems.clear();
        }
        path(&format!("/{}", "a".repeat(1024)), "f", &mut problems);
        assert_eq!(problems.len(), 1);
    }
}
