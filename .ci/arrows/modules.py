"""The module graph of one crate, and its cycles.

An edge says that a file mentions an item of another file. A name that a module only re-exports counts as the
module it comes from, so a parent that does nothing but re-export its children is no cycle; a child that uses an
item of a parent which mentions that child is one.
"""

import re
from pathlib import Path

from source import production

USE = re.compile(r"\buse\s+([^;]+);")
ELSEWHERE = re.compile(r'#\[path\s*=\s*"([^"]+)"\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)')
VISIBILITY = re.compile(r"\bpub\(in [^)]*\)")
PATH = re.compile(r"(?<![\w:])((?:r#)?\w+(?:::(?:r#)?\w+)+)")


class Module:
    def __init__(self, path, file, text):
        self.path, self.file, self.text = path, file, text
        self.imports = {}
        self.mentions = []


def read(source_root):
    """All modules below `source_root` by their path, such as ("", "load", "bulk"); test files are left out."""
    modules = {}
    for file in sorted(Path(source_root).rglob("*.rs")):
        parts = list(file.relative_to(source_root).with_suffix("").parts)
        if "tests" in parts or "bin" in parts:
            continue
        if parts[-1] in ("lib", "main", "mod"):
            parts.pop()
        path = ("", *parts)
        text = file.read_text()
        modules[path] = Module(path, file, production(text)[0])
        for place, module in ELSEWHERE.findall(text):
            target = (file.parent / place).relative_to(source_root).with_suffix("")
            modules[path].imports[module] = ("", *target.parts)
    for module in modules.values():
        collect(module, modules)
    return modules


def collect(module, modules):
    """Fills in what `module` imports and mentions, as absolute paths."""
    for use in USE.finditer(module.text):
        for path, name in use_tree(use.group(1)):
            absolute = absolute_path(path, module, modules)
            if absolute:
                module.mentions.append(absolute)
                module.imports[name] = absolute
    rest = VISIBILITY.sub("", USE.sub("", module.text))
    for match in PATH.finditer(rest):
        absolute = absolute_path(match.group(1).split("::"), module, modules)
        if absolute:
            module.mentions.append(absolute)


def use_tree(text):
    """The paths, with the names they bind, of a use declaration such as `a::{b, c as d}`."""
    text = text.strip()
    brace = text.find("{")
    if brace < 0:
        path, _, alias = text.partition(" as ")
        segments = [segment.strip() for segment in path.split("::")]
        if segments[-1] == "self":
            segments.pop()
        name = alias.strip() or (segments[-1] if segments else "")
        yield segments, name
        return
    prefix = [segment.strip() for segment in text[:brace].rstrip().rstrip(":").split("::") if segment.strip()]
    for part in split_commas(text[brace + 1 : text.rfind("}")]):
        for path, name in use_tree(part):
            path = prefix + path
            yield path, name or path[-1]


def split_commas(text):
    depth, part = 0, ""
    for char in text:
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            if part.strip():
                yield part
            part = ""
        else:
            part += char
    if part.strip():
        yield part


def absolute_path(segments, module, modules):
    """`segments` from the crate's root, or None when they lead out of the crate."""
    here, rest = module.path, list(segments)
    if rest[0] == "crate":
        here, rest = ("",), rest[1:]
    elif rest[0] == "self":
        rest = rest[1:]
    elif rest[0] == "super":
        while rest and rest[0] == "super":
            here, rest = here[:-1] or ("",), rest[1:]
    elif (*here, rest[0]) not in modules:
        return None
    return (*here, *rest)


def home(path, modules, depth=0):
    """The module that defines what `path` names: re-exports are followed."""
    here, rest = ("",), list(path[1:])
    while rest and (*here, rest[0]) in modules:
        here, rest = (*here, rest[0]), rest[1:]
    module = modules[here]
    if rest and rest[0] in module.imports and depth < 16:
        target = module.imports[rest[0]]
        if target != path:
            return home((*target, *rest[1:]), modules, depth + 1)
    return here


def edges(modules):
    """For each module the set of modules whose items it mentions."""
    found = {path: set() for path in modules}
    for path, module in modules.items():
        for mention in module.mentions:
            target = home(mention, modules)
            if target != path:
                found[path].add(target)
    return found


def top_level(graph):
    """The same graph with each module's descendants merged into it."""
    merged = {}
    for path, targets in graph.items():
        begin = path[:2]
        merged.setdefault(begin, set()).update(t[:2] for t in targets if t[:2] != begin)
    return merged


def cycles(graph):
    """The strongly connected components with more than one member (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph.get(node, ())):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            component = []
            while not component or component[-1] != node:
                component.append(stack.pop())
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def name(path):
    return "::".join(("crate", *path[1:]))


def faults(source_root):
    """A line for each cycle, per file and per top-level module."""
    graph = edges(read(source_root))
    for kind, each in (("files", graph), ("top-level modules", top_level(graph))):
        for component in cycles(each):
            arrows = [
                f"{name(begin)} -> {name(end)}" for begin in component for end in sorted(each[begin]) if end in component
            ]
            yield f"{source_root}: cycle of {kind}: {', '.join(arrows)}"
