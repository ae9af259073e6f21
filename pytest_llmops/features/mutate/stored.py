"""The measured strength of golden sets in a file beside the baseline, and a comparison with it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.errors import RunFileError, SettingsError
from pytest_llmops.features.mutate.kinds import EDITS, Kind
from pytest_llmops.features.mutate.strength import Strength
from pytest_llmops.features.mutate.trials import Trial
from pytest_llmops.golden.identity import cases_by_id, file_of
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.revision.revision import is_revision, open_revision
from pytest_llmops.settings import NO_BASELINE, Settings
from pytest_llmops.statistics.multiplicity import adjust_holm
from pytest_llmops.statistics.p_values import binomial_cdf

VERSION = 1
_CHANCE = 0.05
_DIGITS = 16
_NAMED = 5

Killed = Mapping[tuple[str, str, str], tuple[bool, str]]
"""Case, group and kind to whether the mutant was killed, and its digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakened:
    """
    A kind of mutants of which a golden set kills fewer than it did, or a whole group where `kind` is empty.

    Attributes:
        dropped: Cases whose mutant was killed and survives now; of a group, those that kill fewer in all.
        improved: The number of cases the other way round.
        same: Of the very same mutants as before, more dropped than improved, so that the checks are weaker.
    """

    group: str
    kind: str
    dropped: tuple[str, ...]
    improved: int
    cases: int
    same: bool
    p_value: float

    def describe(self) -> str:
        named = name_some([printable(case) for case in self.dropped], _NAMED)
        why = "the mutants are the same, so the checks are weaker"
        if not self.same:
            why = f"more than chance explains, p = {self.p_value:.2g}"
        if not self.kind:
            return (
                f"{self.group}: {counted(len(self.dropped), 'case')} of {self.cases} kill fewer mutants than "
                f"before ({self.improved} more; {why}): {named}"
            )
        return (
            f"{self.group}/{self.kind}: {counted(len(self.dropped), 'mutant')} of {self.cases} that were "
            f"killed survive ({self.improved} the other way round; {why}): {named}"
        )


def strength_path(settings: Settings) -> Path:
    """Return the place of the file: beside the baseline."""
    return settings.path(settings.accepted).with_name("mutation.json")


