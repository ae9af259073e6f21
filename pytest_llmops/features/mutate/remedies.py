"""Checks that a golden set lacks: each was tried, and passes the answer and fails its mutant."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from pytest_llmops.bounds import holds
from pytest_llmops.detect.mask import mask_shown
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.features.mutate.private import is_private
from pytest_llmops.features.mutate.trials import Answered, Trial
from pytest_llmops.golden.identity import file_of
from pytest_llmops.golden.thresholds import read_checks
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Check, Output, Sample, Score
from pytest_llmops.runner.scoring import Scorer

_WORD = re.compile(r"\w+(?:[.,:/'\u2019-]\w+)*|[^\w\s]")
_END = re.compile(r"[.!?]\s|\n")
_LONGEST = 6  # words of a keyword
_COMPARED = 2_000  # words at the start of each text, since their comparison is quadratic
_GENERAL = ("supported", "facts")
"""Checks that need no words of a case, and find other mutants too; one that is not installed is left out."""


class _Survivor(NamedTuple):
    """A mutant that stayed green, by its position, with the case that it is of."""

    at: int
    group: str
    kind: str
    answered: Answered
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A check as YAML would have it, and the survivor that it may kill."""

    survivor: _Survivor
    name: str
    written: Any


_Propose = Callable[[Iterable[_Survivor]], Iterator[_Candidate]]


def find_remedies(
    survivors: Sequence[Trial], models: Mapping[str, Mapping[str, Any]], scorer: Scorer
) -> dict[int, str]:
    """
    Return the YAML of a check for each survivor that one was found for, by its position.

    Args:
        models: By golden file, the encoder and judge of `read_checks`.
    """
    rows = [
        _Survivor(at, trial.group, trial.kind, trial.mutation.answered, trial.mutation.output)
        for at, trial in enumerate(survivors)
        if trial.mutation.answered is not None and trial.mutation.output is not None
    ]
    remedies: dict[int, str] = {}
    general: list[_Propose] = [partial(_propose_general, name) for name in _GENERAL]
    for propose in (*general, _of_words, _of_passages, _of_tools):
        left = [row for row in rows if row.at not in remedies]
        for candidate in _verify(propose(left), models, scorer):
            remedies.setdefault(candidate.survivor.at, _as_yaml(candidate))
    return remedies


def _propose_general(name: str, survivors: Iterable[_Survivor]) -> Iterator[_Candidate]:
    for survivor in survivors:
        checked = {check.metric for check in survivor.answered.task.case.checks}
        if name not in checked and survivor.group != "retrieval":
            yield _Candidate(survivor=survivor, name=name, written=True)


def _of_words(survivors: Iterable[_Survivor]) -> Iterator[_Candidate]:
    """
    Words that the mutant lacks, those of the reference first; then words that it adds.

    None of an appended sentence, since a check of its words would find no other lie.
    """
    for survivor in survivors:
        good, bad = survivor.answered.output.text, survivor.output.text
        reference = survivor.answered.task.case.reference or ""
        lost, added = _changes(good, bad)
        lost.sort(key=lambda phrase: (phrase not in reference, -len(phrase)))
        if survivor.kind == "appended_lie":
            added = []
        for option, phrases in (("all", lost), ("none", added)):
            for phrase in phrases[:3]:
                # Nobody's data get into a golden file: of the whole text, since a value alone tells less.
                if mask_shown(phrase) == phrase and not is_private(phrase, good, bad):
                    yield _Candidate(survivor=survivor, name="keywords", written={option: [phrase]})


def _of_passages(survivors: Iterable[_Survivor]) -> Iterator[_Candidate]:
    for survivor in survivors:
        relevant = survivor.answered.task.case.relevant
        passages = survivor.answered.output.passages or ()
        if not relevant or not passages or survivor.group == "output":
            continue
        ranks = [rank for rank, passage in enumerate(passages, 1) if passage.id in relevant]
        for k in dict.fromkeys((max(ranks, default=1), 1)):
            share = sum(rank <= k for rank in ranks) / len(set(relevant))
            yield _Candidate(survivor=survivor, name=f"recall@{k}", written=f">= {_floor(share)}")
        yield _Candidate(survivor=survivor, name="mrr", written=f">= {_floor(1 / min(ranks, default=1))}")


