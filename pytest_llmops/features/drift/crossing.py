"""One case in both runs: the first difference on the way to its answer, and its possible causes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Protocol

from pytest_llmops.bounds import describe_check, holds
from pytest_llmops.features.drift.causes import CaseDrift, Clue, Kind
from pytest_llmops.features.drift.moved import UNNAMED, Moved, call_key, result_key, vector_calls, word_calls
from pytest_llmops.gates.case_results import answer_digests, digest
from pytest_llmops.gates.paired_runs import have_same_input
from pytest_llmops.golden.identity import file_of
from pytest_llmops.records import CaseResult, ModelCall, Output
from pytest_llmops.registry import find_traits

AGREEMENT = 0.9
"""Answers with a `similarity` of at least this are called stable."""

_KNOWN_PARTS = frozenset({"prompt", "data", "model"})
_TIE = 1e-9


class Reviewed(Protocol):
    """A person's review of an answer, named by its digest; `verdict` is `good` or `bad`."""

    @property
    def case(self) -> str: ...
    @property
    def input_hash(self) -> str: ...
    @property
    def answer(self) -> str: ...
    @property
    def verdict(self) -> str: ...


def cross_case(base: CaseResult, new: CaseResult, moved: Moved, reviews: Sequence[Reviewed]) -> CaseDrift:
    """
    Find whether the answers of a case changed, or their references, and the causes.

    Each new repeat is followed call by call against the base's repeats that went the same way so far, to the
    first call that none of them made and got answered so. If they made an equal request, the model answers
    otherwise. If not, or if another text follows from equal answers, the cause lies before the request:
    a single kind of part that moved and could explain it is shown, several are candidates.
    """
    drift = _cross_answers(base, new, moved)
    edited = not have_same_input(base, new) or file_of(new.case) in moved.golden
    concept = tuple(dict.fromkeys((*find_dropped(base, new, edited=edited), *find_overruled(new, reviews))))
    shown: tuple[Kind, ...] = ("concept",) if any(clue.sure for clue in concept) else ()
    return replace(drift, clues=drift.clues + concept, shown=drift.shown + shown)


def _cross_answers(base: CaseResult, new: CaseResult, moved: Moved) -> CaseDrift:
    before, after = set(answer_digests(base)), set(answer_digests(new))
    if before == after:
        return CaseDrift(case=new.case, change="same")
    varying = CaseDrift(case=new.case, change="varying")
    if before & after:
        return varying
    if not (moved.has_calls and base.outputs and new.outputs):
        varies = len(before) > 1 or len(after) > 1
        return _cross_unseen(base, new, moved, varies=varies)
    repeats = [_follow(output, base.outputs, moved) for output in new.outputs]
    changed = [(repeat, clues) for repeat in repeats if (clues := repeat.clues()) is not None]
    if not changed:
        return varying
    clues = tuple(dict.fromkeys(clue for _, clues in changed for clue in clues))
    by_the_model = any(repeat.is_by_the_model for repeat, _ in changed)
    shown: tuple[Kind, ...] = ("model",) if by_the_model else _only_kind(clues)
    return CaseDrift(case=new.case, change="changed", clues=clues, shown=shown, hint="" if clues else "app")


def _cross_unseen(base: CaseResult, new: CaseResult, moved: Moved, *, varies: bool) -> CaseDrift:
    """Cross by stamps, passages and tool results; shown is a cause if all other parts are known to hold."""
    outputs = new.outputs or (Output(text=""),)
    repeats = [_Repeat(output=output, alike=base.outputs, moved=moved) for output in outputs]
    clues = tuple(dict.fromkeys(clue for repeat in repeats for clue in repeat.clues_before_models()))
    if varies and not clues:
        return CaseDrift(case=new.case, change="varying")
    shown = _only_kind(clues) if moved.known >= _KNOWN_PARTS and not varies else ()
    return CaseDrift(case=new.case, change="changed", clues=clues, shown=shown, hint="unseen")


def _only_kind(clues: Sequence[Clue]) -> tuple[Kind, ...]:
    kinds = {clue.kind for clue in clues}
    return tuple(kinds) if len(kinds) == 1 and any(clue.sure for clue in clues) else ()


def _follow(output: Output, base_outputs: Sequence[Output], moved: Moved) -> _Repeat:
    """Follow a repeat to the first call that no repeat of the base made and got answered in the same way."""
    alike = base_outputs
    for call in word_calls(output):
        same = [other for other in alike if (call.key, call.answer) in _keys_and_answers(other)]
        if same:
            alike = same
        elif any(call.key == key for other in alike for key, _ in _keys_and_answers(other)):
            return _Repeat(output=output, alike=alike, moved=moved, other_answer=call)
        else:
            return _Repeat(output=output, alike=alike, moved=moved, other_request=call)
    return _Repeat(output=output, alike=alike, moved=moved)


