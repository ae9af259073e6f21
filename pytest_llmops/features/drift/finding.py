"""Two runs crossed: which kinds of drift there are, what shows them, and which run would decide the rest."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_llmops.errors import DriftError
from pytest_llmops.features.drift.causes import KINDS, CaseDrift, Cause, Drift, Kind
from pytest_llmops.features.drift.concept import Reviewed, find_dropped, find_overruled
from pytest_llmops.features.drift.crossing import cross_case
from pytest_llmops.features.drift.moved import Moved, find_moved
from pytest_llmops.gates.paired_runs.answers import answer_digests
from pytest_llmops.gates.paired_runs.pairing import Pairs, have_same_input, pair_cases
from pytest_llmops.golden.identity import file_of
from pytest_llmops.records import CaseResult, Run

_COMMIT = "COMMIT_OF_THE_BASE"
_THERE = "there: llmops run --record all --out crossed.json; then: llmops drift BASE.json crossed.json"
_UNIQUE = (
    "Every answer is unique: none comes twice, within a run or in both, and no model answered a request "
    "twice in one way. Take what differs each time (a date, an id, a random number) out of the answers, set "
    "temperature to 0, and run both with --repeats 2"
)
_ALONE: Mapping[Kind, str] = {
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
    What drifted between two runs, and why; asks no model.

    Args:
        reviews: What people said of answers, the latest last.

    Raises:
        DriftError: No case was answered in both runs.
    """
    pairs = _pair(base, new)
    answered = [pair for pair in pairs.shared if all(map(answer_digests, pair))]
    if not answered:
        raise DriftError(
            "no case was answered in both runs, so that nothing can be said of drift; compare runs of one "
            "golden file"
        )
    moved = find_moved(base, new, answered)
    comparable = _repeats_an_answer(answered) or _repeats_a_models_answer(moved)
    cases = tuple(_find_case(*pair, moved, reviews) for pair in answered)
    if not comparable:  # what a person said of an answer holds, whether or not the answer comes again
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
    """Whether some case has one answer twice, in one run or in both."""
    return any(
        len(set(answers)) < len(answers)
        for base, new in pairs
        for answers in [(*answer_digests(base), *answer_digests(new))]
    )


def _repeats_a_models_answer(moved: Moved) -> bool:
    """Whether a model answered some request twice in one way, in one run or in both."""
    answers = [
        (key, answer)
        for seen in (moved.base, moved.new)
        for key, counts in seen.answers.items()
        for answer in counts.elements()
    ]
    return len(set(answers)) < len(answers)


def _pair(base: Run, new: Run) -> Pairs:
    """By case, and those too whose reference alone was edited: they still ask the same."""
    pairs = pair_cases(base.results, new.results)
    before = {result.case: result for result in base.results}
    after = {result.case: result for result in new.results}
    edited = [
        (before[case], after[case])
        for case in pairs.new
        if case in before and _request_alike(before[case], after[case])
    ]
    names = {result.case for result, _ in edited}
    return replace(
        pairs,
        shared=tuple(sorted((*pairs.shared, *edited), key=lambda pair: pair[0].case)),
        new=tuple(case for case in pairs.new if case not in names),
        missing=tuple(case for case in pairs.missing if case not in names),
    )


def _request_alike(base: CaseResult, new: CaseResult) -> bool:
    """By the requests to models; by the answers where requests are not seen in both."""
    requested = [{call.key for output in each.outputs for call in output.model_calls} for each in (base, new)]
    before, after = requested if all(requested) else map(set, map(answer_digests, (base, new)))
    return bool(before & after)


def _find_case(base: CaseResult, new: CaseResult, moved: Moved, reviews: Sequence[Reviewed]) -> CaseDrift:
    crossed = cross_case(base, new, moved)
    edited = not have_same_input(base, new) or file_of(new.case) in moved.golden
    concept = tuple(dict.fromkeys((*find_dropped(base, new, edited=edited), *find_overruled(new, reviews))))
    shown: tuple[Kind, ...] = ("concept",) if any(clue.sure for clue in concept) else ()
    return replace(crossed, clues=crossed.clues + concept, shown=crossed.shown + shown)


def _gather(cases: Sequence[CaseDrift], moved: Moved) -> Iterator[Cause]:
    """The clues of all cases by kind; and the models that moved, whether or not a case felt it."""
    whole: Mapping[Kind, Mapping[str, str]] = {"model": moved.models, "data": moved.embedders}
    for shown in (True, False):
        for kind in KINDS:
            clues = [
                (case.case, clue.evidence)
                for case in cases
                if (kind in case.shown) is shown
                for clue in case.clues
                if clue.kind == kind
            ]
            evidence = [*(whole.get(kind, {}).values() if shown else ()), *(what for _, what in clues)]
            if evidence:
                yield Cause(
                    kind=kind,
                    evidence=tuple(dict.fromkeys(evidence)),
                    cases=tuple(dict.fromkeys(case for case, _ in clues)),
                    shown=shown,
                )


def _advise(cases: Sequence[CaseDrift], moved: Moved) -> Iterator[str]:
    """A line for each set of kinds between which cases are open, most cases first."""
    groups: Counter[tuple[Kind, ...]] = Counter()
    for case in cases:
        if case.is_open or case.candidates:
            groups[tuple(kind for kind in KINDS if kind in {clue.kind for clue in case.clues})] += 1
    for kinds, count in sorted(groups.items(), key=lambda group: (-group[1], group[0])):
        named = " or ".join(kinds) or "nothing that is seen has moved"
        yield f"{_count(count)}: {named}. {_advise_on(kinds, moved)}"
    if unseen := sum(case.hint == "unseen" for case in cases):
        yield (
            f"{_count(unseen)}: their model calls are not in both files. Compare run files, not baselines, "
            "of an app that asks its models by the openai client or httpx"
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
        return _ALONE[(*causes, *kinds)[0]]
    return (
        "The app's code or its settings may have, or an index that data: does not name. Run the base's "
        f"code today: git worktree add --detach ../crossed {_COMMIT}; {_THERE}. What holds there came with a "
        "commit"
    )


def _note_left(pairs: Pairs, cases: Sequence[CaseDrift]) -> Iterator[str]:
    """What was not compared, and what was and says nothing."""
    if left := len(pairs.shared) - len(cases):
        yield f"{_count(left)} without an answer in one of the runs, not compared"
    if pairs.missing:
        yield f"{_count(len(pairs.missing))} only in the base, or asking something else now, not compared"
    if pairs.new:
        yield f"{_count(len(pairs.new))} only in the new run, or asked otherwise before, not compared"
    if varying := sum(case.change == "varying" for case in cases):
        yield f"{_count(varying)} with other answers, no more so than answers vary from repeat to repeat"


def _note_idle(causes: Sequence[Cause], moved: Moved) -> Iterator[str]:
    """What moved and explains nothing, and what could not be seen to move."""
    moves: Mapping[Kind, Sequence[str]] = {
        "prompt": tuple(moved.prompts.values()),
        "data": (*moved.data, *moved.tools, *((moved.retrieval.evidence,) if moved.retrieval else ())),
        "concept": [f"{path} was edited" for path in sorted(moved.golden)],
    }
    for kind, evidence in moves.items():
        if all(cause.kind != kind for cause in causes):
            yield from (f"changed, without effect: {each}" for each in evidence)
    yield from moved.app
    for part in sorted(moved.half_known):
        yield f"only one of the runs is stamped with its {part}, so that a change of it may go unseen"


def _count(cases: int) -> str:
    return f"{cases} case{'' if cases == 1 else 's'}"
