"""
How good the reference app's adapter is on the test split drawn anew, and how much damage it bears.

Usage: python benchmarks/adapter.py [--doses]; prints rows of Markdown for docs/adapter.md. The first takes
about three minutes of one quiet core, `--doses` six. `python -m reference_app.training --evaluate` measures
the committed test split, and `--power` simulates how many cases the gate needs.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.doses.measuring import measure_doses, measure_fresh
from benchmarks.doses.power import measure_power


def main() -> None:
    if "--doses" in sys.argv:
        for row in measure_doses(Path("build/doses")):
            print(row, flush=True)
    elif "--power" in sys.argv:
        for power in measure_power():
            shares = " | ".join(f"{share:.2f}" for share in (power.falls, power.both, power.neutral))
            print(f"| {power.cases} | {power.max_drop:g} | {shares} |")
    else:
        for share in measure_fresh():
            print(share, flush=True)


if __name__ == "__main__":
    main()
