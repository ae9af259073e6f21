"""
What the checks of `golden/support.yaml` find of false answers by hand, all of them and without two.

Usage: python -m benchmarks.lies.golden [--misses]. It calls the reference app once, with its own model.

Nobody who wrote a check, a weight or a bound had seen those of `unseen`, which are in
`tests/gate/data/false_answers.yaml`. The bound of the golden file and the sentences that it allows were
chosen while looking at those of `app`. Intervals are Wilson's.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from pytest_llmops import load_golden
from pytest_llmops.features.mutate import measuring
from pytest_llmops.features.mutate.answers import Mutant
from pytest_llmops.features.mutate.kinds import read_kinds
from pytest_llmops.settings import load_settings
from pytest_llmops.statistics.intervals import wilson_interval

_ROOT = Path(__file__).parents[2]
_APP = Path(__file__).parent / "app"
_UNSEEN = _ROOT / "tests/gate/data/false_answers.yaml"
_WITHOUT = frozenset({"supported", "answers"})
_KIND = "condition"  # given to every lie; `change` names its set


def read_lies() -> dict[str, list[tuple[str, str]]]:
    """Return the false answers of each case by set; one that begins with a space is appended."""
    unseen, app = _read(_UNSEEN), _read(_APP / "support.yaml")
    lies: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in unseen["false_answers"]:
        lies[row["case"]].append(("unseen, in place of the answer", row["text"]))
    for row in unseen["false_sentences"]:
        lies[row["case"]].append(("unseen, appended", f" {row['sentence']}"))
    for case, texts in app.items():
        lies[case] += [("app, in place of the answer", text) for text in texts.values()]
    return lies


def main() -> None:
    golden = load_golden(_ROOT / "golden/support.yaml", root=_ROOT)
    lies, appended = read_lies(), _read(_APP / "appended.yaml")
    gone = lies.keys() - {case.id for case in golden.cases}
    print(f"left out, of cases that are gone: {sum(len(lies[case]) for case in gone)} lies\n")

    def mutate(answer: str, *, seed: str, **_: Any) -> Iterator[Mutant]:
        """Yield the lies about a case; its id is the seed."""
        for name, text in lies[seed.rpartition("::")[2]]:
            yield Mutant(kind=_KIND, text=answer + text if text.startswith(" ") else text, change=name)
        for sentence in appended:
            yield Mutant(kind=_KIND, text=f"{answer} {sentence}", change="app, appended")

    with patch.object(measuring, "answer_mutants", mutate):
        measured = measuring.measure([golden], load_settings(_ROOT), read_kinds(_KIND, "--only"))
    found: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for trial in measured.strength.trials:
        others = {name.partition(" ")[0] for name in trial.killers} - _WITHOUT
        found[trial.mutation.change].append((trial.is_killed, bool(others)))
        if not trial.is_killed and "--misses" in sys.argv and trial.mutation.output:
            print(f"{trial.case} {trial.outcome}: {trial.mutation.output.text}")
    print("| lies | found | without `supported` and `answers` |\n|---|---|---|")
    for name, each in sorted(found.items()):
        columns = [_describe([red[at] for red in each]) for at in (0, 1)]
        print(f"| {name} | {' | '.join(columns)} |")


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _describe(reds: list[bool]) -> str:
    count, of = sum(reds), len(reds)
    low, high = wilson_interval(count / of, of)
    return f"{count} of {of}: {count / of:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
