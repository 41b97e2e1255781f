"""Rust source as the checks see it: without comments, the insides of literals, and test-only items."""

import re

TOKEN = re.compile(
    r"""
      //[^\n]*
    | /\*.*?\*/
    | \b(?:b|c|br|cr|r)?(?P<hashes>\#*)"(?:(?<=r")|(?<=\#")).*?"(?P=hashes)(?!\#)
    | \b(?:b|c)?"(?:\\.|[^"\\])*"
    | "(?:\\.|[^"\\])*"
    | b?'(?:\\(?:u\{[0-9a-fA-F_]+\}|x[0-9a-fA-F]{2}|.)|[^\\'\n])'
    """,
    re.VERBOSE | re.DOTALL,
)
TEST_ONLY = re.compile(r"#\[cfg\((?:test|all\(test\b[^\]]*)\)\]")
OPEN, CLOSE = "([{", ")]}"


def blank(text):
    """Spaces in place of what is not a line break."""
    return re.sub(r"[^\n]", " ", text)


def code(text):
    """`text` with comments and literals blanked; lines keep their numbers."""
    return TOKEN.sub(lambda token: blank(token.group()), text)


def item_end(text, start):
    """The position after the item that begins at `start` (attributes and a doc comment may come first)."""
    position = start
    while attribute := re.compile(r"\s*#\[").match(text, position):
        position = block_end(text, attribute.end() - 1)
    is_use = re.compile(r"\s*(?:pub(?:\([^)]*\))?\s+)?(?:use|static|const\s+\w+\s*:|type)\b").match(text, position)
    while position < len(text):
        char = text[position]
        if char == ";":
            return position + 1
        if char in OPEN:
            position = block_end(text, position)
            if char == "{" and not is_use:
                return position
        else:
            position += 1
    return position


def block_end(text, start):
    """The position after the bracket that closes the one at `start`."""
    depth = 0
    for position in range(start, len(text)):
        if text[position] in OPEN:
            depth += 1
        elif text[position] in CLOSE:
            depth -= 1
            if depth == 0:
                return position + 1
    return len(text)


def production(text):
    """`code(text)` without items under `#[cfg(test)]`, and the number of its lines that are left."""
    text = code(text)
    test_lines = 0
    while mark := TEST_ONLY.search(text):
        end = item_end(text, mark.end())
        removed = text[mark.start() : end]
        test_lines += removed.count("\n") + 1
        text = text[: mark.start()] + blank(removed) + text[end:]
    return text, text.count("\n") - test_lines


def functions(text):
    """Name, first line and length in lines of each function that has a body; `text` comes from `production`."""
    for start in re.finditer(r"\bfn\s+(\w+)", text):
        end = item_end(text, start.start())
        if text[end - 1 : end] == "}":
            yield start.group(1), text.count("\n", 0, start.start()) + 1, text.count("\n", start.start(), end) + 1
