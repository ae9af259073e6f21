"""How good the adapter is on the test split, beside its base: what counts as right, and how often it is."""

from __future__ import annotations

import json
import re
import time
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from reference_app.training.answers import UNKNOWN
from reference_app.training.corpus import build_corpus
from reference_app.training.engine import OFF, ON, open_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reference_app.training.example import Example

    Measures = dict[str, dict[str, float]]

SCHEMA = Path(__file__).parents[2] / "golden" / "plan.schema.json"
PLAN_TOKENS, ANSWER_TOKENS = 128, 96
LEVEL = 0.95
ALONE = {
    "refuse": "out_of_scope_refused",
    "reply": "greeting_answered",
    "ask": "missing_asked",
    "search_documents": "query_exact",
}
CASUAL = re.compile(
    r"!|\A\s*(?![A-Z0-9£\"])|(?<![.?\])\"])\s*\Z|\b\w+['\u2019](?:ll|re|ve|m|d)\b|n['\u2019]t\b|'em\b|"
    r"\b[Ii]t['\u2019]s\b|\b\w+in['\u2019](?!\w)|, (?:right|ok|okay|k|yeah|huh|eh|cool)\?|"
    r"\b(?i:I'm|I think|I guess|as an AI|let me|yo|yeah|yep|yup|nah|nope|lol|haha|hey|dude|mate|buddy|pal|"
    r"kiddo|gonna|gotta|wanna|gimme|dunno|kinda|ya|cuz|tbh|btw|omg|ugh|yikes|oops|woohoo|yay|boom|duh|quid|"
    r"bucks|awesome|sweet|no worries|no biggie|easy peasy|or whatever|bummer)\b"
)
"""What an answer in the shop's voice never has."""
_CITATION = re.compile(r"\[([\w-]+#[\w-]+)\]")
_WORD = re.compile(r"\w+(?:[.,:'-]\w+)*")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def evaluate(
    adapter: Path, weights: Path, *, every: int = 1, step: Callable[[], object]
) -> dict[str, Measures]:
    """
    Run the test split through the adapter, and each fourth case of it through the base, at scale 0.

    Args:
        adapter: GGUF file.
        weights: GGUF file of the base.
        every: Take each Nth case only.
        step: Called after each answer.

    Returns:
        The measures of `adapter`, `base` and `tone`, each as `value`, `n` and, for a share, `lower_95`.

    Raises:
        WeightsError: The adapter cannot be loaded.
    """
    corpus = build_corpus()
    cases = corpus["test"][::every]
    measures = {}
    with open_engine(weights, adapter) as engine:
        for name, scale, asked in (("adapter", ON, cases), ("base", OFF, cases[::4])):
            outcomes = []
            for case in asked:
                limit = PLAN_TOKENS if case.task == "plan" else ANSWER_TOKENS
                started = time.perf_counter()
                text = engine.answer(case.messages(answered=False), scale=scale, max_tokens=limit)
                seconds = time.perf_counter() - started
                outcomes.append({**dict(score(case, text.strip())), "seconds": seconds})
                step()
            measures[name] = summarise(outcomes)
    judged = [is_professional(one.assistant) for one in corpus["pairs-test"]]
    judged += [not is_professional(one.rejected) for one in corpus["pairs-test"]]
    return {**measures, "tone": {"tone_check": _share([float(right) for right in judged])}}


def score(case: Example, text: str) -> Iterator[tuple[str, float]]:
    """How each behaviour that the case shows came out, from 0 to 1."""
    if case.task == "plan":
        yield from _score_plan(json.loads(case.assistant), read_plan(text))
    elif case.task == "general":
        yield "general_ability", float(any(key.lower() in text.lower() for key in case.keys))
    else:
        yield from _score_answer(case, text)


def summarise(outcomes: Sequence[dict[str, float]]) -> Measures:
    """A measure for each behaviour, and the means of `rouge_l` and `seconds`."""
    names = dict.fromkeys(name for row in outcomes for name in row)
    values = {name: [row[name] for row in outcomes if name in row] for name in names}
    means = ("rouge_l", "seconds")
    return {
        name: {"value": round(fmean(many), 4), "n": len(many)} if name in means else _share(many)
        for name, many in values.items()
    }


def read_plan(text: str) -> Any:
    """The JSON of a plan, None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def name_calls(plan: object) -> list[object] | None:
    """The names of a plan's calls in their order, None where it is no plan."""
    if not isinstance(plan, dict) or not isinstance(plan.get("calls"), list):
        return None
    return [call.get("name") if isinstance(call, dict) else None for call in plan["calls"]]


def is_professional(text: str) -> bool:
    """Whether an answer keeps to the shop's voice: whole sentences, no slang, no contraction."""
    return CASUAL.search(_CITATION.sub("", text).rstrip()) is None


def _score_plan(wanted: Any, plan: Any) -> Iterator[tuple[str, float]]:
    names = name_calls(wanted) or []
    yield "json_valid", float(plan is not None)
    yield "schema_valid", float(plan is not None and _validator().is_valid(plan))
    yield "intent", float(name_calls(plan) == names)
    yield (ALONE.get(str(names[0])) if len(names) == 1 else None) or "arguments_exact", float(plan == wanted)


def _score_answer(case: Example, text: str) -> Iterator[tuple[str, float]]:
    cited = _CITATION.findall(text)
    yield "professional", float(is_professional(text))
    yield "rouge_l", _rouge_l(case.assistant, text)
    if (verdict := case.assistant.partition(",")[0]) in {"Yes", "No"}:
        yield "verdict_first", float(text.startswith(f"{verdict},"))
    if case.task == "document":
        yield "citation_right", float(cited == [case.kind] and text.endswith(f" [{case.kind}]"))
        yield "numbers_right", float(_numbers(case.assistant) == _numbers(text))
    elif case.task == "facts":
        yield "citation_right", float(not cited)
        copied = (re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text) is not None for one in case.ids)
        yield "ids_copied", float(all(copied))
    else:
        yield "unknown_said", float(text == UNKNOWN)


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def _numbers(text: str) -> set[str]:
    return set(_NUMBER.findall(_CITATION.sub("", text)))


def _rouge_l(expected: str, got: str) -> float:
    from rapidfuzz.distance import LCSseq

    wanted, said = (_WORD.findall(text.lower()) for text in (expected, got))
    common = LCSseq.similarity(wanted, said)
    return 2 * common / (len(wanted) + len(said)) if common else 0.0


def _share(values: Sequence[float]) -> dict[str, float]:
    """With the exact one-sided 95 % lower bound (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    right, n = round(sum(values)), len(values)
    lower = float(beta.ppf(1 - LEVEL, right, n - right + 1)) if right else 0.0
    return {"value": round(right / n, 4), "n": n, "lower_95": round(lower, 4)}
