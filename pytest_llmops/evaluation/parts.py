"""
Parts of one run, merged: the shards of several machines, or runs of other cases of the same golden files.

What is merged is as if one process had run all of it, so parts that were made in another way are refused: of
other golden files, app, prompts, settings, code or metrics. Nothing is compared that depends on the cases.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from pytest_llmops.errors import MergeError
from pytest_llmops.gates.copies import mark_copies
from pytest_llmops.gates.stamps import (
    STAMPED,
    UNFINISHED,
    UNSET,
    describe_unstamped,
    find_conflicts,
    join_stamps,
)
from pytest_llmops.golden.identity import file_of
from pytest_llmops.golden.shards import Shard
from pytest_llmops.printable import name_some, printable
from pytest_llmops.records import CaseResult, LimitWait, ModelCall, Part, Run
from pytest_llmops.runner.signature import describe_part, read_part, sign_results
from pytest_llmops.runner.stamps.files_read import join_folders
from pytest_llmops.runner.usage import sum_outputs

_NAMED = 5
_OF_SOME_CASES = {"model requests", "versions of services"}
"""Kinds of stamps that a shard lacks where none of its cases is of such an app."""

_FEW = 2  # cases from which on equal values are no chance


def merge(runs: Sequence[Run], names: Sequence[str] | None = None) -> Run:
    """
    Make one run of all shards of a run, or of runs of disjoint cases of the same golden files.

    The result is a part, and its verdict undecided at best, if it does not have every case.

    Args:
        runs: In any order.
        names: How messages name each of them, such as its file.

    Raises:
        MergeError: A shard is missing or occurs twice, a case is in two runs, or the runs were made by other
            golden files, metrics, prompts, models, settings or code.
    """
    runs = list(runs)
    names = [printable(name) for name in names or [f"run {at}" for at in range(1, len(runs) + 1)]]
    if not runs:
        raise MergeError("nothing to merge: name the run files of all shards")
    for problems in (_find_unfinished, _find_wrong_shards, _find_other_sets, _find_twice, _find_differences):
        if found := list(problems(runs, names)):
            raise MergeError("\n".join(found))
    results = mark_copies(
        sorted((result for run in runs for result in run.results), key=lambda result: result.case)
    )
    every = _count_all(runs[0])
    signature = _join_signatures(runs, results)
    if len(results) < every:
        signature["partial"] = describe_part(len(results), every)
    anchors = {anchor.case: anchor for run in reversed(runs) for anchor in run.anchors}
    return Run(
        signature=dict(sorted(signature.items())),
        results=tuple(results),
        suite=runs[0].suite,
        usage=sum_outputs(results),
        anchors=tuple(anchors[case] for case in sorted(anchors)),
        environment=_join_environments([run.environment for run in runs]),
        limits=_join_limits([run.limits for run in runs]),
        skipped={case: reason for run in runs for case, reason in run.skipped.items()},
        parts=tuple(part for run in runs for part in _list_parts(run)),
        errors=tuple(dict.fromkeys(error for run in runs for error in run.errors)),
        notes=tuple(dict.fromkeys(note for run in runs for note in run.notes)),
    )


def _join_limits(limits: Sequence[Mapping[str, LimitWait]]) -> dict[str, LimitWait]:
    """Return what limits cost all runs, which waited at the same time."""
    joined = {}
    for host in sorted({host for of_run in limits for host in of_run}):
        waits = [of_run[host] for of_run in limits if host in of_run]
        joined[host] = LimitWait(
            waited_s=max(wait.waited_s for wait in waits), calls=sum(wait.calls for wait in waits)
        )
    return joined


def _list_parts(run: Run) -> Sequence[Part]:
    own = Part(shard=run.shard, cases=len(run.results), usage=run.usage, environment=run.environment)
    return run.parts or (own,)


def _count_all(run: Run) -> int:
    """Return the number of cases in the golden files of a run."""
    return read_part(run.signature) or len(run.results)


def _join_environments(environments: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return what all environments agree on, and when the last one ended."""
    first, *others = environments
    joined = {
        name: value for name, value in first.items() if all(other.get(name) == value for other in others)
    }
    if ended := max(environment.get("ended", "") for environment in environments):
        joined["ended"] = ended
    return joined


