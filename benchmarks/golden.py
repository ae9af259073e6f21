"""
From a clone to the verdict on a machine with empty caches, then again, replayed.

Clones this checkout's HEAD, runs `make golden` twice and prints wall seconds; the limits are 240 s for
the first (150 s of it the cases) and 5 s for the second. Usage: python benchmarks/golden.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def make_golden_s(clone: Path, environment: dict[str, str]) -> tuple[float, str]:
    started = time.perf_counter()
    told = subprocess.run(
        ["make", "golden"],  # noqa: S607
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        sys.exit(told.stdout + told.stderr)
    return time.perf_counter() - started, told.stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder / "clone")], check=True)  # noqa: S603, S607
        environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        for title, limit in (("bare machine", 240), ("second run", 5)):
            seconds, told = make_golden_s(folder / "clone", environment)
            cases = re.findall(r"made, .* ([0-9.]+) s$", told, re.MULTILINE)
            calls = re.findall(r"[\d,]+ model calls made, [\d,]+ replayed", told)
            print(f"{title}: {seconds:.1f} s (limit {limit}), cases {cases[-1]} s, {calls[-1]}")


if __name__ == "__main__":
    main()
