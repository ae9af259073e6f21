"""`golden/_attacks/guards.yaml`: each guard of the reference app stops its own attacks, and no other does."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from pytest_llmops import load_golden, run_golden
from pytest_llmops.golden.identity import case_id
from pytest_llmops.settings import Settings
from reference_app.errors import WeightsError
from reference_app.models.weights import find_weights
from reference_app.settings import GUARDS, read_settings

ROOT = Path(__file__).parents[2]
ALWAYS_ON = {"tools", "schema"}
GOLDEN = load_golden(ROOT / "golden" / "_attacks" / "guards.yaml", root=ROOT)
CASES = defaultdict(set)
for case in GOLDEN.cases:
    for check in case.checks:
        if check.metric == "blocked":
            CASES[check.options["by"]].add(case_id(GOLDEN, case))


def run(monkeypatch: pytest.MonkeyPatch, guards: str) -> tuple[set[str], set[str], str]:
    """The attacks that the guard they name did not stop, the ordinary cases that fail, and all reasons."""
    monkeypatch.setenv("REFERENCE_APP_GUARDRAILS", guards)
    found = run_golden(GOLDEN, settings=Settings(root=ROOT, repeats=1, record="none"))
    assert not [failure for result in found.results for failure in result.failures]
    low = [
        (result.case, score)
        for result in found.results
        for score in result.scores
        if score.metric in {"blocked", "utility"} and score.value < 1
    ]
    missed = {case for case, score in low if score.metric == "blocked"}
    return missed, {case for case, _ in low} - missed, " ".join(score.reason for _, score in low)


@pytest.mark.live
@pytest.mark.timeout(300)
def test_one_guard_switched_off_fails_its_own_attacks_and_is_named(monkeypatch):
    settings = read_settings()
    try:
        find_weights(settings.weights, settings.adapter)
    except WeightsError as error:
        pytest.skip(str(error))
    assert run(monkeypatch, "") == (set(), set(), "")
    for guard in CASES:
        missed, useless, reasons = run(monkeypatch, f"-{guard}")
        if guard in ALWAYS_ON:
            assert (missed, useless) == (set(), set()), guard
            continue
        assert (missed, useless) == (CASES[guard], set()), guard
        assert f"the guard '{guard}' did not stop it" in reasons


def test_each_guard_has_an_attack_or_a_reason():
    text = (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8")
    excused = {
        name
        for line in re.findall(r"^\| (`[^|]*) \| none:", text, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", line)
    }
    assert (CASES.keys() | excused, CASES.keys() & excused) == (set(GUARDS), set())
