"""Runs the fresh draw and the doses, one process at a time; what was measured before is taken up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.doses.asking import ask_adapter, read_answers
from benchmarks.doses.drawing import (
    Question,
    choose,
    draw_committed,
    draw_fresh,
    load_refusals,
    of_task,
    write,
)
from benchmarks.doses.gating import GateVerdict, load_verdict, run_gate
from benchmarks.doses.perturbing import DOSES, Dose, perturb
from benchmarks.doses.scoring import REFUSED, Share, count_changed, measure_answers, measure_plans
from reference_app.settings import HERE

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "doses"
ADAPTER = HERE / "adapter" / "adapter.gguf"
ASKED = 60  # questions for each dose, and for the base, whose prompt with its examples takes long


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Shares of one set of questions; of `base` those that were asked."""

    label: str
    adapter: Mapping[str, Share]
    base: Mapping[str, Share]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """
    What a dose did.

    Attributes:
        before: The same shares of the unharmed adapter, on the questions that the damaged one was asked.
        changed: Plans that are worded otherwise than those of the unharmed adapter.
        verdict: None where the gate was not run.
    """

    dose: Dose
    plans: Mapping[str, Share]
    before: Mapping[str, Share]
    changed: int
    verdict: GateVerdict | None


def measure_fresh(heard: Callable[[str], None]) -> None:
    """Ask the adapter all questions, and its base a sample."""
    for name, questions in _sets().items():
        path = write(questions, WORK / "questions" / f"{name}.jsonl")
        heard(f"adapter, {name}: {len(questions)} questions")
        ask_adapter(ADAPTER, path, _answers("adapter", name))
    for name in ("doses", "refusals"):
        questions = _dosed() if name == "doses" else load_refusals()
        path = write(questions, WORK / "questions" / f"base-{name}.jsonl")
        heard(f"base with its own prompt, {name}: {len(questions)} questions")
        ask_adapter(ADAPTER, path, _answers("base", name), base=True)


def measure_doses(heard: Callable[[str], None]) -> None:
    path = write(_dosed(), WORK / "questions" / "dosed.jsonl")
    for dose in DOSES:
        adapter = perturb(ADAPTER, dose, WORK / "adapters")
        heard(f"{dose.label}: {ASKED} questions, then the gate")
        ask_adapter(adapter, path, _answers("dose", dose.name))
        heard(str(run_gate(adapter, WORK / "home", _verdict(dose))))


def list_splits() -> Iterator[Split]:
    """Of what was answered so far."""
    sets = _sets()
    for name, label in (
        ("committed-plans", "committed test split"),
        ("fresh-plans", "drawn anew"),
        ("refusals", "to refuse, written anew"),
    ):
        base = {"fresh-plans": "doses", "refusals": "refusals"}.get(name)
        kept = REFUSED if name == "refusals" else None
        yield Split(
            label=label,
            adapter=measure_plans(sets[name], read_answers(_answers("adapter", name)), kept),
            base=measure_plans(sets[name], read_answers(_answers("base", base)), kept) if base else {},
        )
    answers = read_answers(_answers("adapter", "fresh-answers"))
    yield Split(label="answers, drawn anew", adapter=measure_answers(sets["fresh-answers"], answers), base={})


def list_responses() -> Iterator[Response]:
    """Of the doses that were measured so far; all on the same questions."""
    questions, unharmed = _dosed(), read_answers(_answers("adapter", "fresh-plans"))
    for dose in DOSES:
        answers = unharmed if dose.spoil is None else read_answers(_answers("dose", dose.name))
        verdict = load_verdict(_verdict(dose))
        if answers or verdict:
            yield Response(
                dose=dose,
                plans=measure_plans(questions, answers),
                before=measure_plans([one for one in questions if one["id"] in answers], unharmed),
                changed=count_changed(questions, answers, unharmed),
                verdict=verdict,
            )


def _sets() -> dict[str, list[Question]]:
    fresh = draw_fresh()
    return {
        "fresh-plans": of_task(fresh, plan=True),
        "refusals": load_refusals(),
        "committed-plans": of_task(draw_committed(), plan=True),
        "fresh-answers": of_task(fresh, plan=False),
    }


def _dosed() -> list[Question]:
    return choose(of_task(draw_fresh(), plan=True), ASKED)


def _answers(system: str, name: str) -> Path:
    return WORK / "answers" / f"{system}-{name}.jsonl"


def _verdict(dose: Dose) -> Path:
    return WORK / "verdicts" / f"{dose.name}.json"
