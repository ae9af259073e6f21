"""A golden file, read, checked and made into records; whatever is wrong in it is reported at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast

from pytest_llmops.documents.json_document import read_json, read_json_lines
from pytest_llmops.documents.values import (
    Mistake,
    Place,
    Row,
    Table,
    UnreadableError,
    escaped,
    line_of,
    plain,
)
from pytest_llmops.documents.yaml_document import read_yaml
from pytest_llmops.errors import GoldenError, LLMOpsError, Problem, UnknownMetricError
from pytest_llmops.golden.files import (
    decode_golden,
    describe_wrong_path,
    find_attached,
    read_golden_bytes,
    shown_path,
)
from pytest_llmops.golden.identity import describe_wrong_id
from pytest_llmops.golden.own_metrics import import_metrics
from pytest_llmops.golden.structure import find_structure_mistakes
from pytest_llmops.golden.thresholds import read_checks, read_suite
from pytest_llmops.printable import excerpt
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import Attached, Case, Check, Golden, Run, Source, SuiteCheck
from pytest_llmops.settings import load_settings

_NAMED_ONE_BY_ONE = 5
_REMEDIES = {
    "reference": ("a reference", "add reference: with the answer you expect"),
    "relevant": ("relevant passages", "add relevant: with the ids of the passages that hold the answer"),
}


class Needs:
    """Gathers what cases lack, so that many with one lack make one complaint."""

    def __init__(self, document: Table, entries: Row) -> None:
        self._document = document
        self._entries = entries
        self._mistakes: list[Mistake] = []
        self._inherited: dict[tuple[str, str], list[int]] = defaultdict(list)

    def require(self, at: int, name: str, metric: Metric) -> None:
        """Of the case at that position, for a check of its own."""
        for need in self._lacking(at, metric):
            what, remedy = _REMEDIES[need]
            message = f"{name} needs {what}, and the case has none; {remedy}"
            self._note(("cases", at, "checks", name), message)

    def require_inherited(self, at: int, name: str, metric: Metric) -> None:
        """Of the case at that position, for a check of every case."""
        for need in self._lacking(at, metric):
            self._inherited[name, need].append(at)

    def mistakes(self) -> list[Mistake]:
        """What is required and not there."""
        for (name, need), lacking in self._inherited.items():
            what, remedy = _REMEDIES[need]
            if len(lacking) <= _NAMED_ONE_BY_ONE:
                message = f"{name}, a check of every case, needs {what}, and the case has none; {remedy}"
                for at in lacking:
                    self._note(("cases", at), message)
            else:
                some = ", ".join(self._named(at) for at in lacking[:_NAMED_ONE_BY_ONE])
                more = len(lacking) - _NAMED_ONE_BY_ONE
                message = f"{name} needs {what}, and {some} and {more} more have none; {remedy}"
                self._note(("checks", name), message)
        return self._mistakes

    def lacking_everywhere(self, metric: Metric) -> str | None:
        """What the metric needs and no case has, in words."""
        for need in self._required(metric):
            if self._entries and not any(_has(entry, need) for entry in self._entries):
                return _REMEDIES[need][0]
        return None

    def _lacking(self, at: int, metric: Metric) -> list[str]:
        entry = self._entries[at]
        return [need for need in self._required(metric) if not _has(entry, need)]

    def _required(self, metric: Metric) -> list[str]:
        """What of a case the metric needs; one of pairs takes the reference only where there is no rival."""
        paired = "rival" in self._document and traits_of(metric).compares
        return [
            need
            for need in sorted(metric.needs)
            if need in _REMEDIES and not (paired and need == "reference")
        ]

    def _named(self, at: int) -> str:
        written = self._entries[at].get("id")
        return escaped(written) if isinstance(written, str) else f"case {at + 1}"

    def _note(self, place: Place, message: str) -> None:
        self._mistakes.append(Mistake(line=line_of(self._document, place), message=message, place=place))


def _has(entry: Any, need: str) -> bool:
    """Whether something stands there; of what kind is not asked here."""
    if not isinstance(entry, Table):
        return True
    return need in entry if need == "reference" else bool(entry.get(need))


_READERS: Mapping[str, Callable[[str], tuple[Any, list[Mistake]]]] = {
    ".yaml": read_yaml,
    ".yml": read_yaml,
    ".json": read_json,
    ".jsonl": read_json_lines,
}
_LEAK_CHECK = "pii_leak"

Read = dict[str, tuple[tuple[Check, ...], Metric]]
"""Entries under one `checks`, by name as written."""


def load_golden(
    path: str | Path, *, root: Path | None = None, stamps: bool = True, past: bool = False
) -> Golden:
    """
    The golden file at that path, `.yaml`, `.yml`, `.json`, or `.jsonl` with a case a line.

    Comparisons are read as `thresholds` says, suite checks as `suite` does. No app, model or network is
    touched. A file that names no judge has the one of the project's settings.

    Args:
        path: A relative one starts at `root`.
        root: The project's folder, the current one by default; paths in the file start there too.
        stamps: Whether the prompts and data that the file names must be there.
        past: It is of another revision: stamps need not be there, metrics are those that this process
            knows, and a bound that cannot fail is read as it was.

    Raises:
        GoldenError: With everything that is wrong in the file, in the order of its lines.
        SettingsError: The project's settings cannot be read.
    """
    root = Path.cwd() if root is None else root
    settings = load_settings(root)
    if not past:
        import_metrics(settings)
    display_path = shown_path(root / path, root)
    raw = read_golden_bytes(root / path, display_path)
    try:
        document, mistakes = _READERS[Path(path).suffix.lower()](decode_golden(raw))
    except UnreadableError as error:
        raise GoldenError([_problem(display_path, error.mistake, {})]) from None
    if document is not None or not mistakes:
        mistakes += find_structure_mistakes(document)
    reading = _Reading(
        document if isinstance(document, Table) else Table(),
        root,
        stamps=stamps and not past,
        judge=settings.judge,
        past=past,
    )
    if mistakes := [*mistakes, *reading.mistakes]:
        ordered = sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.line)
        raise GoldenError(_problem(display_path, mistake, reading.ids) for mistake in ordered)
    return reading.golden(display_path, sha256(raw).hexdigest())


class _Reading:
    """
    What the document means.

    Whatever has the wrong shape is stepped over here, since the structure check has reported it.

    Attributes:
        ids: Of the cases whose id can be shown, by position.
    """

    def __init__(
        self, document: Table, root: Path, *, stamps: bool, judge: Mapping[str, Any], past: bool = False
    ) -> None:
        self._past = past
        self.mistakes: list[Mistake] = []
        self.ids: dict[int, str] = {}
        self._bound_lines: dict[str, int] = {}
        self._suite_lines: dict[str, int] = {}
        self._document = document
        self._entries: Row = _kept(document.get("cases"), Row) or Row()
        named = {
            "encoder": _kept(document.get("encoder"), str),
            "judge": _judge(document.get("judge")) or dict(judge),
        }
        self._models = {name: model for name, model in named.items() if model}
        self._check_ids()
        for name in ("prompts", "data"):
            self._check_paths(name, root if stamps else None)
        self._shared = self._read_checks(document, ())
        self._own = [self._read_checks(entry, ("cases", at)) for at, entry in enumerate(self._entries)]
        self._attached = [self._read_attached(at, entry, root) for at, entry in enumerate(self._entries)]
        self._needs = Needs(document, self._entries)
        self._check_needs()
        self._suite = self._read_suite()

    def golden(self, path: str, digest: str) -> Golden:
        """The file as records; only where there are no mistakes."""
        return Golden(
            path=path,
            cases=tuple(self._case(path, at, entry) for at, entry in enumerate(self._entries)),
            suite=self._suite,
            app=self._document.get("app"),
            rival=self._document.get("rival"),
            encoder=self._models.get("encoder", "default"),
            judge=self._models.get("judge", {}),
            prompts=tuple(self._document.get("prompts", ())),
            data=tuple(self._document.get("data", ())),
            never_record=tuple(_kept(self._document.get("record"), Table, Table()).get("never", ())),
            model_errors=self._document.get("model_errors"),
            require_spans=int(self._document.get("require_spans", 0)),
            passages=self._document.get("passages"),
            sha256=digest,
            bound_lines=self._bound_lines,
            suite_lines=self._suite_lines,
        )

    def _case(self, path: str, at: int, entry: Table) -> Case:
        applied = {**self._inherited(at), **self._own[at]}
        return Case(
            id=entry["id"],
            input=plain(entry["input"]),
            attached=self._attached[at],
            reference=entry.get("reference"),
            relevant=tuple(entry.get("relevant", ())),
            checks=tuple(check for checks, _ in applied.values() for check in checks),
            tags=tuple(entry.get("tags", ())),
            repeats=_repeats(entry.get("repeats")),
            live=entry.get("live", False),
            group=entry.get("group", ""),
            source=Source(path=path, line=self._entries.lines[at]),
        )

    def _inherited(self, at: int) -> Read:
        """Checks of every case, without those that the case replaces."""
        written = _kept(_kept(self._entries[at], Table, Table()).get("checks"), Table, Table())
        return {name: read for name, read in self._shared.items() if name not in written}

    def _check_ids(self) -> None:
        first: dict[str, int] = {}
        private = self._checks_leaks()
        for at, entry in enumerate(self._entries):
            written = _kept(_kept(entry, Table, Table()).get("id"), str)
            if not written:
                continue
            place: Place = ("cases", at, "id")
            if wrong := describe_wrong_id(written, private=private):
                self._note(place, wrong)
            else:
                self.ids[at] = written
            if written in first:
                self._note(place, f"the id {excerpt(written)} is used twice; first on line {first[written]}")
            first.setdefault(written, line_of(self._document, place))

    def _checks_leaks(self) -> bool:
        """Whether personal data is looked for in any case, so that none may stand in an id."""
        holders = [self._document, *self._entries]
        named = [_kept(each, Table, Table()).get("checks") for each in holders]
        return any(
            _LEAK_CHECK in _kept(each, Table, Table()) for each in (*named, self._document.get("suite"))
        )

    def _check_paths(self, name: str, root: Path | None) -> None:
        for at, path in enumerate(_kept(self._document.get(name), Row, Row())):
            if isinstance(path, str) and path and (wrong := describe_wrong_path(path, root)):
                self._note((name, at), wrong)

    def _read_attached(self, at: int, entry: Any, root: Path) -> tuple[Attached, ...]:
        attached, wrong = find_attached(_kept(entry, Table, Table()).get("input"), root, past=self._past)
        for key, message in wrong:
            self._note(("cases", at, "input", key), message)
        return attached

    def _check_needs(self) -> None:
        for at in range(len(self._entries)):
            for name, (_, metric) in self._inherited(at).items():
                self._needs.require_inherited(at, name, metric)
            for name, (_, metric) in self._own[at].items():
                self._needs.require(at, name, metric)
        self.mistakes += self._needs.mistakes()

    def _read_checks(self, holder: Any, place: Place) -> Read:
        read: Read = {}
        for name, value in _kept(_kept(holder, Table, Table()).get("checks"), Table, Table()).items():
            try:
                read[name] = read_checks(name, value, models=self._models, past=self._past)
                self._keep_line(name, (*place, "checks", name))
            except LLMOpsError as error:
                self._note((*place, "checks", name), _about(name, error))
        return read

    def _read_suite(self) -> tuple[SuiteCheck, ...]:
        checked = {name: metric for each in [*self._own, self._shared] for name, (_, metric) in each.items()}
        checks: list[SuiteCheck] = []
        for name, value in _kept(self._document.get("suite"), Table, Table()).items():
            try:
                read, metric = read_suite(
                    name,
                    value,
                    cases=len(self._entries),
                    rival="rival" in self._document,
                    models=self._models,
                    checked=checked.get(name),
                    past=self._past,
                )
            except LLMOpsError as error:
                self._note(("suite", name), _about(name, error))
            else:
                checks += read
                if any(check.comparison for check in read):
                    self._keep_line(name, ("suite", name))
                line = line_of(self._document, ("suite", name))
                self._suite_lines.update((check.metric, line) for check in read)
                if lacking := self._needs.lacking_everywhere(metric):
                    self._note(("suite", name), f"{name} needs {lacking}, and no case has any")
        return tuple(checks)

    def _keep_line(self, metric: str, place: Place) -> None:
        line = line_of(self._document, place)
        self._bound_lines[metric] = min(line, self._bound_lines.get(metric, line))

    def _note(self, place: Place, message: str) -> None:
        self.mistakes.append(Mistake(line=line_of(self._document, place), message=message, place=place))


def _kept(value: Any, kind: type, otherwise: Any = None) -> Any:
    """The value where it is of that kind."""
    return value if isinstance(value, kind) else otherwise


def _judge(value: Any) -> dict[str, Any]:
    """The judge as a mapping; a text is the model's name."""
    if isinstance(value, str):
        return {"model": value} if value else {}
    return cast("dict[str, Any]", plain(value)) if isinstance(value, Table) else {}


