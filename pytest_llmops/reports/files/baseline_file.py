"""
The baseline of later runs, one line a case, so that a diff can be reviewed.

Its JSON Schema is `baseline.schema.json` in this folder. A list of one item means that all repeats
are equal. A case has the digests of its answers or, on request, its outputs.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.json_document import parse_json
from pytest_llmops.documents.kept_file import KeptFile
from pytest_llmops.documents.reading import (
    BrokenValueError,
    list_of,
    mapping_of,
    read_version,
    record_reader,
    refuse_twice,
    show,
    whole,
    within,
)
from pytest_llmops.errors import RunFileError, hint
from pytest_llmops.gates.baseline import (
    ACCEPT,
    NEW_ALONE,
    Acceptance,
    AcceptOptions,
    accept,
    find_flaw,
    make_entry,
)
from pytest_llmops.gates.case_results import answer_digests
from pytest_llmops.gates.copies import leave_out_copies
from pytest_llmops.gates.release import RELEASE, Release
from pytest_llmops.judges.floors import criteria_evidence, graded_criteria
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import CaseResult, Output, Run, Score, Usage
from pytest_llmops.reports.files.json_file import dump_json, plain
from pytest_llmops.reports.files.run_file import load_run, read_pieces, read_run, without_old_checks

VERSION = 1
KIND = "baseline"

_RELEASE_ENDING = ".release"
_MOST_REPEATS = 100_000  # one item stands for all of them, however many a broken file states
Item = TypeVar("Item")

_REMEDY = f"Restore the file, or remove it and make a baseline with: {ACCEPT}"
_KIND = KeptFile(name=KIND, error=RunFileError, made_by=ACCEPT, remedy=_REMEDY)
_RELEASE = KeptFile(
    name="release baseline",
    error=RunFileError,
    made_by=RELEASE,
    remedy=f"Restore the file, or remove it and name a release with: {RELEASE}",
)
_EITHER = KeptFile(name="run file or baseline", error=RunFileError, made_by=ACCEPT, remedy=_REMEDY)
_FIRST_LINE = re.compile(rb'\s*\{\s*"version"\s*:\s*[^,]{1,20},\s*"kind"')
_WHOLE = 2**53


def write_baseline(run: Run, path: str | Path, *, release: str = "") -> None:
    """
    Write a run as a baseline, outputs and all: the same bytes in whatever order its results and scores came.

    Args:
        release: The name of the release that it is kept for; empty for the baseline that follows runs.

    Raises:
        RunFileError: A case occurs twice, was not scored in every repeat, or has a value that is no JSON.
        OSError: The folder cannot be made or written.
    """
    path = Path(path)
    entries, anchors = (
        [_make_entry(result, path) for result in sorted(side, key=attrgetter("case"))]
        for side in (run.results, run.anchors)
    )
    for before, after in pairwise(entries):
        if before.case == after.case:
            raise RunFileError(f"{path}: not written: case {after.case!r} occurs twice")
    signature = dict(sorted(run.signature.items()))
    lines = [_dump_entry(entry, signature, path) for entry in entries]
    named = {"release": release} if release else {}
    head = dump_json({"version": VERSION, "kind": KIND, **named, "signature": signature}, indent=1)
    cases = ",".join(f"\n  {line}" for line in lines) + ("\n " if lines else "")
    scored = ",".join(f"\n  {_dump_entry(entry, signature, path)}" for entry in anchors)
    kept = f' "anchors": [{scored}\n ],\n' if anchors else ""
    text = head.removesuffix("\n}") + f',\n{kept} "cases": [{cases}]\n}}\n'
    write_atomically(path, text.encode())


def _make_entry(result: CaseResult, path: Path) -> CaseResult:
    if flaw := find_flaw(result):
        raise RunFileError(f"{path}: not written: {printable(result.case)}: {printable(flaw)}")
    return make_entry(result, with_outputs=True)


def update_baseline(path: str | Path, run: Run, options: AcceptOptions = NEW_ALONE) -> Acceptance:
    """
    Accept a run into a baseline file; one that would stay the same is not touched.

    Raises:
        RunFileError: The existing file is broken, or a release; it stays as it is.
        AcceptanceError: Nothing of the run can be accepted.
    """
    path = Path(path)
    if path.stem.endswith(_RELEASE_ENDING):
        of = path.with_name(f"{path.stem.removesuffix(_RELEASE_ENDING)}{path.suffix}")
        raise RunFileError(
            f"{path}: is a release, which no run is added to; accept into {of}, then: {RELEASE}"
        )
    baseline = load_baseline(path) if path.exists() else None
    acceptance = accept(baseline, run, options)
    if acceptance.changed:
        write_baseline(acceptance.baseline, path)
    return acceptance


def load_baseline(path: str | Path) -> Run:
    """
    Read a baseline; its results have answers and scores, outputs only where they were kept.

    Raises:
        RunFileError: It is missing, cut off, of another version, or contains something that a
            baseline cannot: the message names the file, the place in it, and what to do.
    """
    return parse_baseline(_KIND.load(Path(path)), str(path))


def parse_baseline(data: bytes, shown: str) -> Run:
    """Parse the bytes of a baseline; `shown` names it in errors."""
    return _KIND.parse(data, shown, partial(_parse, shown))


def release_path(path: Path) -> Path:
    """Return the file of the release baseline beside a baseline: `baseline.release.json`."""
    return path.with_name(f"{path.stem}{_RELEASE_ENDING}{path.suffix}")


def load_release(path: Path) -> Release | None:
    """
    Read the release baseline beside a baseline; None where no release was named.

    Args:
        path: The baseline.

    Raises:
        RunFileError: It is broken.
    """
    file = release_path(path)
    return parse_release(file.read_bytes(), str(file)) if file.exists() else None


def describe_left_out(path: Path, accepted: Path) -> str:
    """Return a sentence where no release is beside a baseline and one is beside the accepted baseline."""
    release = release_path(accepted)
    if release_path(path).exists() or not release.exists():
        return ""
    return f"compared with no release: {printable(str(release))} is not beside {printable(str(path))}"


def parse_release(data: bytes, shown: str) -> Release:
    """Parse the bytes of a release baseline; `shown` names it in errors."""

    def read(text: str) -> Release:
        value = parse_json(text)
        run = read_baseline(value)
        if not (name := _HEAD(read_version(value, VERSION, KIND)).get("release")):
            raise BrokenValueError("release: is missing; a release baseline has a name")
        return Release(name=name, run=run)

    return _RELEASE.parse(data, shown, read)


def name_release(path: Path, name: str) -> Release:
    """
    Keep a baseline as it is now as the release baseline beside it, in place of an earlier one.

    Raises:
        RunFileError: The baseline is missing or broken.
        OSError: The folder cannot be written.
    """
    release = Release(name=name, run=load_baseline(path))
    write_baseline(release.run, release_path(path), release=name)
    return release


def load_base(path: str | Path) -> Run:
    """
    Read a baseline, or a run to compare with.

    Raises:
        RunFileError: It is neither, or broken.
    """
    path = Path(path)
    if (run := read_pieces(path)) is not None:
        return leave_out_copies(without_old_checks(run))
    if path.suffix == ".jsonl":
        return leave_out_copies(load_run(path))
    data = _EITHER.load(path)
    if _FIRST_LINE.match(data):
        return parse_baseline(data, str(path))

    def read(text: str) -> Run:
        value = parse_json(text)
        is_run = not isinstance(value, dict) or "kind" not in value
        if is_run:
            return leave_out_copies(without_old_checks(read_run(value)))
        return parse_baseline(data, str(path))

    return _EITHER.parse(data, str(path), read)


def _parse(shown: str, text: str) -> Run:
    value = parse_json(text)
    if isinstance(value, dict) and "kind" not in value and "results" in value:
        made = f"llmops accept {shown} --baseline FILE.json"
        raise RunFileError(f"{shown}: is a run, no baseline; make one of it with: {made}")
    return read_baseline(value)


def read_baseline(value: Any) -> Run:
    """Read a baseline from the content of its file."""
    head = _HEAD(read_version(value, VERSION, KIND))
    entries = within("cases", list_of(partial(_read_entry, head["signature"])), head["cases"])
    refuse_twice((entry.case for entry in entries), "cases", "case")
    anchors = within("anchors", list_of(partial(_read_entry, head["signature"])), head.get("anchors", []))
    return Run(signature=head["signature"], results=entries, anchors=anchors)


def _read_entry(signature: Mapping[str, str], value: Any) -> CaseResult:
    entry = _ENTRY(value)
    if ("answers" in entry) == ("outputs" in entry):
        raise BrokenValueError("must have answers or outputs, and not both")
    repeats = entry["repeats"]
    spread = partial(_spread, repeats)
    outputs = within("outputs", spread, entry["outputs"]) if "outputs" in entry else ()
    answers = within("answers", spread, entry["answers"]) if "answers" in entry else ()
    scores = within("scores", mapping_of(spread), entry["scores"])
    criteria = {
        metric: within("criteria", mapping_of(spread), of_metric)
        for metric, of_metric in entry.get("criteria", {}).items()
    }
    runs = entry.get("runs", ())  # repeats of each merged run, which add up to all of them
    if runs and (len(runs) < 2 or min(runs) < 1 or sum(runs) != repeats):  # noqa: PLR2004 - one run needs no list
        raise BrokenValueError(f"runs: must be two numbers or more that add up to {repeats} repeats")
    ways = entry.get("signatures", {})
    for place, metric in [
        *(("signatures", metric) for metric in ways),
        *(("criteria", metric) for metric in criteria),
    ]:
        if metric not in scores:
            raise BrokenValueError(f"{place}: {show(metric)} is no metric of scores.{hint(metric, scores)}")
    result = CaseResult(
        case=entry["case"],
        input_hash=entry.get("input_hash", ""),
        outputs=tuple(replace(output, repeat=repeat) for repeat, output in enumerate(outputs)),
        scores=tuple(
            Score(
                metric=metric,
                value=number,
                repeat=repeat,
                signature=ways.get(metric, signature.get(f"metric:{metric}", "")),
                evidence=criteria_evidence(
                    {name: graded[repeat] for name, graded in criteria.get(metric, {}).items()}
                ),
            )
            for metric, numbers in sorted(scores.items())
            for repeat, number in enumerate(numbers)
        ),
        answers=answers,
        runs=runs,
        left_out=entry.get("left_out", 0),
        tried_again=entry.get("tried_again", 0),
        spent=entry.get("spent"),
    )
    return replace(result, answers=answer_digests(result))


def _spread(repeats: int, items: Sequence[Item]) -> Sequence[Item]:
    """Return an item for each repeat."""
    if len(items) not in {1, repeats}:
        allowed = counted(repeats, "item") if repeats == 1 else f"1 or {repeats} items"
        raise BrokenValueError(f"must contain {allowed}, one for each repeat, not {len(items)}")
    return items if len(items) == repeats else tuple(items) * repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    version: Any
    kind: Literal["baseline"]
    signature: Mapping[str, str]
    cases: Any
    anchors: Any = ()
    release: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One case, as `baseline.schema.json` has it."""

    case: str
    repeats: Annotated[int, whole(1, _MOST_REPEATS)]
    scores: Mapping[str, tuple[float, ...]]
    input_hash: str = ""
    runs: tuple[int, ...] = ()
    left_out: Annotated[int, whole(0, _MOST_REPEATS)] = 0
    tried_again: Annotated[int, whole(0, _MOST_REPEATS)] = 0
    spent: Usage | None = None
    answers: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    criteria: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)
    signatures: Mapping[str, str] = field(default_factory=dict)