def _floor(value: float) -> str:
    """Return a bound of three digits that the value itself holds."""
    return f"{math.floor(value * 1_000) / 1_000:g}"


def _of_tools(survivors: Iterable[_Survivor]) -> Iterator[_Candidate]:
    for survivor in survivors:
        good = survivor.answered.output.tool_calls
        if good == survivor.output.tool_calls:
            continue
        calls = [{"name": call.name, "arguments": dict(call.arguments)} for call in good]
        texts = (survivor.answered.output.text, str(survivor.answered.task.case.input))
        quoted = [str(value) for call in good for value in call.arguments.values()]
        if mask_shown(str(calls)) == str(calls) and not any(is_private(value, *texts) for value in quoted):
            yield _Candidate(survivor=survivor, name="tool_calls", written=calls)


def _changes(good: str, bad: str) -> tuple[list[str], list[str]]:
    """Return the phrases that only the first text has, and those that only the second has, as written."""
    places = [[match.span() for match in islice(_WORD.finditer(text), _COMPARED)] for text in (good, bad)]
    words = [
        [text[start:end] for start, end in spans] for text, spans in zip((good, bad), places, strict=True)
    ]
    lost: list[str] = []
    added: list[str] = []
    matcher = difflib.SequenceMatcher(None, words[0], words[1], autojunk=False)
    for tag, *limits in matcher.get_opcodes():
        if tag == "equal":
            continue
        first, last, new_first, new_last = limits
        lost += _phrases(good, bad, places[0], first, last)
        added += _phrases(bad, good, places[1], new_first, new_last)
    return list(dict.fromkeys(lost)), list(dict.fromkeys(added))


def _phrases(text: str, other: str, spans: Sequence[tuple[int, int]], first: int, last: int) -> Iterator[str]:
    """Yield the changed words, with the next ones until the phrase is only in this text."""
    if first == last:
        return
    last = min(last, first + _LONGEST)
    for after in range(3):
        for before in range(3):
            begin, end = max(first - before, 0), min(last + after, len(spans))
            phrase = text[spans[begin][0] : spans[end - 1][1]]
            is_words = re.match(r"\w", phrase) and re.search(r"\w\Z", phrase) and not _END.search(phrase)
            if is_words and phrase.casefold() not in other.casefold():
                yield phrase
                return


def _verify(
    candidates: Iterable[_Candidate], models: Mapping[str, Mapping[str, Any]], scorer: Scorer
) -> Iterator[_Candidate]:
    """Yield the candidates by which the answer passes and the mutant fails."""
    batches: dict[Any, tuple[Metric, list[tuple[_Candidate, tuple[Check, ...]]], list[Sample]]] = {}
    for candidate in candidates:
        survivor = candidate.survivor
        file = file_of(survivor.answered.task.id)
        try:
            checks, metric = read_checks(candidate.name, candidate.written, models=models.get(file))
        except LLMOpsError:
            continue  # a metric that is not there, or that has no bound of its own
        if traits_of(metric).waits:
            continue
        _, rows, batch = batches.setdefault((candidate.name, repr(metric)), (metric, [], []))
        rows.append((candidate, checks))
        batch += [_sample(survivor, survivor.answered.output), _sample(survivor, survivor.output)]
    futures = [(rows, scorer.submit(metric, batch)) for metric, rows, batch in batches.values()]
    for tried, future in futures:
        results = iter(future.result())
        for candidate, checks in tried:
            good, bad = next(results), next(results)
            if isinstance(good, Score) and isinstance(bad, Score):
                passes = all(holds(good.value, check) for check in checks)
                if passes and not all(holds(bad.value, check) for check in checks):
                    yield candidate


def _sample(survivor: _Survivor, output: Output) -> Sample:
    task = survivor.answered.task
    return Sample(
        output=replace(output, repeat=0),
        input=task.case.input,
        reference=task.case.reference,
        relevant=task.case.relevant,
        spans=survivor.answered.spans,
        case=task.id,
    )


def _as_yaml(candidate: _Candidate) -> str:
    import yaml

    text: str = yaml.safe_dump(
        {candidate.name: candidate.written}, default_flow_style=True, allow_unicode=True, width=10_000
    )
    text = text.strip()
    return text[1:-1] if text.startswith("{") else text
