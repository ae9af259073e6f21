"""One case in both runs: what differed first on the way to its answer, and what could explain that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmops.features.drift.causes import CaseDrift, Clue, Kind
from pytest_llmops.features.drift.moved import (
    UNNAMED,
    Moved,
    name_call,
    name_result,
    vectors_moved,
    vectors_of,
    words_of,
)
from pytest_llmops.gates.paired_runs.answers import answer_digests
from pytest_llmops.records import CaseResult, ModelCall, Output

_KNOWN_PARTS = frozenset({"prompt", "data", "model"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crossed:
    """
    What one repeat of the new run says.

    Attributes:
        model: The model answered an equal request otherwise, and is known to have moved.
    """

    clues: tuple[Clue, ...]
    model: bool = False


def cross_case(base: CaseResult, new: CaseResult, moved: Moved) -> CaseDrift:
    """
    Whether the answers of a case changed, and why.

    Each new repeat is followed call by call against the base's repeats that went the same way so far. Its
    first call that none of them made and got answered so is where the runs part. An equal request that is
    answered otherwise is the model's doing; another request, or another text from equal answers, comes
    from something else: one thing alone that moved and could explain it is shown, several are candidates.
    """
    before, after = set(answer_digests(base)), set(answer_digests(new))
    if before == after:
        return CaseDrift(case=new.case, change="same")
    if before & after:
        return CaseDrift(case=new.case, change="varying")
    if not (moved.has_calls and base.outputs and new.outputs):
        return _cross_unseen(base, new, moved, varies=len(before) > 1 or len(after) > 1)
    crossed = [
        repeat for output in new.outputs if (repeat := _cross_repeat(output, base.outputs, moved)) is not None
    ]
    if not crossed:
        return CaseDrift(case=new.case, change="varying")
    clues = tuple(dict.fromkeys(clue for each in crossed for clue in each.clues))
    shown: tuple[Kind, ...] = ("model",) if any(each.model for each in crossed) else _only_one(clues)
    return CaseDrift(case=new.case, change="changed", clues=clues, shown=shown, hint="" if clues else "app")


def _cross_repeat(output: Output, base_outputs: Sequence[Output], moved: Moved) -> _Crossed | None:
    """None where the repeat differs from the base's no more than those do from each other."""
    alike = list(base_outputs)
    for call in words_of(output):
        made = [[(one.key, one.answer) for one in words_of(each)] for each in alike]
        same = [each for each, calls in zip(alike, made, strict=True) if (call.key, call.answer) in calls]
        if same:
            alike = same
            continue
        if any(call.key == key for calls in made for key, _ in calls):
            return _cross_answer(call, output, alike, moved)
        return _Crossed(clues=tuple(_upstream(output, alike, moved, call)))
    clues = tuple(_upstream(output, alike, moved, None))
    if not clues and len({each.text for each in alike}) > 1:
        return None
    return _Crossed(clues=clues)


def _cross_answer(call: ModelCall, output: Output, alike: Sequence[Output], moved: Moved) -> _Crossed | None:
    """An equal request with an answer that the base's repeats on this way did not get."""
    model = call.model or UNNAMED
    further = tuple(_upstream(output, alike, moved, None))
    if model in moved.models:
        evidence = moved.models[model]
        return _Crossed(clues=(Clue(kind="model", evidence=evidence), *further), model=True)
    if moved.varies:
        return None
    evidence = f"{model} answers an equal request otherwise; each was asked once"
    return _Crossed(clues=(Clue(kind="model", evidence=evidence, sure=False), *further))


def _cross_unseen(base: CaseResult, new: CaseResult, moved: Moved, *, varies: bool) -> CaseDrift:
    """By stamps, passages and tool results alone: shown only where all other parts are known to have held."""
    clues = tuple(
        dict.fromkeys(
            clue
            for output in new.outputs or (Output(text=""),)
            for clue in _upstream(output, base.outputs, moved, None)
        )
    )
    if varies and not clues:
        return CaseDrift(case=new.case, change="varying")
    shown = _only_one(clues) if moved.known >= _KNOWN_PARTS and not varies else ()
    return CaseDrift(case=new.case, change="changed", clues=clues, shown=shown, hint="unseen")


def _only_one(clues: Sequence[Clue]) -> tuple[Kind, ...]:
    kinds = {clue.kind for clue in clues}
    return tuple(kinds) if len(kinds) == 1 and any(clue.sure for clue in clues) else ()


