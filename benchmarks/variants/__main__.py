"""
Runs every system that is installed here on its golden file, and writes the tables of docs/variants.md.

    python -m benchmarks.variants            # live runs of all, one after the other; about ten minutes
    python -m benchmarks.variants autogen    # of one system and of its reference
    python -m benchmarks.variants --stored   # only the tables, from the runs that are stored
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.variants.systems import GROUPS, ROOT, run
from benchmarks.variants.table import render

PAGE = ROOT / "docs" / "variants.md"
BEGIN, END = "<!-- tables: python -m benchmarks.variants -->\n", "<!-- end of tables -->"


def main(named: list[str]) -> int:
    known = {each.name for systems in GROUPS.values() for each in systems[1:]}
    if unknown := [name for name in named if name not in known and name != "--stored"]:
        print(f"there is no system {unknown[0]}; there are {', '.join(sorted(known))}")
        return 2
    if "--stored" not in named:
        with tempfile.TemporaryDirectory() as folder:
            for reference, *others in GROUPS.values():
                chosen = [each for each in others if not named or each.name in named]
                missing = [each for each in chosen if not each.is_installed]
                for each in missing:
                    print(f"{each.name}: not installed; run `make variant NAME={each.name}`")
                installed = [each for each in chosen if each not in missing]
                for each in (reference, *installed) if installed else ():
                    print(f"{each.name}: {run(each, Path(folder))}", flush=True)
    PAGE.write_text(insert(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE)
    return 0


def insert(page: str) -> str:
    """The page with the tables of the stored runs."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{render()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