def _keys_and_answers(output: Output) -> list[tuple[str, str]]:
    return [(call.key, call.answer) for call in word_calls(output)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repeat:
    """
    One repeat of the new run, and where it parts from the base's repeats.

    Attributes:
        alike: The base's repeats that went the same way up to there.
        other_request: The first request that they did not make; None where they made all.
        other_answer: The first call that they made too, and got answered otherwise.
    """

    output: Output
    alike: Sequence[Output]
    moved: Moved
    other_request: ModelCall | None = None
    other_answer: ModelCall | None = None

    @property
    def is_by_the_model(self) -> bool:
        """Return whether a model that is known to have moved answered an equal request otherwise."""
        return self.other_answer is not None and _model_of(self.other_answer) in self.moved.models

    def clues(self) -> tuple[Clue, ...] | None:
        """None where the repeat differs from the base's no more than those from each other."""
        clues = tuple(self.clues_before_models())
        if self.other_answer is not None:
            model = _model_of(self.other_answer)
            if self.is_by_the_model:
                return (Clue(kind="model", evidence=self.moved.models[model]), *clues)
            if self.moved.varies:
                return None
            evidence = f"{model} answers an equal request otherwise; each was asked once"
            return (Clue(kind="model", evidence=evidence, sure=False), *clues)
        if self.other_request is None and not clues and len({other.text for other in self.alike}) > 1:
            return None
        return clues

    def clues_before_models(self) -> Iterator[Clue]:
        """Parts that moved, other than answers of models, and that this repeat could have met."""
        for evidence in self.moved.prompts.values():
            yield Clue(kind="prompt", evidence=evidence)
        yield from self._data_clues()
        yield from self._schema_clues()
        yield from self._result_clues()
        requested = {_model_of(call) for call in word_calls(self.output)}
        for model, evidence in self.moved.models.items():
            if model in requested or not self.moved.has_calls:
                yield Clue(kind="model", evidence=evidence)
        yield from self._replaced_model()

    def _data_clues(self) -> Iterator[Clue]:
        """Documents with another text, and reasons for other passages than in the base's repeats."""
        stamps = self.moved.data
        passages = self.output.passages
        known = [other.passages for other in self.alike if other.passages is not None]
        if passages is None or not known:
            yield from (Clue(kind="data", evidence=evidence) for evidence in stamps)
            return
        for name in sorted(self._retexted()):
            yield Clue(kind="data", evidence=f"passage {name} has another text")
        retrieved = [passage.id for passage in passages]
        if all(retrieved != [passage.id for passage in others] for others in known):
            yield from self._retrieval_clues()
        elif not any(passage.text for passage in passages):  # only ids are known, so the texts may have moved
            yield from (Clue(kind="data", evidence=evidence) for evidence in stamps)

    def _retrieval_clues(self) -> Iterator[Clue]:
        """Reasons for other passages: documents, the model that embeds, or the index."""
        moved, calls = self.moved, vector_calls(self.output)
        for evidence in moved.data:
            yield Clue(kind="data", evidence=f"{evidence}, and other passages are retrieved")
        for model in sorted({_model_of(call) for call in calls} & moved.embedders.keys()):
            yield Clue(kind="data", evidence=moved.embedders[model])
        if moved.embeds_otherwise(calls):
            evidence = "equal texts are embedded otherwise, and other passages are retrieved"
            yield Clue(kind="data", evidence=evidence)
        embedded = {call.key for call in calls}
        same_question = any(embedded == {call.key for call in vector_calls(other)} for other in self.alike)
        if same_question and "data" not in moved.known:
            yield moved.retrieval or Clue(kind="data", evidence="passages come in another order", sure=False)

    def _retexted(self) -> set[str]:
        """The ids of passages with a text that they did not have in the base."""
        texts = self.moved.base.texts
        return {
            passage.id
            for passage in self.output.passages or ()
            if passage.text and (known := texts.get(passage.id, set()) - {""}) and passage.text not in known
        }

    def _schema_clues(self) -> Iterator[Clue]:
        """Other tool schemas: by the requests where those are seen to carry schemas, else by the stamps."""
        moved = self.moved
        if not moved.has_calls or moved.base.tools | moved.new.tools <= {""}:
            yield from (Clue(kind="data", evidence=evidence) for evidence in moved.tools)
            return
        for call in [self.other_request] if self.other_request is not None else word_calls(self.output):
            if call.tools not in moved.base.tools:
                yield Clue(kind="data", evidence=f"{_model_of(call)} is given other tool schemas")

    def _result_clues(self) -> Iterator[Clue]:
        """Tools that return another result for equal arguments; unsure if a result varied before."""
        retexted = self._retexted()
        texts = [
            json.dumps(passage.text, ensure_ascii=False)[1:-1]
            for passage in self.output.passages or ()
            if passage.id in retexted
        ]
        for call in self.output.tool_calls:
            known, result = self.moved.base.results.get(call_key(call), set()), result_key(call)
            if not known or result in known or any(text in result for text in texts):
                continue  # a tool that returns a changed document is no cause of its own
            arguments = ", ".join(sorted(call.arguments))
            evidence = f"{call.name} gives another result for the same arguments ({arguments})"
            yield Clue(kind="tool output", evidence=evidence, sure=len(known) == 1)

    def _replaced_model(self) -> Iterator[Clue]:
        """Another model where the first other request goes; by the stamps where requests are not seen."""
        if self.moved.has_calls:
            before = {_model_of(call) for other in self.alike for call in word_calls(other)}
            now = {_model_of(self.other_request)} if self.other_request is not None else set()
        else:
            before, now = set(self.moved.base.marks), set(self.moved.new.marks)
        if before and now and not before & now:
            evidence = f"{' and '.join(sorted(now))} is asked instead of {' and '.join(sorted(before))}"
            yield Clue(kind="model", evidence=evidence)


def _model_of(call: ModelCall) -> str:
    return call.model or UNNAMED


def find_dropped(base: CaseResult, new: CaseResult, *, edited: bool) -> Iterator[Clue]:
    """
    Find scores against the reference that dropped for answers that held.

    An answer that came in both runs, word for word, and scores lower now shows that its measure moved,
    unless a judge gave the score, who may waver. Answers that are only alike are no proof: the one word
    that changed may be the wrong one.

    Args:
        edited: The case's golden file differs from the base's.
    """
    before, after = _scores(base), _scores(new)
    for key in sorted(before.keys() & after.keys()):
        metric, _ = key
        old, now = before[key], after[key]
        drops = [
            (fmean(old[answer]), fmean(now[answer]))
            for answer in sorted(old.keys() & now.keys())
            if fmean(now[answer]) < fmean(old[answer]) - _TIE
        ]
        if drops:
            evidence = f"{metric} of an equal answer fell from {drops[0][0]:.3g} to {drops[0][1]:.3g}"
            evidence += "; its golden file was edited" if edited else ""
            sure = edited and find_traits(metric).basis != "judge"
            yield Clue(kind="concept", evidence=evidence, sure=sure)
        elif edited and not old.keys() & now.keys() and _mean(now) < _mean(old) - _TIE:
            agreement = similarity(base, new)
            if agreement >= AGREEMENT:
                evidence = f"{metric} fell, its golden file was edited, and answers agree by {agreement:.2f}"
                yield Clue(kind="concept", evidence=evidence, sure=False)


def find_overruled(result: CaseResult, reviews: Sequence[Reviewed]) -> Iterator[Clue]:
    """Find checks that an answer misses which its latest review calls good."""
    last = {
        review.answer: review.verdict
        for review in reviews
        if (review.case, review.input_hash) == (result.case, result.input_hash)
    }
    good = {answer for answer, verdict in last.items() if verdict == "good"}
    for (metric, _), scores in _scores(result).items() if good else ():
        for check in result.checks:
            if check.metric == metric and any(
                not holds(fmean(scores[answer]), check) for answer in good & scores.keys()
            ):
                evidence = f"a reviewer calls an answer good that misses {describe_check(check)}"
                yield Clue(kind="concept", evidence=evidence)


def similarity(base: CaseResult, new: CaseResult) -> float:
    """
    Measure how alike the answers of two runs are, from 0 to 1: each new one against the nearest old one.

    The share of characters that are in both, in order: 1 - d / (m + n), d the number of characters to
    insert or delete, m and n the lengths. 0 where a run keeps no texts.

    Source: rapidfuzz, `fuzz.ratio`; the longest common subsequence as in ROUGE-L, of characters.
    """
    from rapidfuzz.fuzz import ratio

    texts = {output.text for output in base.outputs}
    if not texts or not new.outputs:
        return 0.0
    return fmean(max(ratio(output.text, text) for text in texts) / 100 for output in new.outputs)


def _scores(result: CaseResult) -> Mapping[tuple[str, str], Mapping[str, list[float]]]:
    """Metric with its score's signature, to the digest of each answer, to the scores of its repeats."""
    answers = {output.repeat: digest(output.text) for output in result.outputs}
    answers = answers or dict(enumerate(answer_digests(result)))
    scores: defaultdict[tuple[str, str], defaultdict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for score in result.scores:
        if find_traits(score.metric).basis in {"judge", "reference"} and score.repeat in answers:
            scores[score.metric, score.signature][answers[score.repeat]].append(score.value)
    return scores


def _mean(scores: Mapping[str, list[float]]) -> float:
    return fmean(value for values in scores.values() for value in values)
