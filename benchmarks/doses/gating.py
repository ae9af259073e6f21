"""What the gate makes of an adapter: `golden/adapter.yaml` against the committed baseline."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "golden" / "adapter.yaml"
TIMEOUT_S = 900
_SUITE = re.compile(r"^_+ suite\[(\w+)\] _+$", re.MULTILINE)
_CASE = re.compile(r"^_+ (?!suite\[)(\S+) _+$", re.MULTILINE)
_ROW = re.compile(r"^(\w+) mean \S+ \S+ +(\S+) +\S+ +\S+ +.*?(\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """
    Attributes:
        code: Of pytest: 0 green, 1 red, anything else no verdict.
        suite: Names of the behaviours that turned it red.
        cases: How many cases did.
        observed: Behaviour to its mean.
        undecided: Behaviours of which the gate could not tell.
    """

    code: int
    suite: tuple[str, ...]
    cases: int
    observed: dict[str, float]
    undecided: tuple[str, ...]


def run_gate(adapter: Path, home: Path, kept: Path) -> GateVerdict:
    """
    The verdict with the settings of `make golden`; one that is kept for this adapter is not asked for again.

    Args:
        home: Keeps recorded calls, so that the base is asked once for all adapters.
        kept: Where the verdict is written, and beside it what the run printed.
    """
    if (known := load_verdict(kept)) is None:
        command = [sys.executable, "-m", "pytest", "--llm-golden", str(GOLDEN), "-p", "no:hypothesispytest"]
        command += ["-p", "no:cacheprovider", "-o", f"llm_home={home}"]
        environment = {**os.environ, "REFERENCE_APP_ADAPTER": str(adapter), "COLUMNS": "120"}
        done = subprocess.run(  # noqa: S603
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.with_suffix(".txt").write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode not in {0, 1}:
            sys.exit(f"{adapter}: no verdict (exit status {done.returncode}), see {kept.with_suffix('.txt')}")
        known = _read(done.returncode, done.stdout)
        kept.write_text(json.dumps(asdict(known)), encoding="utf-8")
    return known


def load_verdict(kept: Path) -> GateVerdict | None:
    if not kept.exists():
        return None
    verdict = json.loads(kept.read_text(encoding="utf-8"))
    return GateVerdict(**{**verdict, **{name: tuple(verdict[name]) for name in ("suite", "undecided")}})


def _read(code: int, printed: str) -> GateVerdict:
    rows = _ROW.findall(printed)
    return GateVerdict(
        code=code,
        suite=tuple(dict.fromkeys(_SUITE.findall(printed))),
        cases=len(_CASE.findall(printed)),
        observed={name: float(value) for name, value, _ in rows},
        undecided=tuple(dict.fromkeys(name for name, _, outcome in rows if outcome == "undecided")),
    )
