"""The drift between two runs: its causes, their evidence, and advice on causes that are open."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.errors import DriftError
from pytest_llmops.features.drift.causes import KINDS, CaseDrift, Cause, Drift, Kind
from pytest_llmops.features.drift.crossing import Reviewed, cross_case
from pytest_llmops.features.drift.moved import Moved, find_moved
from pytest_llmops.gates.case_results import answer_digests
from pytest_llmops.gates.paired_runs import Pairs, pair_cases
from pytest_llmops.printable import counted
from pytest_llmops.records import CaseResult, Run

_COMMIT = "COMMIT_OF_THE_BASE"
_THERE = "there: llmops run --record all --out crossed.json; then: llmops drift BASE.json crossed.json"
_UNIQUE = (
    "Every answer is unique: none comes twice, within a run or in both, and no model answered a request "
    "twice in one way. Take what differs each time (a date, an id, a random number) out of the answers, set "
    "temperature to 0, and run both with --repeats 2"
)
_ADVICE: Mapping[Kind, str] = {
    "model": (
        "Each request was asked once a run, so that the answers may only vary. Send again what was recorded: "
        "llmops drift BASE.json NEW.json --canary; and run with --repeats 2 from now on"
    ),
    "data": "Name the documents or the index under data: in the golden file, so that a change of them shows",
    "tool output": "Tools that answer equal arguments in several ways show nothing: let them use fixed data",
    "concept": "Read these answers beside their references: llmops review NEW.json",
}


def find_drift(base: Run, new: Run, *, reviews: Sequence[Reviewed] = ()) -> Drift:
    """
    Find the causes of other answers between two runs; calls no model.

    Args:
        reviews: People's reviews of answers, the latest last.

    Raises:
        DriftError: No case was answered in both runs.
    """
    pairs = _pair(base, new)
    answered = [pair for pair in pairs.shared if all(map(answer_digests, pair))]
    if not answered:
        raise DriftError(
            "no case was answered in both runs, so drift between them is unknown; "
            "compare runs of one golden file"
        )
    moved = find_moved(base, new, answered)
    comparable = _repeats_an_answer(answered) or _repeats_a_models_answer(moved)
    cases = tuple(cross_case(*pair, moved, reviews) for pair in answered)
    if not comparable:  # a person's review of an answer holds, whether or not the answer comes again
        cases = tuple(replace(case, shown=tuple({*case.shown} & {"concept"})) for case in cases)
    causes = tuple(_gather(cases, moved))
    if not comparable:
        causes = tuple(replace(cause, shown=cause.shown and cause.kind == "concept") for cause in causes)
    is_open = not comparable or any(case.is_open for case in cases)
    return Drift(
        outcome="drift" if any(cause.shown for cause in causes) else "open" if is_open else "none",
        causes=causes,
        cases=cases,
        advice=(*(() if comparable else (_UNIQUE,)), *_advise(cases, moved)),
        notes=(*_note_left(pairs, cases), *_note_idle(causes, moved)),
        comparable=comparable,
    )


def _repeats_an_answer(pairs: Iterable[tuple[CaseResult, CaseResult]]) -> bool:
    """Return whether some case has one answer twice, in one run or in both."""
    return any(
        len(set(answers)) < len(answers)
        for base, new in pairs
        for answers in [(*answer_digests(base), *answer_digests(new))]
    )


def _repeats_a_models_answer(moved: Moved) -> bool:
    """Return whether a model answered some request twice in one way, in one run or in both."""
    before, after = moved.base.answers, moved.new.answers
    return any(
        count > 1
        for key in before.keys() | after.keys()
        for count in (before.get(key, Counter()) + after.get(key, Counter())).values()
    )


def _pair(base: Run, new: Run) -> Pairs:
    """Pair the runs by case, and also cases whose reference was edited and that request the same."""
    pairs = pair_cases(base.results, new.results)
    before = {result.case: result for result in base.results}
    after = {result.case: result for result in new.results}
    edited = [
        (before[case], after[case])
        for case in pairs.new
        if case in before and _have_same_requests(before[case], after[case])
    ]
    names = {result.case for result, _ in edited}
    return replace(
        pairs,
        shared=tuple(sorted((*pairs.shared, *edited), key=lambda pair: pair[0].case)),
        new=tuple(case for case in pairs.new if case not in names),
        missing=tuple(case for case in pairs.missing if case not in names),
    )


def _have_same_requests(base: CaseResult, new: CaseResult) -> bool:
    """Return whether requests to models agree; the answers, where requests are not seen in both."""
    before, after = (
        {call.key for output in result.outputs for call in output.model_calls} for result in (base, new)
    )
    if not (before and after):
        before, after = set(answer_digests(base)), set(answer_digests(new))
    return bool(before & after)


def _gather(cases: Sequence[CaseDrift], moved: Moved) -> Iterator[Cause]:
    """Gather the clues of all cases by kind, and the models that moved, even if every answer held."""
    of_runs: Mapping[Kind, Mapping[str, str]] = {"model": moved.models, "data": moved.embedders}
    for shown in (True, False):
        for kind in KINDS:
            clues = [
                (case.case, clue.evidence)
                for case in cases
                if (kind in case.shown) is shown
                for clue in case.clues
                if clue.kind == kind
            ]
            evidence = [
                *(of_runs.get(kind, {}).values() if shown else ()),
                *(evidence for _, evidence in clues),
            ]
            if evidence:
                yield Cause(
                    kind=kind,
                    evidence=tuple(dict.fromkeys(evidence)),
                    cases=tuple(dict.fromkeys(case for case, _ in clues)),
                    shown=shown,
                )


def _advise(cases: Sequence[CaseDrift], moved: Moved) -> Iterator[str]:
    """Advise, in a line for each set of kinds between which cases are open, the most frequent first."""
    groups: Counter[tuple[Kind, ...]] = Counter()
    for case in cases:
        if case.is_open or case.candidates:
            groups[tuple(kind for kind in KINDS if kind in {clue.kind for clue in case.clues})] += 1
    for kinds, count in sorted(groups.items(), key=lambda group: (-group[1], group[0])):
        named = " or ".join(kinds) or "nothing that is seen has moved"
        yield f"{counted(count, 'case')}: {named}. {_advise_on(kinds, moved)}"
    if unseen := sum(case.hint == "unseen" for case in cases):
        yield (
            f"{counted(unseen, 'case')}: their model calls are not in both files. Compare run files, not "
            "baselines, of an app that calls its models by the openai client or httpx"
        )


def _advise_on(kinds: Sequence[Kind], moved: Moved) -> str:
    causes = [kind for kind in kinds if kind != "concept"]
    if "prompt" in causes:
        paths = " ".join(map(shlex.quote, moved.prompts))
        old = ", ".join(change.partition(" → ")[0].replace(": ", " ", 1) for change in moved.prompts.values())
        return (
            f"Run the old prompts ({old}) with everything else new: git worktree add --detach ../crossed && "
            f"git -C ../crossed checkout {_COMMIT} -- {paths}; {_THERE}. What drifts there too is not the "
            "prompt's doing"
        )
    if len(causes) > 1:
        return (
            f"Run the base's code today: git worktree add --detach ../crossed {_COMMIT}; {_THERE}. What "
            "drifts there too did not come with a commit"
        )
    if causes or kinds:
        return _ADVICE[(*causes, *kinds)[0]]
    return (
        "The app's code or its settings may have, or an index that data: does not name. Run the base's "
        f"code today: git worktree add --detach ../crossed {_COMMIT}; {_THERE}. What holds there came with a "
        "commit"
    )


def _note_left(pairs: Pairs, cases: Sequence[CaseDrift]) -> Iterator[str]:
    """Note the cases that were not compared, or whose answers vary anyway."""
    notes = {
        "without an answer in one of the runs, not compared": len(pairs.shared) - len(cases),
        "only in the base, or with another question now, not compared": len(pairs.missing),
        "only in the new run, or with another question before, not compared": len(pairs.new),
        "with other answers, no more so than answers vary from repeat to repeat": sum(
            case.change == "varying" for case in cases
        ),
    }
    yield from (f"{counted(count, 'case')} {note}" for note, count in notes.items() if count)


def _note_idle(causes: Sequence[Cause], moved: Moved) -> Iterator[str]:
    """Note parts that moved without effect, and parts whose moves could go unseen."""
    moves: Mapping[Kind, Sequence[str]] = {
        "prompt": tuple(moved.prompts.values()),
        "data": (*moved.data, *moved.tools, *((moved.retrieval.evidence,) if moved.retrieval else ())),
        "concept": [f"{path} was edited" for path in sorted(moved.golden)],
    }
    for kind, evidence in moves.items():
        if all(cause.kind != kind for cause in causes):
            yield from (f"changed, without effect: {move}" for move in evidence)
    yield from moved.app
    for part in sorted(moved.half_known):
        yield f"only one of the runs is stamped with its {part}, so that a change of it may go unseen"
