"""Checks the arrows of ARCHITECTURE.md: `python3 .ci/arrows`, from the root of the repository.

Crate edges, runtime-free crates, cycles between modules, and sizes of files and functions.
"""

import sys
from pathlib import Path

import crates
import modules
import sizes


def main():
    packages = crates.members()
    faults = list(crates.edge_faults(packages))
    for arguments, unwanted in crates.FREE_OF:
        faults += crates.tree_faults(arguments, unwanted)
    for package in packages:
        root = Path(package["manifest_path"]).parent.relative_to(Path.cwd())
        faults += modules.faults(root / "src")
        faults += sizes.faults(root / "src")
    for fault in faults:
        print(fault)
    print(f"arrows: {len(packages)} crates, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
