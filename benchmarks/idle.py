"""
What the idle plugin adds to a project that does not use it: sessions with and without, in turn.

Prints medians in milliseconds and the difference; the limit is 10 ms. Usage: python benchmarks/idle.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 25
OTHERS = (
    "-p",
    "no:cacheprovider",
    "-p",
    "no:hypothesispytest",
    "-p",
    "no:langsmith_plugin",
    "-p",
    "no:anyio",
)


def session_ms(folder: Path, *arguments: str) -> float:
    command = [sys.executable, "-m", "pytest", "-q", *OTHERS, *arguments]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=os.environ)  # noqa: S603
    return (time.perf_counter() - started) * 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_it.py").write_text("".join(f"def test_{n}(): pass\n" for n in range(100)))
        pairs = [(session_ms(folder), session_ms(folder, "-p", "no:llmops")) for _ in range(PAIRS + 2)][2:]
    idle, blocked = (statistics.median(column) for column in zip(*pairs, strict=True))
    difference = statistics.median(with_it - without for with_it, without in pairs)
    print(
        f"100 tests: idle {idle:.1f} ms, blocked {blocked:.1f} ms; difference {difference:.1f} ms (limit 10)"
    )


if __name__ == "__main__":
    main()
