"""The measured strength of golden sets in a file beside the baseline, and a comparison with it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pytest_llmops.documents.json_document import parse_json
from pytest_llmops.documents.kept_file import KeptFile
from pytest_llmops.documents.reading import (
    BrokenValueError,
    hexadecimal,
    mapping_of,
    read_version,
    reader_of,
    show,
    whole,
    within,
)
from pytest_llmops.errors import RunFileError, SettingsError, hint
from pytest_llmops.features.mutate.kinds import EDITS, GROUPS, LIES, Kind
from pytest_llmops.features.mutate.strength import Strength
from pytest_llmops.features.mutate.trials import Trial
from pytest_llmops.gates.renames import find_renames
from pytest_llmops.golden.identity import cases_by_id, file_of, input_hash
from pytest_llmops.hookspecs import Lost
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Golden
from pytest_llmops.revision.revision import is_revision, open_revision
from pytest_llmops.settings import NO_BASELINE, Settings
from pytest_llmops.statistics.multiplicity import adjust_holm
from pytest_llmops.statistics.p_values import binomial_cdf

VERSION = 1
_FILE = KeptFile(
    name="stored strength",
    error=RunFileError,
    remedy="Take it away, and measure again: llmops mutate --accept",
    made_by="llmops mutate --accept",
)
_FOR_ANY_ANSWER = frozenset({
    ("output", "another_answer"), ("output", "apology"),
    ("model", "empty"), ("model", "rubbish"), ("model", "refusal"),
})  # fmt: skip
_ACCEPT_ALL = "llmops mutate --accept --all"
_CHANCE = 0.05
_DIGITS = 16
_NAMED = 5

Killed = Mapping[tuple[str, str, str], tuple[bool, str]]
"""Case, or place of an edit, group and kind to whether the mutant was killed, and its digest."""


class Kept(NamedTuple):
    """
    A stored strength.

    Attributes:
        questions: Case to the hash of what it asks and expects.
    """

    killed: Killed
    questions: Mapping[str, str] = {}

    def rename(self, names: Callable[[str], str]) -> Kept:
        """Return it under the names that its cases have now; edits go with their golden file."""
        renamed = {case: names(case) for case, group, _ in self.killed if group not in EDITS}
        moved = {file_of(old): file_of(new) for old, new in renamed.items()}

        def name(case: str, group: str) -> str:
            path, _, place = case.partition("::")
            return f"{moved.get(path, path)}::{place}" if group in EDITS else renamed[case]

        return Kept(
            {(name(case, group), group, kind): entry for (case, group, kind), entry in self.killed.items()},
            {names(case): question for case, question in self.questions.items()},
        )

    def share(self, cases: Collection[str] | None = None, group: str = "") -> str:
        """Return `9 of 12 mutants killed`, of some cases, or of one group of them."""
        own = [
            killed
            for (case, of, _), (killed, _) in self.killed.items()
            if (cases is None or case in cases) and group in {"", of}
        ]
        return f"{sum(own)} of {counted(len(own), 'mutant')} killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakened:
    """
    A kind of mutants of which a golden set kills fewer than it did, or a whole group where `kind` is empty.

    Attributes:
        dropped: The case of each mutant that was killed and survives now.
        improved: The number of mutants the other way round.
        compared: The number of mutants, by case and kind, that both have.
        same: Of the very same mutants as before, more dropped than improved, so that the checks are weaker.
    """

    group: str
    kind: str
    dropped: tuple[str, ...]
    improved: int
    compared: int
    same: bool
    p_value: float

    def describe(self) -> str:
        named = name_some([printable(case) for case in dict.fromkeys(self.dropped)], _NAMED)
        why = "the mutants are the same, so the checks are weaker"
        if not self.same:
            why = f"more than chance explains, p = {self.p_value:.2g}"
        name = f"{self.group}/{self.kind}" if self.kind else self.group
        return (
            f"{name}: {counted(len(self.dropped), 'mutant')} of {self.compared} that were "
            f"killed survive ({self.improved} the other way round; {why}): {named}"
        )


def strength_path(settings: Settings) -> Path:
    """Return the place of the file: beside the baseline."""
    return settings.path(settings.accepted).with_name("mutation.json")


def update_strength(strength: Strength, path: Path, root: Path) -> tuple[bytes, list[str]]:
    """
    Return what the file becomes; other golden files, edited files and kinds stay as they are.

    Returns:
        Its content, and what the file that is there has more of: kills, or cases.

    Raises:
        RunFileError: The file that is there is none.
    """
    before = Kept({})
    if path.exists():
        before = follow_renames(read_strength(_FILE.load(path), str(path)), strength.goldens, root)
    gone = find_gone(before, strength.goldens, root)
    now = _update(before, strength, gone)
    return _write(now).encode(), _describe_losses(before, now, gone)


def _update(before: Kept, strength: Strength, gone: Collection[str]) -> Kept:
    """Return the measured strength, with what was stored of all that was not tried."""
    tried = {(_unit(trial.case, trial.group), trial.group, trial.kind) for trial in strength.trials}
    untried = {
        (case, group, kind): entry
        for (case, group, kind), entry in before.killed.items()
        if (_unit(case, group), group, kind) not in tried and case not in gone
    }
    questions = {**before.questions, **_questions(strength.goldens)}
    return Kept({**untried, **_killed(strength.trials)}, questions)


def _unit(case: str, group: str) -> str:
    """Return what is measured as a whole: a golden file, of an edit with the file that is changed."""
    return case.rpartition(":")[0] if group in EDITS else file_of(case)


def _describe_losses(before: Kept, now: Kept, gone: Collection[str]) -> list[str]:
    """Return what was lost, before and after: each group, with its kinds."""
    lowered = find_lowered(before.killed, now.killed)
    lines = []
    for golden, group in sorted({(row.golden, row.group) for row in lowered}):
        rows = [row for row in lowered if (row.golden, row.group) == (golden, group)]
        kinds = ", ".join(f"{row.kind} {row.before} \u2192 {row.after}: {row.name_dropped()}" for row in rows)
        cases = {case for kept in (before, now) for case, _, _ in kept.killed if file_of(case) == golden} - {
            *gone
        }
        old, new = (kept.share(cases, group) for kept in (before, now))
        lines.append(f"{printable(golden)}: {group}: {old} \u2192 {new} ({kinds})")
    left = {case for case, _, _ in now.killed}
    if silent := sorted({case for case, group, _ in before.killed if group not in EDITS} - left - {*gone}):
        named = name_some([printable(case) for case in silent], _NAMED)
        lines.append(
            f"nothing was decided of {counted(len(silent), 'case')}, {before.share(silent)}: {named}"
        )
    return [*lines, *([describe_gone(before, gone)] if gone else [])]


class Lowered(NamedTuple):
    """
    A kind of which kills were lost since an earlier strength was stored.

    Attributes:
        before: `3 of 4`, of the cases that both have; of edits, of all that were made then.
        dropped: Cases, or places of edits, whose mutant was killed and is not any more.
    """

    golden: str
    group: str
    kind: str
    before: str
    after: str
    dropped: tuple[str, ...]

    def name_dropped(self) -> str:
        return name_some([printable(case.removeprefix(f"{self.golden}::")) for case in self.dropped], _NAMED)


def find_lowered(before: Killed, now: Killed) -> list[Lowered]:
    """
    Find the kinds of which kills were lost: of the very same mutant, or more than were gained.

    A kill that is no longer there is lost, too, unless the answer is another one, which may have nothing that
    its kind could change: all lies and wrong passages of both sides are others. Some kinds can be made of any
    answer. Edits have places that move, so they are counted by golden file and kind. Cases that are gone
    altogether are not looked at.
    """
    known = {case for case, _, _ in now}
    alike: defaultdict[str, set[bool]] = defaultdict(set)
    for (case, group, kind), (_, digest) in before.items():
        if (group == "retrieval" or (group == "output" and kind in LIES)) and (case, group, kind) in now:
            alike[case].add(now[case, group, kind][1] == digest)
    by_kind: defaultdict[tuple[str, str, str], tuple[dict[str, bool], dict[str, bool]]] = defaultdict(
        lambda: ({}, {})
    )
    for key, (was_killed, _) in before.items():
        case, group, kind = key
        is_other = alike[case] == {False} and (group, kind) not in _FOR_ANY_ANSWER
        if group in EDITS or (case in known and (key in now or not is_other)):
            old, new = by_kind[file_of(case), group, kind]
            old[case] = was_killed
            if group not in EDITS:
                new[case] = key in now and now[key][0]
    for (case, group, kind), (is_killed, _) in now.items():
        if group in EDITS:
            by_kind[file_of(case), group, kind][1][case] = is_killed
    rows = []
    for (golden, group, kind), (old, new) in sorted(by_kind.items()):
        dropped = tuple(sorted(case for case, was in old.items() if was and not new.get(case)))
        keys = [(case, group, kind) for case in dropped if group not in EDITS]
        if sum(new.values()) < sum(old.values()) or any(
            key in now and now[key][1] == before[key][1] for key in keys
        ):
            was, is_ = (f"{sum(killed.values())} of {len(killed)}" for killed in (old, new))
            rows.append(Lowered(golden, group, kind, before=was, after=is_, dropped=dropped))
    return rows


def list_lost(
    before: bytes, after: bytes | None, rename: Callable[[str], str], cases: Collection[str]
) -> Iterator[Lost]:
    """
    Yield what a change lowered in the stored strength, or took out of it.

    Args:
        rename: Returns the id that a case of before has now.
        cases: Of the golden files as they are now; others are listed as removed ones.
    """
    try:
        old = read_strength(before, "").rename(rename)
    except RunFileError:  # which was listed when it came
        return
    if after is None:
        yield Lost("the stored strength was removed", before=old.share())
        return
    try:
        now = read_strength(after, "")
    except RunFileError as error:
        yield Lost(f"the stored strength cannot be read{error}", content=after)
        return
    files = set(map(file_of, cases))
    for row in find_lowered(old.killed, now.killed):
        if row.golden in files:
            what = f"{row.golden}: kills of {row.group}/{row.kind} were lost"
            yield Lost(what, before=row.before, after=row.after, content=row.dropped)
    left = {case for case, _, _ in now.killed}
    for case in sorted({case for case, group, _ in old.killed if group not in EDITS} - left):
        if case in cases:
            yield Lost("the case was taken out of the stored strength", case, old.share([case]))


def read_strength(content: bytes, name: str) -> Kept:
    """
    Read which mutants were killed.

    Raises:
        RunFileError: It is no such file.
    """
    killed: dict[tuple[str, str, str], tuple[bool, str]] = {}
    questions: dict[str, str] = {}
    for path, golden in _FILE.parse(content, printable(name), _parse).items():
        questions |= {f"{path}::{case}": asked for case, asked in golden.questions.items()}
        for case, kinds in golden.cases.items():
            for written, (is_killed, digest) in kinds.items():
                group, _, kind = written.partition("/")
                killed[f"{path}::{case}", group, kind] = (bool(is_killed), digest)
    return Kept(killed, questions)


class Before(NamedTuple):
    """The strength to compare with; None where there is none, and a sentence says so."""

    kept: Kept | None
    note: str = ""


def read_before(typed: str | None, settings: Settings) -> Before:
    """
    Read the strength to compare with.

    Args:
        typed: A file, `git:REF` for the one at the merge base, `none`; None for the one beside the baseline.

    Raises:
        RunFileError, RevisionError: What was named cannot be read.
        SettingsError: The one beside the baseline lies outside of the project, so no revision has it.
    """
    path = strength_path(settings)
    remedy = "accept it there first: llmops mutate --accept"
    if typed == NO_BASELINE:
        return Before(None)
    if typed is None:
        if path.exists():
            return Before(read_strength(_FILE.load(path), str(path)))
        return Before(None, "no strength is stored, so nothing is compared: llmops mutate --accept")
    if not is_revision(typed):
        return Before(read_strength(_FILE.load(Path(typed)), typed))
    if not path.resolve().is_relative_to(settings.root.resolve()):
        raise SettingsError(
            f"--baseline {printable(typed)} reads the strength beside `accepted`, and "
            f"{printable(str(path))} lies outside of the project {settings.root}; name the file itself: "
            f"--baseline {printable(str(path))}"
        )
    place = path.resolve().relative_to(settings.root.resolve()).as_posix()
    content = open_revision(typed, settings.root).read(place)
    if content is None:
        return Before(None, f"{typed} has no {place}, so nothing is compared; {remedy}")
    return Before(read_strength(content, f"{typed}:{place}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """
    A strength held against an earlier one.

    Attributes:
        gone: A sentence on the stored cases that are gone: the score is of others. Empty where none is.
        stored: What is stored of the kinds that were tried; or that nothing is.
        uncompared: What was compared with nothing.
        lost: Kills of other mutants that were lost, by no more than chance explains.
        is_accepted: The measured strength is stored instead, so somebody accepts what is lost.
    """

    weakened: Sequence[Weakened] = ()
    gone: str = ""
    stored: str = ""
    uncompared: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    is_accepted: bool = False

    @property
    def losses(self) -> list[str]:
        """Return a sentence for each thing that is weaker."""
        meant = "" if self.is_accepted else f"; if that is meant: {_ACCEPT_ALL}"
        return [*(row.describe() for row in self.weakened), *([self.gone + meant] if self.gone else [])]

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was compared with what."""
        return (*filter(None, [self.stored]), *self.doubts)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences on what leaves the comparison undecided."""
        return () if self.is_accepted else (*self.uncompared, *self.lost)


def compare_strength(before: Before, strength: Strength, root: Path) -> Compared:
    """Compare with the strength that was stored: what is weaker, and what is no longer there."""
    if before.kept is None:
        return Compared(stored=before.note)
    kept = follow_renames(before.kept, strength.goldens, root)
    gone = find_gone(kept, strength.goldens, root)
    weakened = find_weakened(kept.killed, strength)
    undecided = {(trial.case, trial.group, trial.kind) for trial in strength.trials if not trial.is_decided}
    known = kept._replace(killed={key: entry for key, entry in kept.killed.items() if key not in undecided})
    lost = [] if weakened or gone else _describe_losses(known, _update(known, strength, gone), gone)
    remedy = f"the answers are others, so chance may explain it; if it is meant: {_ACCEPT_ALL}"
    return Compared(
        weakened=weakened,
        gone=describe_gone(kept, gone) if gone else "",
        stored=_describe_stored(kept, strength),
        uncompared=tuple(_find_uncompared(kept, strength)),
        lost=tuple(f"less than stored: {line}; {remedy}" for line in lost),
    )


def _describe_stored(kept: Kept, strength: Strength) -> str:
    """Return `stored: output 30 of 30, retrieval 18 of 18 killed`, of the files and kinds that were tried."""
    files = {golden.path for golden in strength.goldens}
    by_group: defaultdict[str, list[bool]] = defaultdict(list)
    for (case, group, kind), (is_killed, _) in sorted(kept.killed.items()):
        if file_of(case) in files and strength.was_wanted(group, kind):
            by_group[group].append(is_killed)
    groups = [f"{group} {sum(killed)} of {len(killed)}" for group, killed in by_group.items()]
    return f"stored: {', '.join(groups) or 'nothing of what was tried'}{' killed' if groups else ''}"


def _find_uncompared(kept: Kept, strength: Strength) -> Iterator[str]:
    """Yield a sentence for each golden file of which no mutant of a group is both stored and decided now."""

    def by_group(killed: Killed) -> defaultdict[tuple[str, str], set[tuple[str, str]]]:
        found: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
        for case, group, kind in killed:
            if strength.was_wanted(group, kind):
                place = _unit(case, group) if group in EDITS else case
                found[file_of(case), group].add((place, kind))
        return found

    old, new = by_group(kept.killed), by_group(_killed(strength.trials))
    paths: defaultdict[str, list[str]] = defaultdict(list)
    for golden in strength.goldens:
        for path, group in sorted(old.keys() | new.keys()):
            if path == golden.path and not old[path, group] & new[path, group]:
                paths[path].append(group)
    for path, groups in paths.items():
        yield (
            f"{printable(path)}: {', '.join(groups)}: no mutant is stored that was decided this time, so "
            "nothing was compared; to store these: llmops mutate --accept"
        )


def follow_renames(kept: Kept, goldens: Sequence[Golden], root: Path) -> Kept:
    """Return a stored strength under the ids by which its questions are asked now."""
    asked = {case: kept.questions.get(case, "") for case in find_gone(kept, goldens, root)}
    new = {case: hash_ for case, hash_ in _questions(goldens).items() if case not in kept.questions}
    renamed = find_renames(asked, new)
    return kept.rename(lambda case: renamed.get(case, case)) if renamed else kept


def _questions(goldens: Iterable[Golden]) -> dict[str, str]:
    return {id_: input_hash(case) for id_, case in cases_by_id(*goldens).items()}


def find_gone(kept: Kept, goldens: Sequence[Golden], root: Path) -> list[str]:
    """Return the stored cases that the measured golden files have no longer, and those of lost files."""
    files, known = {golden.path for golden in goldens}, cases_by_id(*goldens)
    stored = {case for case, group, _ in kept.killed if group not in EDITS}
    return sorted(
        case
        for case in stored - known.keys()
        if file_of(case) in files or not (root / file_of(case)).exists()
    )


def describe_gone(kept: Kept, gone: Collection[str]) -> str:
    """Return what the stored score is with and without the cases that are gone."""
    left = {case for case, _, _ in kept.killed} - {*gone}
    named = name_some([printable(case) for case in gone], _NAMED)
    are, them = ("is", "it") if len(gone) == 1 else ("are", "them")
    return (
        f"{counted(len(gone), 'case')} of the stored strength {are} gone, with "
        f"{kept.share(gone)}: {named}; stored were {kept.share()}, without {them} "
        f"{kept.share(left)}"
    )


def find_weakened(before: Killed, strength: Strength) -> list[Weakened]:
    """
    Find the kinds of which fewer mutants are killed than before, by more than chance explains.

    Mutants are paired by case. Of those that are the same as before, one that survives now is a fact. The
    rest answers to McNemar's exact test, one-sided: each group as a whole, over its mutants by case and kind,
    at 2.5 %, and each kind at 2.5 % (both Holm). The cases are the same ones and no sample, so the mutants of
    a case count one by one.

    Source: McNemar (1947), Note on the sampling error of the difference between correlated proportions.
    """
    now = _killed(strength.trials)
    kinds: defaultdict[Kind, list[tuple[str, int]]] = defaultdict(list)
    groups: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    facts: Counter[Kind] = Counter()
    for key in sorted(before.keys() & now.keys()):
        case, group, kind = key
        (was, old), (is_, new) = before[key], now[key]
        kinds[group, kind].append((case, is_ - was))
        groups[group].append((case, is_ - was))
        facts[group, kind] += (is_ - was) * (old == new)
    of_groups = [_weigh(group, "", gains) for group, gains in sorted(groups.items())]
    of_kinds = [_weigh(*kind, gains, same=facts[kind] < 0) for kind, gains in sorted(kinds.items())]
    return [*_choose(of_groups), *_choose(of_kinds)]


def _weigh(group: str, kind: str, gains: Sequence[tuple[str, int]], *, same: bool = False) -> Weakened:
    """Test whether more kills were lost than gained."""
    dropped = tuple(case for case, gain in gains if gain < 0)
    improved = sum(gain > 0 for _, gain in gains)
    turned = len(dropped) + improved
    p_value = binomial_cdf(improved, turned, 0.5) if turned else 1.0
    return Weakened(
        group=group,
        kind=kind,
        dropped=dropped,
        improved=improved,
        compared=len(gains),
        same=same,
        p_value=p_value,
    )


def _choose(rows: Sequence[Weakened]) -> list[Weakened]:
    adjusted = adjust_holm([row.p_value for row in rows])
    return [
        row for row, p in zip(rows, adjusted, strict=True) if row.same or (row.dropped and p <= _CHANCE / 2)
    ]


def _write(kept: Kept) -> str:
    """Write a line for each case, so that a change of one is read at once."""
    by_file: defaultdict[str, defaultdict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for (case, group, kind), (is_killed, digest) in sorted(kept.killed.items()):
        path, _, name = case.partition("::")
        by_file[path][name][f"{group}/{kind}"] = [int(is_killed), digest]
    files = []
    for path, cases in by_file.items():
        questions = {
            name: kept.questions[id_] for name in cases if (id_ := f"{path}::{name}") in kept.questions
        }
        parts = []
        for part, of_part in (("questions", questions), ("cases", cases)):
            lines = ",\n".join(f"    {_dump(name)}: {_dump(value)}" for name, value in of_part.items())
            parts.append(f"   {_dump(part)}: {{\n{lines}\n   }}")
        files.append(f"  {_dump(path)}: {{\n" + ",\n".join(parts) + "\n  }")
    return f'{{\n "version": {VERSION},\n "goldens": {{\n' + ",\n".join(files) + "\n }\n}\n"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


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


def _read_kinds(value: Any) -> Mapping[str, tuple[int, str]]:
    entries: Mapping[str, tuple[int, str]] = mapping_of(_read_entry)(value)
    known = [f"{group}/{kind}" for group, kinds in GROUPS.items() for kind in kinds]
    for name in entries:
        if name not in known:
            raise BrokenValueError(f"there is no kind of mutants {show(name)}.{hint(name[:60], known)}")
    return entries


def _read_entry(value: Any) -> tuple[int, str]:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - a pair
        raise BrokenValueError(f"must be 0 or 1, and a digest, not {show(value)}")
    return within(0, whole(0, 1), value[0]), within(1, hexadecimal(_DIGITS), value[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Golden:
    questions: Annotated[Mapping[str, str], mapping_of(hexadecimal(64))]
    cases: Annotated[Mapping[str, Mapping[str, tuple[int, str]]], mapping_of(_read_kinds)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    version: Any
    goldens: Mapping[str, _Golden]


def _parse(text: str) -> Mapping[str, _Golden]:
    document: _Document = reader_of(_Document)(read_version(parse_json(text), VERSION, _FILE.name))
    return document.goldens
