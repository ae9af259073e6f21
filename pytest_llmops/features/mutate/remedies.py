"""Checks that a golden set lacks: each was tried, and passes the answer and fails its mutant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_llmops.bounds import holds
from pytest_llmops.detect.mask import mask_shown
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.features.mutate.trials import Trial
from pytest_llmops.golden.thresholds import read_checks
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Check, Output, Sample, Score
from pytest_llmops.runner.scoring import Scorer

_WORD = re.compile(r"\w+(?:[.,:/'’-]\w+)*|[^\w\s]")
_LONGEST = 6  # words of a keyword
_GENERAL = ("supported", "facts")
"""Checks that need no words of a case, and find other mutants too; one that is not installed is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A check as YAML would have it, and the survivors that it may kill."""

    trial: int
    name: str
    written: Any


def find_remedies(
    survivors: Sequence[Trial], models: Mapping[str, Mapping[str, Any]], scorer: Scorer
) -> dict[int, str]:
    """
    Return the YAML of a check for each survivor that one was found for, by its position.

    Args:
        models: By golden file, the encoder and judge of `read_checks`.
    """
    remedies: dict[int, str] = {}
    waves = [_general(survivors, name) for name in _GENERAL]
    waves += [_of_words(survivors), _of_passages(survivors), _of_tools(survivors)]
    for wave in waves:
        left = [candidate for candidate in wave if candidate.trial not in remedies]
        for candidate in _verify(survivors, left, models, scorer):
            remedies.setdefault(candidate.trial, _as_yaml(candidate))
    return remedies


def _general(survivors: Sequence[Trial], name: str) -> Iterator[_Candidate]:
    for at, trial in enumerate(survivors):
        checked = {check.metric for check in trial.mutation.answered.task.case.checks}
        if name not in checked and trial.group != "retrieval":
            yield _Candidate(trial=at, name=name, written=True)


def _of_words(survivors: Sequence[Trial]) -> Iterator[_Candidate]:
    """Words that the mutant lacks, those of the reference first; then words that it adds."""
    for at, trial in enumerate(survivors):
        good, bad = _texts(trial)
        if good == bad:
            continue
        reference = trial.mutation.answered.task.case.reference or ""
        lost, added = _changes(good, bad)
        lost.sort(key=lambda phrase: (phrase not in reference, -len(phrase)))
        for option, phrases in (("all", lost), ("none", added)):
            for phrase in phrases[:3]:
                if mask_shown(phrase) == phrase:  # nobody's data get into a golden file
                    yield _Candidate(trial=at, name="keywords", written={option: [phrase]})


def _of_passages(survivors: Sequence[Trial]) -> Iterator[_Candidate]:
    for at, trial in enumerate(survivors):
        relevant = trial.mutation.answered.task.case.relevant
        passages = trial.mutation.answered.output.passages or ()
        if not relevant or not passages or trial.group == "output":
            continue
        ranks = [rank for rank, passage in enumerate(passages, 1) if passage.id in relevant]
        for k in dict.fromkeys((max(ranks, default=1), 1)):
            share = sum(rank <= k for rank in ranks) / len(set(relevant))
            yield _Candidate(trial=at, name=f"recall@{k}", written=f">= {share:.3g}")
        yield _Candidate(trial=at, name="mrr", written=f">= {1 / min(ranks, default=1):.3g}")


def _of_tools(survivors: Sequence[Trial]) -> Iterator[_Candidate]:
    for at, trial in enumerate(survivors):
        good, bad = trial.mutation.answered.output, trial.mutation.output
        if bad is None or good.tool_calls == bad.tool_calls:
            continue
        calls = [{"name": call.name, "arguments": dict(call.arguments)} for call in good.tool_calls]
        if mask_shown(str(calls)) == str(calls):
            yield _Candidate(trial=at, name="tool_calls", written=calls)


def _texts(trial: Trial) -> tuple[str, str]:
    bad = trial.mutation.output
    return trial.mutation.answered.output.text, bad.text if bad else ""


def _changes(good: str, bad: str) -> tuple[list[str], list[str]]:
    """Return the phrases that only the first text has, and those that only the second has, as written."""
    places = [[match.span() for match in _WORD.finditer(text)] for text in (good, bad)]
    words = [
        [text[start:end] for start, end in spans] for text, spans in zip((good, bad), places, strict=True)
    ]
    lost: list[str] = []
    added: list[str] = []
    matcher = difflib.SequenceMatcher(None, words[0], words[1], autojunk=False)
    for tag, *limits in matcher.get_opcodes():
        if tag == "equal":
            continue
        for side, (text, other, phrases) in enumerate(((good, bad, lost), (bad, good, added))):
            first, last = limits[2 * side], limits[2 * side + 1]
            phrases += _phrases(text, other, places[side], first, last)
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
            is_words = re.match(r"\w", phrase) and re.search(r"\w\Z", phrase) and "\n" not in phrase
            if is_words and phrase.casefold() not in other.casefold():
                yield phrase
                return


def _verify(
    survivors: Sequence[Trial],
    candidates: Iterable[_Candidate],
    models: Mapping[str, Mapping[str, Any]],
    scorer: Scorer,
) -> Iterator[_Candidate]:
    """Yield the candidates by which the answer passes and the mutant fails."""
    batches: dict[Any, tuple[Metric, list[tuple[_Candidate, tuple[Check, ...]]], list[Sample]]] = {}
    for candidate in candidates:
        trial = survivors[candidate.trial]
        file = trial.case.rpartition("::")[0]
        try:
            checks, metric = read_checks(candidate.name, candidate.written, models=models.get(file))
        except LLMOpsError:
            continue  # a metric that is not there, or that has no bound of its own
        if traits_of(metric).waits or trial.mutation.output is None:
            continue
        samples = [
            _sample(trial, output) for output in (trial.mutation.answered.output, trial.mutation.output)
        ]
        _, rows, batch = batches.setdefault((candidate.name, repr(metric)), (metric, [], []))
        rows.append((candidate, checks))
        batch += samples
    futures = [(rows, scorer.submit(metric, batch)) for metric, rows, batch in batches.values()]
    for rows, future in futures:
        results = iter(future.result())
        for candidate, checks in rows:
            good, bad = next(results), next(results)
            if isinstance(good, Score) and isinstance(bad, Score):
                passes = all(holds(good.value, check) for check in checks)
                if passes and not all(holds(bad.value, check) for check in checks):
                    yield candidate


def _sample(trial: Trial, output: Output) -> Sample:
    task = trial.mutation.answered.task
    return Sample(
        output=replace(output, repeat=0),
        input=task.case.input,
        reference=task.case.reference,
        relevant=task.case.relevant,
        spans=trial.mutation.answered.spans,
        case=task.id,
    )


def _as_yaml(candidate: _Candidate) -> str:
    import yaml

    text: str = yaml.safe_dump(
        {candidate.name: candidate.written}, default_flow_style=True, allow_unicode=True, width=10_000
    )
    text = text.strip()
    return text[1:-1] if text.startswith("{") else text
