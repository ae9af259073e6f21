"""
Golden files that are too weak for the gate: checks and cases that could never turn red, keywords that the
question has already, cases in scripts that a metric was not measured in, and questions that count several
times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pytest_llmops.bounds import describe_check, holds
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.error_budget import SUITE_SHARE
from pytest_llmops.metrics.words import texts_in
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import Case, Check, Golden, Output, Sample, Score, SuiteCheck
from pytest_llmops.registry import create_metric, find_traits
from pytest_llmops.statistics.summaries import LINEAR
from pytest_llmops.text.scripts import find_script

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BUDGET = 0.05
_FEWEST = 2  # units that have a spread
_NAMED = 5


def describe_blind(golden: Golden) -> list[str]:
    """
    A sentence, with its place, for each suite check whose `max_drop` no drop could be proved to exceed.

    A mean or a sum of two units has a spread and can be called, if only by a large drop. Other statistics are
    tested by exchanging units, of which so many have only 2 to the power of their number.
    """
    units = len({case.group or f"::{case.id}" for case in golden.cases})
    watched = [check for check in golden.suite if check.max_drop is not None]
    lines = []
    for check in watched:
        bound = SUITE_SHARE * _BUDGET / len(watched)
        linear = check.statistic in LINEAR
        if units >= _FEWEST if linear else 2.0**-units <= bound:
            continue
        of_what = "case" if units == len(golden.cases) else "group"
        sentence = (
            f"{describe_check(check)}: {counted(units, of_what)} cannot prove a drop of an app that "
            f"varies, so that max_drop {check.max_drop:g} would never turn red; add cases"
        )
        lines.append(f"{golden.path}:{golden.suite_lines.get(check.metric, 1)}: {sentence}")
    return lines


def describe_unchecked(golden: Golden) -> list[str]:
    """A sentence, with its place, on cases that nothing can fail; the run reports it where all are such."""
    unchecked = [case for case in golden.cases if not case.checks]
    if not unchecked or golden.suite or len(unchecked) == len(golden.cases):
        return []
    line = source.line if (source := unchecked[0].source) else 1
    cases = counted(len(unchecked), "case")
    named = name_some([case.id for case in unchecked], _NAMED)
    sentence = f"{cases} without a check would pass whatever the app answers; give one, or remove the case"
    return [f"{golden.path}:{line}: {sentence}: {named}"]


def describe_echoes(golden: Golden) -> list[str]:
    """A sentence, with its place, on questions that pass their own `keywords`."""
    echoing = [case for case in golden.cases if _passes_itself(case)]
    if not echoing:
        return []
    line = source.line if (source := echoing[0].source) else 1
    named = name_some([case.id for case in echoing], _NAMED)
    sentence = (
        "an answer that only repeats the question would pass keywords; require a word that the question does "
        "not have"
    )
    return [f"{golden.path}:{line}: {sentence}: {named}"]


def _passes_itself(case: Case) -> bool:
    if not isinstance(case.input, str) or not case.input.rstrip().endswith("?"):
        return False
    for check in case.checks:
        requires_words = bool({"all", "any"} & check.options.keys())
        if check.record_only or not requires_words or find_traits(check.metric).family != "lexical":
            continue
        (result,) = create_metric(check.metric, check.options).score([Sample(output=Output(text=case.input))])
        if isinstance(result, Score) and holds(result.value, check):
            return True
    return False


def describe_unmeasured(golden: Golden) -> list[str]:
    """
    A sentence, with its place, on cases in languages that their metrics were not measured in.

    The language is that of question and reference; where these have too few words, their script decides.
    """
    metrics: dict[str, frozenset[str]] = {}
    languages: set[str] = set()
    cases: dict[str, Case] = {}
    for case in golden.cases:
        checks: list[Check | SuiteCheck] = [*case.checks, *golden.suite]
        measured = {check.metric: known for check in checks if (known := _languages_of(check))}
        if not measured:
            continue
        code, name = _find_language(" ".join([*texts_in(case.input), case.reference or ""]))
        for metric, known in measured.items():
            if name and code not in known:
                metrics[metric] = known
                languages.add(name)
                cases[case.id] = case
    if not cases:
        return []
    first = next(iter(cases.values()))
    line = first.source.line if first.source else 1
    verb = "was" if len(metrics) == 1 else "were"
    own = ", ".join(sorted({_NAMES.get(code, code) for codes in metrics.values() for code in codes}))
    are = "is" if len(cases) == 1 else "are"
    sentence = (
        f"{', '.join(metrics)} {verb} measured in {own} only, and {counted(len(cases), 'case')} "
        f"{are} mostly in {', '.join(sorted(languages))}, so that nothing is known of these scores; label "
        "answers of your own (llmops calibrate), or check with keywords or a judge"
    )
    return [f"{golden.path}:{line}: {sentence}: {name_some(list(cases), _NAMED)}"]


_FEWEST_MORE = 2
_NAMES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "pt": "Portuguese",
    "nl": "Dutch", "pl": "Polish", "sv": "Swedish", "da": "Danish", "tr": "Turkish", "fi": "Finnish",
    "cs": "Czech", "vi": "Vietnamese", "id": "Indonesian", "ro": "Romanian", "hu": "Hungarian",
    "zh": "Chinese", "ja": "Japanese",
}  # fmt: skip


def _find_language(text: str) -> tuple[str, str]:
    """Return the code of the language of a text and its name, or that of its letters; none if unknown."""
    # With the lists of all languages.
    from pytest_llmops.metrics.language import count_words_apart, detect_language

    code, script = detect_language(text), find_script(text)
    shows_by_words = script == "Latin" and code in _NAMES and code != "en"
    if shows_by_words and count_words_apart(text, code, "en") < _FEWEST_MORE:
        return "", ""  # it may be English with a foreign name in it
    if code in _NAMES:
        return code, _NAMES[code]
    if script in {"", "Latin"}:
        return code, "another language" if code else ""
    return code or script, script


def _languages_of(check: Check | SuiteCheck) -> frozenset[str]:
    try:
        metric = create_metric(check.metric, check.options)
    except LLMOpsError:  # a suite check may be of a metric that only the cases give options to
        return frozenset()
    languages: frozenset[str] = getattr(metric, "measured_languages", frozenset())
    return languages


NEAR = 0.8
"""
Cosine of two inputs from which on they are near-duplicates: paraphrases of a question are at .74 to .84 by
the default encoder; of 242 pairs of STS-B 90 % of those that people call equal are above, 3 % of unlike ones.
"""


def find_near_duplicates(
    golden: Golden, encode: Callable[[Sequence[str]], NDArray[Any]]
) -> list[tuple[str, ...]]:
    """
    Ids of cases that ask nearly the same, one tuple for each question, without those that share a group.

    Args:
        encode: Texts to unit vectors, shape (texts, dimensions).
    """
    import numpy as np

    cases = [case for case in golden.cases if isinstance(case.input, str) and case.input.strip()]
    if len(cases) < 2:  # noqa: PLR2004 - one question has no other
        return []
    vectors = encode([str(case.input) for case in cases])
    near = np.argwhere(np.triu(vectors @ vectors.T >= NEAR, k=1)).tolist()
    question = list(range(len(cases)))
    for one, other in near:
        if cases[one].group and cases[one].group == cases[other].group:
            continue
        old, new = sorted((question[one], question[other]), reverse=True)
        question = [new if number == old else number for number in question]
    by_question: dict[int, list[str]] = {}
    for case, of in zip(cases, question, strict=True):
        by_question.setdefault(of, []).append(case.id)
    return [tuple(ids) for ids in by_question.values() if len(ids) > 1]