def _repeats(value: Any) -> int | Literal["auto"] | None:
    return value if value is None or value == "auto" else int(value)


def _problem(path: str, mistake: Mistake, ids: Mapping[int, str]) -> Problem:
    """A mistake with its file and case: the id, or the position of a case whose id cannot be shown."""
    case = None
    top, at = (*mistake.place, None, None)[:2]
    if top == "cases" and isinstance(at, int):
        case = ids.get(at, f"case {at + 1}")
    return Problem(path=path, line=mistake.line, message=mistake.message, case=case)


def _about(name: str, error: LLMOpsError) -> str:
    """The complaint with the metric's name in front."""
    said = str(error)
    shown = escaped(name)
    return said if said.startswith(shown) or isinstance(error, UnknownMetricError) else f"{shown}: {said}"


def load_goldens_of(run: Run, root: Path) -> tuple[list[Golden], list[GoldenError]]:
    """Those that its cases name and that can be loaded, by path; and an error for each other one."""
    goldens: list[Golden] = []
    errors: list[GoldenError] = []
    for path in sorted({result.case.rpartition("::")[0] for result in run.results} - {""}):
        try:
            goldens.append(load_golden(path, root=root, stamps=False))
        except GoldenError as error:
            errors.append(error)
    return goldens, errors
