"""The model card, written from the figures of `adapter.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(__file__).with_suffix(".md")
GOALS = {
    "json_valid": 0.99,
    "schema_valid": 0.95,
    "intent": 0.90,
    "arguments_exact": 0.90,
    "professional": 0.95,
    "out_of_scope_refused": 0.90,
}
MEANINGS = {
    "json_valid": "plan is JSON",
    "schema_valid": "plan keeps the schema",
    "intent": "names of the calls right",
    "arguments_exact": "calls of tools exact, with every argument",
    "query_exact": "query for the documents as the question has it",
    "out_of_scope_refused": "out of scope or adversarial: refused",
    "greeting_answered": "greeting, thanks, talk: the reply that belongs to it",
    "missing_asked": "asks for what is missing",
    "professional": "answer in the shop's voice",
    "verdict_first": "a question for yes or no begins with the right one",
    "citation_right": "section cited exactly, none with facts",
    "numbers_right": "numbers as in the passage's sentence",
    "ids_copied": "every id and value of the facts copied",
    "unknown_said": "says so where the passage has no answer",
    "rouge_l": "ROUGE-L of answers (mean)",
    "general_ability": "passages from outside the shop",
    "seconds": "seconds a question (mean)",
}


def write_card(path: Path, summary: Mapping[str, Any]) -> None:
    """Write `README.md` beside the adapter, from what `adapter.json` holds."""
    recipe, test = summary["recipe"], summary["test"]
    tone = test["tone"]["tone_check"]
    text = TEMPLATE.read_text(encoding="utf-8").format(
        base=summary["base"]["file"],
        fingerprint=summary["base"]["fingerprint"],
        data=summary["data"]["sha256"][:16],
        start=_START.format(summary["start"][:16]) if summary["start"] else "",
        seconds=summary["training_cpu_seconds"],
        exact=summary["validation"]["after_preferences"]["exact"],
        table="\n".join(_row(name, test) for name in MEANINGS if name in test["adapter"]),
        tone=f"{tone['value']:.3f} of {tone['n']} answers (95 % lower bound {tone['lower_95']:.3f})",
        **{name: recipe[name] for name in recipe},
    )
    path.write_text(text, encoding="utf-8")


def _row(name: str, test: Mapping[str, Any]) -> str:
    one, other = test["adapter"][name], test["base"].get(name)
    lower = f"{one['lower_95']:.3f}" if "lower_95" in one else "-"
    goal = f"{GOALS[name]:.2f}" if name in GOALS else "-"
    base = f"{other['value']:.3f} (n {other['n']})" if other else "-"
    return f"| {MEANINGS[name]} | {one['n']} | {one['value']:.3f} | {lower} | {goal} | {base} |"


_START = """It was trained on from the adapter before it (SHA-256 of its matrices begins with `{}`), which
planned routes and had learnt the shop's voice; a training from nothing takes three epochs. """