def write_strength(strength: Strength, path: Path) -> None:
    """
    Write the counts by kind, and which mutants were killed; other golden files and kinds stay as they are.

    Raises:
        OSError, RunFileError: It cannot be written, or the file that is there is none.
    """
    goldens = dict(_read(path.read_bytes(), str(path))["goldens"]) if path.exists() else {}
    for golden in strength.goldens:
        own = [trial for trial in strength.trials if file_of(trial.case) == golden.path]
        goldens[golden.path] = _join(goldens.get(golden.path, {}), _entry(own))
    document = {"version": VERSION, "goldens": dict(sorted(goldens.items()))}
    write_atomically(path, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def read_strength(content: bytes, name: str) -> Killed:
    """
    Read which mutants were killed.

    Raises:
        RunFileError: It is no such file.
    """
    killed: dict[tuple[str, str, str], tuple[bool, str]] = {}
    for path, entry in _read(content, name)["goldens"].items():
        for case, kinds in entry["cases"].items():
            for written, (is_killed, digest) in kinds.items():
                group, _, kind = written.partition("/")
                killed[f"{path}::{case}", group, kind] = (bool(is_killed), digest)
    return killed


class Before(NamedTuple):
    """The strength to compare with; where there is none, a sentence says so."""

    killed: Killed
    note: str = ""


def read_before(typed: str | None, settings: Settings) -> Before:
    """
    Read the strength to compare with.

    Args:
        typed: A file, `git:REF` for the one at the merge base, `none`; None for the one beside the baseline.

    Raises:
        OSError, RunFileError, RevisionError: What was named cannot be read.
        SettingsError: The one beside the baseline lies outside of the project, so no revision has it.
    """
    path = strength_path(settings)
    remedy = "accept it there first: llmops mutate --accept"
    if typed == NO_BASELINE:
        return Before({})
    if typed is None:
        if path.exists():
            return Before(read_strength(path.read_bytes(), str(path)))
        return Before({}, "no strength is stored, so nothing is compared: llmops mutate --accept")
    if not is_revision(typed):
        return Before(read_strength(Path(typed).read_bytes(), typed))
    if not path.resolve().is_relative_to(settings.root.resolve()):
        raise SettingsError(
            f"--baseline {printable(typed)} reads the strength beside `accepted`, and "
            f"{printable(str(path))} lies outside of the project {settings.root}; name the file itself: "
            f"--baseline {printable(str(path))}"
        )
    place = path.resolve().relative_to(settings.root.resolve()).as_posix()
    content = open_revision(typed, settings.root).read(place)
    if content is None:
        return Before({}, f"{typed} has no {place}, so nothing is compared; {remedy}")
    return Before(read_strength(content, f"{typed}:{place}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """
    A strength held against an earlier one.

    Attributes:
        notes: What was compared with nothing, and why.
        is_undecided: There is an earlier strength, and none of its mutants was tried again.
    """

    weakened: Sequence[Weakened] = ()
    notes: tuple[str, ...] = ()
    is_undecided: bool = False


def compare_strength(before: Before, strength: Strength) -> Compared:
    """Compare with the strength that was stored: what is weaker, and what is no longer there."""
    notes = [before.note] if before.note else []
    shares_none = bool(before.killed) and not before.killed.keys() & _killed(strength.trials).keys()
    if shares_none:
        notes.append(
            "the stored strength has no mutant that was decided this time, so nothing was compared: "
            "the cases or their files have other names, or other kinds were tried"
        )
    if gone := _find_gone(before.killed, strength):
        named = name_some([printable(case) for case in gone], _NAMED)
        notes.append(
            f"{counted(len(gone), 'case')} of the stored strength {'is' if len(gone) == 1 else 'are'} gone, "
            f"so nobody knows if its mutants would still be killed: {named}; if that is meant: "
            "llmops mutate --accept"
        )
    return Compared(
        weakened=find_weakened(before.killed, strength), notes=tuple(notes), is_undecided=shares_none
    )


def _find_gone(before: Killed, strength: Strength) -> list[str]:
    """Return the stored cases of the golden files measured that these have no longer."""
    files = {golden.path for golden in strength.goldens}
    known = cases_by_id(*strength.goldens)
    stored = {case for case, group, _ in before if group not in EDITS and file_of(case) in files}
    return sorted(stored - known.keys())


def find_weakened(before: Killed, strength: Strength) -> list[Weakened]:
    """
    Find the kinds of which fewer mutants are killed than before, by more than chance explains.

    Mutants are paired by case. Of those that are the same as before, one that survives now is a fact. The
    rest answers to McNemar's exact test, one-sided: each group as a whole, over the cases that kill fewer or
    more of its mutants, at 2.5 %, and each kind at 2.5 % (both Holm).

    Source: McNemar (1947), Note on the sampling error of the difference between correlated proportions.
    """
    now = _killed(strength.trials)
    pairs: defaultdict[Kind, list[tuple[str, bool, bool, bool]]] = defaultdict(list)
    for key in before.keys() & now.keys():
        case, group, kind = key
        (was, old), (is_, new) = before[key], now[key]
        pairs[group, kind].append((case, was, is_, old == new))
    kinds = []
    for (group, kind), rows in sorted(pairs.items()):
        dropped = sorted(case for case, was, is_, _ in rows if was and not is_)
        improved = sum(is_ and not was for _, was, is_, _ in rows)
        facts = [same for _, was, is_, same in rows if was and not is_]
        gains = sum(same for _, was, is_, same in rows if is_ and not was)
        turned = len(dropped) + improved
        kinds.append(
            Weakened(
                group=group,
                kind=kind,
                dropped=tuple(dropped),
                improved=improved,
                cases=len(rows),
                same=sum(facts) > gains,
                p_value=binomial_cdf(improved, turned, 0.5) if turned else 1.0,
            )
        )
    of_groups = [_compare_group(group, pairs) for group in sorted({group for group, _ in pairs})]
    return [*_choose(of_groups), *_choose(kinds)]


def _choose(rows: Sequence[Weakened]) -> list[Weakened]:
    adjusted = adjust_holm([row.p_value for row in rows])
    return [
        row for row, p in zip(rows, adjusted, strict=True) if row.same or (row.dropped and p <= _CHANCE / 2)
    ]


def _compare_group(group: str, pairs: Mapping[Kind, Sequence[tuple[str, bool, bool, bool]]]) -> Weakened:
    """Compare all kinds of a group together, by case: without a check, each kind loses a few mutants."""
    gains: defaultdict[str, int] = defaultdict(int)
    for (other, _), rows in pairs.items():
        for case, was, is_, _ in rows if other == group else ():
            gains[case] += is_ - was
    dropped = tuple(sorted(case for case, gain in gains.items() if gain < 0))
    improved = sum(gain > 0 for gain in gains.values())
    turned = len(dropped) + improved
    return Weakened(
        group=group,
        kind="",
        dropped=dropped,
        improved=improved,
        cases=len(gains),
        same=False,
        p_value=binomial_cdf(improved, turned, 0.5) if turned else 1.0,
    )


def _entry(trials: Iterable[Trial]) -> dict[str, Any]:
    kinds: defaultdict[str, dict[str, int]] = defaultdict(
        lambda: {"killed": 0, "by_error": 0, "survived": 0, "undecided": 0}
    )
    cases: defaultdict[str, dict[str, list[Any]]] = defaultdict(dict)
    for trial in trials:
        counts = kinds[f"{trial.group}/{trial.kind}"]
        outcome = "by_error" if trial.outcome == "error" else trial.outcome
        counts[outcome] += 1
        if trial.is_decided:
            case = trial.case.rpartition("::")[2]
            cases[case][f"{trial.group}/{trial.kind}"] = [int(trial.is_killed), _digest(trial)]
    return {"kinds": dict(kinds), "cases": dict(cases)}


def _join(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Add the kinds of an earlier measurement that this one did not try."""
    kept = {kind: counts for kind, counts in old.get("kinds", {}).items() if kind not in new["kinds"]}
    cases = {case: dict(kinds) for case, kinds in new["cases"].items()}
    for case, kinds in old.get("cases", {}).items():
        earlier = {kind: killed for kind, killed in kinds.items() if kind in kept}
        if earlier:
            cases[case] = {**earlier, **cases.get(case, {})}
    return {
        "kinds": dict(sorted({**kept, **new["kinds"]}.items())),
        "cases": {case: dict(sorted(kinds.items())) for case, kinds in sorted(cases.items())},
    }


def _killed(trials: Sequence[Trial]) -> Killed:
    return {
        (trial.case, trial.group, trial.kind): (trial.is_killed, _digest(trial))
        for trial in trials
        if trial.is_decided
    }


def _digest(trial: Trial) -> str:
    """Digest of all of a mutant that checks see, without its text: the file goes into git."""
    output = trial.mutation.output
    seen: Any = trial.mutation.broken
    if output is not None:
        passages = [[passage.id, passage.text] for passage in output.passages or ()]
        seen = [output.text, passages, [[call.name, call.arguments] for call in output.tool_calls]]
    return sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]


def _read(content: bytes, name: str) -> Mapping[str, Any]:
    from jsonschema import Draft202012Validator

    remedy = "measure it again: llmops mutate --accept"
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RunFileError(f"{printable(name)}: no JSON: {printable(str(error))}; {remedy}") from None
    for mistake in Draft202012Validator(_schema()).iter_errors(document):
        raise RunFileError(
            f"{printable(name)}: {printable(mistake.json_path)}: {printable(mistake.message, 200)}; {remedy}"
        )
    checked: Mapping[str, Any] = document
    return checked


@cache
def _schema() -> Mapping[str, Any]:
    text = files("pytest_llmops.features.mutate").joinpath("mutation.schema.json").read_text("utf-8")
    schema: Mapping[str, Any] = json.loads(text)
    return schema
