"""Sizes of files and functions."""

from pathlib import Path

from source import functions, production

FILE_LINES = 500
GENERATED = "@generated"
FUNCTION_LINES = 80


def faults(root):
    """A line for each file or function below `root` that is too long, tests not counted."""
    for file in sorted(Path(root).rglob("*.rs")):
        if "tests" in file.with_suffix("").relative_to(root).parts:
            continue
        if GENERATED in file.read_text().partition("\n")[0]:
            continue
        text, lines = production(file.read_text())
        if lines > FILE_LINES:
            yield f"{file}: {lines} lines outside of tests, at most {FILE_LINES}"
        for name, line, length in functions(text):
            if length > FUNCTION_LINES:
                yield f"{file}:{line}: fn {name} has {length} lines, at most {FUNCTION_LINES}"