def _join_signatures(runs: Sequence[Run], results: Sequence[CaseResult]) -> dict[str, str]:
    """Return the stamps of all runs; those of scores and model calls as one run of all cases has them."""
    made = sign_results(results)
    of_results = {"metric", "model", "judge", "user", "tools", "setting", "system"}
    stamps = [
        {
            name: value
            for name, value in run.signature.items()
            if name != "partial" and name.partition(":")[0] not in of_results
        }
        for run in runs
    ]
    return join_folders(join_stamps(*stamps)) | made


def _find_unfinished(runs: Sequence[Run], names: Sequence[str]) -> Iterator[str]:
    for run, name in zip(runs, names, strict=True):
        if run.signature.get("partial") == UNFINISHED:
            yield f"{name}: the run did not come to its end: resume it, --llm-resume (llmops run: --resume)"


def _find_wrong_shards(runs: Sequence[Run], names: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on shards that are no complete set; runs that are no shards are none."""
    others = [name for run, name in zip(runs, names, strict=True) if not run.shard]
    if len(others) == len(runs):
        return
    if others:
        shards = [name for name in names if name not in others]
        yield (
            f"{name_some(others, _NAMED)}: no shard, and {name_some(shards, _NAMED)} is one: merge all "
            "shards of a run, and nothing else"
        )
        return
    by_shard: defaultdict[Shard, list[str]] = defaultdict(list)
    for run, name in zip(runs, names, strict=True):
        by_shard[Shard.of(run.shard)].append(name)
    counts = defaultdict[int, list[str]](list)
    for shard, files in by_shard.items():
        counts[shard.count] += files
    if len(counts) > 1:
        of_each = [f"{name_some(files, _NAMED)} of {count}" for count, files in sorted(counts.items())]
        yield f"shards of unlike numbers of shards: {'; '.join(of_each)}"
        return
    for shard, files in by_shard.items():
        if len(files) > 1:
            yield f"shard {shard} occurs {len(files)} times: {name_some(files, _NAMED)}"
    (count,) = counts
    present = {shard.number for shard in by_shard}
    if missing := [f"{number}/{count}" for number in range(1, count + 1) if number not in present]:
        what = "shard is" if len(missing) == 1 else "shards are"
        have = name_some([f"{shard} ({', '.join(files)})" for shard, files in by_shard.items()], _NAMED)
        yield f"{len(missing)} {what} missing: {name_some(missing, _NAMED)}; there is {have}"


def _find_other_sets(runs: Sequence[Run], names: Sequence[str]) -> Iterator[str]:
    """Yield what differs in the stamps of two runs, once for each stamp."""
    for one, other, what in find_conflicts([run.signature for run in runs]):
        yield f"{names[one]} and {names[other]} are no parts of one run: {what}"
    for (one, first), (other, second) in combinations(enumerate(runs), 2):
        pair = f"{names[one]} and {names[other]} are no parts of one run"
        if first.suite != second.suite:
            yield f"{pair}: their checks over all cases differ, as where one has another baseline"
        elif _count_all(first) != _count_all(second):
            yield f"{pair}: of {_count_all(first):,} and {_count_all(second):,} cases"
        if first.results and second.results and STAMPED in {*first.signature, *second.signature}:
            lacks = [line for line in describe_unstamped(first.signature, second.signature) if line]
            if lacks := [line for line in lacks if {*line.rpartition(": ")[2].split(", ")} - _OF_SOME_CASES]:
                named = lacks[0].replace("the baseline", names[one]).replace("this run", names[other])
                yield f"{pair}: {named}"


def _find_twice(runs: Sequence[Run], names: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for two runs that have a case in common."""
    for (one, first), (other, second) in combinations(enumerate(runs), 2):
        twice = sorted({result.case for result in first.results} & {result.case for result in second.results})
        if twice:
            cases = name_some([printable(case) for case in twice], _NAMED)
            yield f"{names[one]} and {names[other]} both have {cases}"


def _find_differences(runs: Sequence[Run], names: Sequence[str]) -> Iterator[str]:
    """Yield what the scores and model calls of two runs show to differ, whatever their cases are."""
    settings = _name_settings(runs)
    read = [(_read_metrics(run), _read_requests(run, settings)) for run in runs]
    for (one, first), (other, second) in combinations(enumerate(read), 2):
        found: dict[str, str] = {}
        for before, after in zip(first, second, strict=True):
            for key in before.keys() & after.keys():
                if not before[key] & after[key]:
                    sides = f"{_name(before[key])} in one and {_name(after[key])} in the other"
                    found[key[0]] = f"{key[0]} is {sides}"
        for what in sorted(found.values()):
            yield f"{names[one]} and {names[other]} are no parts of one run: {what}"


def _name(values: Iterable[str]) -> str:
    return name_some([printable(value) for value in sorted(values)], _NAMED)


def _read_metrics(run: Run) -> dict[tuple[str, ...], set[str]]:
    """
    Return the signatures of a run's scores, by metric and by the options that its case has for it.

    By the metric alone it is their version and code, which no case changes. The rest may depend on the case,
    so that only several cases show that it does not.
    """
    versions: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    made: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    cases: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for result in run.results:
        options = {
            check.metric: json.dumps(check.options, sort_keys=True, default=str) for check in result.checks
        }
        for score in result.scores:
            metric = f"the metric {printable(score.metric)}"
            place = (metric, file_of(result.case), options.get(score.metric, ""))
            made[place].add(score.signature)
            cases[place].add(result.case)
            name, version, *rest = f"{score.signature}|".split("|")
            code = next((part for part in rest if part.startswith("code:")), "")
            versions[metric,].add("|".join(filter(None, (name, version, code))))
    steady = {
        place: signatures
        for place, signatures in made.items()
        if len(signatures) == 1 and len(cases[place]) >= _FEW
    }
    return {**steady, **versions}


def _name_settings(runs: Iterable[Run]) -> dict[str, set[str]]:
    """Return the names of the settings in requests for each model."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for call, _ in _calls(runs):
        names[call.model or "-"].update(call.settings)
    return dict(names)


def _calls(runs: Iterable[Run]) -> Iterator[tuple[ModelCall, str]]:
    """Yield the model calls of runs with their cases."""
    for result in (result for run in runs for result in run.results):
        for output in result.outputs:
            yield from ((call, result.case) for call in output.model_calls)


def _read_requests(run: Run, names: Mapping[str, Iterable[str]]) -> dict[tuple[str, ...], set[str]]:
    """
    Return what the model calls of a run show, where it is the same in all of its cases: models, settings.

    A system prompt or tools often depend on the case, so that only several cases show that they do not.

    Args:
        names: Settings of each model that any of the runs has.
    """
    models: set[str] = set()
    values: defaultdict[str, set[str]] = defaultdict(set)
    cases: defaultdict[str, set[str]] = defaultdict(set)
    for call, case in _calls([run]):
        model = call.model or "-"
        models.add(model)
        shown = {"the model that answered": call.reported or "-", "tools": call.tools or UNSET}
        shown |= {name: call.settings.get(name, UNSET) for name in names[model]}
        for about, value in shown.items():
            values[f"{printable(about)} of {printable(model)}"].add(value)
            cases[f"{printable(about)} of {printable(model)}"].add(case)
    steady: dict[tuple[str, ...], set[str]] = {
        (about,): of_setting
        for about, of_setting in values.items()
        if len(of_setting) == 1 and (len(cases[about]) >= _FEW or not _depends_on_case(about, *of_setting))
    }
    return {**steady, **({("the requested model",): models} if models else {})}


def _depends_on_case(about: str, value: str) -> bool:
    return value.startswith("#") or value == UNSET or about.startswith(("system ", "tools "))
