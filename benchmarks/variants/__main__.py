"""
Runs every system that is installed here on its golden file, and writes the tables of docs/variants.md.

    python -m benchmarks.variants            # live runs of all, one after the other; about fifteen minutes
    python -m benchmarks.variants autogen    # of one system and of its reference
    python -m benchmarks.variants --stored   # only the tables, from the runs that are stored
    python -m benchmarks.variants --accept   # stores runs with more errors than the stored ones, too
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.variants.systems import BASELINES, GROUPS, ROOT, NotStoredError, System, run
from benchmarks.variants.table import render

PAGE = ROOT / "docs" / "variants.md"
BEGIN, END = "<!-- tables: python -m benchmarks.variants -->\n", "<!-- end of tables -->"
KNOWN = [
    *(each.name for systems in GROUPS.values() for each in systems[1:]),
    *(one.name for one in BASELINES),
]


def main() -> int:
    """0, or 1 if a system is not installed or its run was not stored."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants")
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(KNOWN))
    parser.add_argument("--stored", action="store_true")
    parser.add_argument("--accept", action="store_true")
    given = parser.parse_args()
    if unknown := sorted(set(given.systems) - set(KNOWN)):
        parser.error(f"there is no system {unknown[0]}; there are {', '.join(KNOWN)}")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for system in () if given.stored else list_systems(given.systems):
            try:
                said = run(system, Path(folder), accept=given.accept)
            except NotStoredError as error:
                failed, said = True, f"not stored: {error}"
            print(f"{system.name}: {said}", flush=True)
    PAGE.write_text(insert(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE)
    return int(failed)


def list_systems(named: list[str]) -> list[System]:
    """Those that are named, or all, after the references of their groups."""
    listed = list[System]()
    for reference, *others in (*GROUPS.values(), (None, *BASELINES)):
        chosen = [other for other in others if not named or other.name in named]
        listed += [reference, *chosen] if reference and chosen else chosen
    return listed


def insert(page: str) -> str:
    """The page with the tables of the stored runs."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{render()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    sys.exit(main())
