"""Which crate may depend on which, and what must not be below them."""

import json
import subprocess

# Dependencies inside the family; crates that are not named (examples) may use everything.
ALLOWED = {
    "mesh-core": set(),
    "mesh-authz": {"mesh-core"},
    "mesh-hbone": {"mesh-core"},
    "mesh-l7": {"mesh-core"},
    "mesh-xds": {"mesh-core", "mesh-authz", "mesh-l7"},
}
RUNTIMES = {"tokio", "async-std", "smol", "async-executor", "mio"}
# Arguments of `cargo tree`, and the crates that must not show up there.
FREE_OF = [
    (["-p", "mesh-core", "--no-default-features"], RUNTIMES | {"rustls"}),
    (["-p", "mesh-core", "--all-features"], RUNTIMES),
    (["-p", "mesh-authz", "--no-default-features"], RUNTIMES),
    (["-p", "mesh-hbone"], {"prost", "tonic", "hyper"}),
]


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def members():
    """The packages of the workspace, as `cargo metadata` describes them."""
    return json.loads(cargo("metadata", "--no-deps", "--format-version", "1"))["packages"]


def edge_faults(packages):
    """A line for each dependency inside the family that is not allowed; development dependencies are free."""
    for package in packages:
        allowed = ALLOWED.get(package["name"])
        if allowed is None:
            continue
        for dependency in package["dependencies"]:
            inside = dependency["name"] in ALLOWED or dependency.get("path")
            if dependency["kind"] != "dev" and inside and dependency["name"] not in allowed:
                yield f"{package['name']} must not depend on {dependency['name']}"


def tree_faults(arguments, unwanted):
    """A line for each unwanted crate below the package that `arguments` pick."""
    tree = cargo("tree", *arguments, "-e", "normal", "--prefix", "none", "--format", "{p}")
    present = {line.split()[0] for line in tree.splitlines() if line.strip()}
    for crate in sorted(present & unwanted):
        yield f"`cargo tree {' '.join(arguments)}` has {crate}"