_SPENT = ("calls", "prompt_tokens", "completion_tokens", "cost_usd")
_NOT_KEPT = {part.name for part in fields(Output)} - {"text", "passages", "tool_calls"}
_HEAD = record_reader(dict, _Head)
_ENTRY = record_reader(dict, _Entry, outputs=list_of(record_reader(Output, without=_NOT_KEPT)))


def _dump_entry(entry: CaseResult, signature: Mapping[str, str], path: Path) -> str:
    scores: dict[str, list[float]] = {}
    ways: dict[str, str] = {}
    criteria: dict[str, dict[str, list[float]]] = {}
    for score in entry.scores:
        scores.setdefault(score.metric, []).append(_shortest(score.value))
        if score.signature != signature.get(f"metric:{score.metric}", ""):
            ways[score.metric] = score.signature
        for criterion in graded_criteria(score):
            graded = criteria.setdefault(score.metric, {}).setdefault(criterion.name, [])
            graded.append(_shortest(criterion.score))
    line: dict[str, Any] = {
        "case": entry.case,
        "input_hash": entry.input_hash,
        "repeats": len(entry.answers),
        **({"runs": list(entry.runs)} if entry.runs else {}),
        **({"left_out": entry.left_out} if entry.left_out else {}),
        **({"tried_again": entry.tried_again} if entry.tried_again else {}),
        **({"spent": {name: getattr(entry.spent, name) for name in _SPENT}} if entry.spent else {}),
    }
    try:
        if entry.outputs:
            outputs = [_dump_output(output) for output in entry.outputs]
            line["outputs"] = _once(outputs, [dump_json(output) for output in outputs])
        else:
            line["answers"] = _once(entry.answers)
        line["scores"] = {metric: _once(values) for metric, values in scores.items()}
        if kept := {metric: named for metric, named in criteria.items() if _is_complete(named, entry)}:
            line["criteria"] = {
                metric: {name: _once(values) for name, values in named.items()}
                for metric, named in kept.items()
            }
        return dump_json({**line, "signatures": ways} if ways else line)
    except (TypeError, ValueError) as error:
        raise RunFileError(
            f"{path}: not written: {printable(entry.case)} holds what JSON cannot: {error}"
        ) from None


def _is_complete(criteria: Mapping[str, Sequence[float]], entry: CaseResult) -> bool:
    """Return whether each criterion has a score in each repeat: an answer without a word has none."""
    return all(len(values) == len(entry.answers) for values in criteria.values())


def _dump_output(output: Output) -> dict[str, Any]:
    dumped = {"text": output.text}
    if output.passages is not None:
        dumped["passages"] = plain(output.passages)
    if output.tool_calls:
        dumped["tool_calls"] = plain(output.tool_calls)
    return dumped


def _shortest(value: float) -> float:
    """Return 1 for 1.0: the text of a float is the shortest that reads back, but for its `.0`."""
    value = float(value)
    return int(value) if value.is_integer() and abs(value) < _WHOLE else value


def _once(items: Sequence[Item], marks: Iterable[Hashable] = ()) -> Sequence[Item]:
    """Return only the first item where all are equal; `marks` compares items that differ though equal."""
    return items[:1] if len(set(marks or items)) == 1 else items
