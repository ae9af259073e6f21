"""
Settings that can be given as flags: `--llm-NAME` of pytest and `--NAME` of `llmops run`.

No import stands here but of the standard library, since every run of pytest reads this table.
"""

from __future__ import annotations

from typing import Any

FLAGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("app", {"metavar": "MODULE:ATTR", "help": "the app under test; overrides what golden files name"}),
    (
        "baseline",
        {
            "metavar": "FILE|git:REF",
            "help": "compare with this (default: golden/baseline.json, if there is one)",
        },
    ),
    ("out", {"metavar": "RUN.json", "help": "write the run to this file"}),
    ("record", {"metavar": "MODE", "help": "cassettes: none, once, new (default) or all"}),
    ("repeats", {"metavar": "N|auto", "help": "ask each case N times, or again while a verdict is open"}),
    ("budget", {"metavar": "USD", "help": "what model calls may cost: 2.50, or '500 calls'"}),
    ("concurrency", {"metavar": "N", "help": "cases in work at once, in each process (default 150)"}),
    ("timeout-s", {"metavar": "S", "help": "time limit of one answer in seconds (default 120)"}),
)
"""The flag's name, and what argparse takes. The setting has an underscore for each hyphen."""

INI_KEYS: tuple[tuple[str, str], ...] = (
    ("golden", "golden files or folders (default: golden/)"),
    ("collect", "true adds the golden files to whatever pytest collects, also without --llm-golden"),
    ("home", "folder for runs, cache and local cassettes (default: .llmops)"),
    ("accepted", "the accepted baseline (default: golden/baseline.json)"),
    ("cassettes", "folder for committed cassettes (default: golden/cassettes)"),
    ("undecided", "what an undecided verdict does to the build: pass, warn (default) or fail"),
    ("max_repeats", "the most that repeats auto asks a case (default 64)"),
    ("known_failures", "what a case that failed in the baseline too does: pass, warn (default) or fail"),
)
"""Settings with an ini key in pytest and no flag there; `llmops run`, which reads no such key, has flags."""