def _upstream(
    output: Output, alike: Sequence[Output], moved: Moved, call: ModelCall | None
) -> Iterator[Clue]:
    """
    What moved besides the answers of models, as far as this repeat could have met it.

    Args:
        alike: The base's repeats that went the same way.
        call: The first request that they did not make; None where all were made.
    """
    yield from (Clue(kind="prompt", evidence=evidence) for evidence in moved.prompts.values())
    yield from _moved_data(output, alike, moved)
    yield from _moved_tools(output, moved, call)
    yield from _moved_results(output, moved)
    requested = {each.model or UNNAMED for each in words_of(output)}
    for model, evidence in moved.models.items():
        if model in requested or not moved.has_calls:
            yield Clue(kind="model", evidence=evidence)
    yield from _replaced_model(alike, moved, call)


def _replaced_model(alike: Sequence[Output], moved: Moved, call: ModelCall | None) -> Iterator[Clue]:
    """Another model where the first other request goes; by the stamps where requests are not seen."""
    before = {each.model or UNNAMED for other in alike for each in words_of(other)}
    now = {call.model or UNNAMED} if call is not None else set()
    if not moved.has_calls:
        before, now = set(moved.base.marks), set(moved.new.marks)
    if before and now and not before & now:
        evidence = f"{' and '.join(sorted(now))} is asked instead of {' and '.join(sorted(before))}"
        yield Clue(kind="model", evidence=evidence)


def _moved_data(output: Output, alike: Sequence[Output], moved: Moved) -> Iterator[Clue]:
    passages = output.passages
    if passages is None or not any(each.passages is not None for each in alike):
        yield from (Clue(kind="data", evidence=evidence) for evidence in moved.data)
        return
    retexted = sorted(_retexted(output, moved))
    yield from (Clue(kind="data", evidence=f"passage {name} has another text") for name in retexted)
    names = [passage.id for passage in passages]
    if any(each.passages is not None and names == [one.id for one in each.passages] for each in alike):
        if not any(passage.text for passage in passages):  # only ids are known, so the texts may have moved
            yield from (Clue(kind="data", evidence=evidence) for evidence in moved.data)
        return
    calls = vectors_of(output)
    yield from (
        Clue(kind="data", evidence=f"{evidence}, and other passages are retrieved") for evidence in moved.data
    )
    for model in sorted({call.model or UNNAMED for call in calls} & moved.embedders.keys()):
        yield Clue(kind="data", evidence=moved.embedders[model])
    if vectors_moved(calls, moved):
        yield Clue(
            kind="data", evidence="equal texts are embedded otherwise, and other passages are retrieved"
        )
    embedded = {call.key for call in calls}
    if "data" not in moved.known and any(
        embedded == {call.key for call in vectors_of(each)} for each in alike
    ):
        yield moved.retrieval or Clue(kind="data", evidence="passages come in another order", sure=False)


def _retexted(output: Output, moved: Moved) -> Iterator[str]:
    for passage in output.passages or ():
        known = moved.base.texts.get(passage.id, set()) - {""}
        if passage.text and known and passage.text not in known:
            yield passage.id


def _moved_tools(output: Output, moved: Moved, call: ModelCall | None) -> Iterator[Clue]:
    """By the request itself where requests are seen to carry tool schemas, else by the stamps."""
    if not moved.has_calls or moved.base.tools | moved.new.tools <= {""}:
        yield from (Clue(kind="data", evidence=evidence) for evidence in moved.tools)
        return
    for each in [call] if call is not None else words_of(output):
        if each.tools not in moved.base.tools:
            yield Clue(kind="data", evidence=f"{each.model or UNNAMED} is given other tool schemas")


def _moved_results(output: Output, moved: Moved) -> Iterator[Clue]:
    """Tools that give another result for equal arguments; one that varied before is no sure sign."""
    retexted = set(_retexted(output, moved))
    texts = [
        json.dumps(passage.text, ensure_ascii=False)[1:-1]
        for passage in output.passages or ()
        if passage.id in retexted
    ]
    for call in output.tool_calls:
        known, result = moved.base.results.get(name_call(call), set()), name_result(call)
        if not known or result in known or any(text in result for text in texts):
            continue  # a tool that hands out a document which changed is the document's doing
        evidence = (
            f"{call.name} gives another result for the same arguments ({', '.join(sorted(call.arguments))})"
        )
        yield Clue(kind="tool output", evidence=evidence, sure=len(known) == 1)
