"""Reads golden files into records, and reports all mistakes of a file at once."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pytest_llmops.documents.document import read_document
from pytest_llmops.documents.values import Mistake, Place, Row, Table, escaped, line_of, plain
from pytest_llmops.errors import (
    CaseTableError,
    GoldenError,
    LLMOpsError,
    MissingExtraError,
    Problem,
    UnknownMetricError,
    hint,
)
from pytest_llmops.golden.apps import describe_mistake, find_app_mistakes
from pytest_llmops.golden.files import (
    describe_wrong_path,
    find_attached,
    read_golden_bytes,
    shown_path,
)
from pytest_llmops.golden.identity import describe_wrong_id
from pytest_llmops.golden.own_metrics import import_metrics
from pytest_llmops.golden.structure import find_record_mistakes, find_structure_mistakes
from pytest_llmops.golden.tables import KINDS, NO_CASE, CaseTable, list_records, make_cases, open_table
from pytest_llmops.golden.thresholds import LONGEST_NAME, read_checks, read_suite
from pytest_llmops.printable import excerpt
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import (
    Attached,
    Bound,
    Case,
    CaseTurn,
    Check,
    Golden,
    Run,
    SimulatedUser,
    Source,
    SuiteCheck,
    XFail,
)
from pytest_llmops.registry import find_traits, read_suite_key, split_turn, suite_keys, turn_metric
from pytest_llmops.settings import load_settings

_REMEDIES = {
    "reference": ("a reference", "add reference: with the answer you expect"),
    "relevant": ("relevant passages", "add relevant: with the ids of the passages that hold the answer"),
    "turns": ("a conversation", "write turns, or a user, in place of input"),
    "expected": ("an expected state", "add expected: with what the function of state has to return"),
}
_NAMED_ONE_BY_ONE = 5
STATE = "state"
"""The check of a case's `expected`, and the key of the function that reads it."""

_RECORDING = {
    "never": "never_record",
    "allow": "allowed_hosts",
    "also": "also_record",
    "ignore": "ignored_parts",
}

Read = dict[str, tuple[tuple[Check, ...], Metric]]
"""The checks and the metric of each entry under one `checks`, by name as written."""

Part = TypeVar("Part")


def load_golden(
    path: str | Path,
    *,
    root: Path | None = None,
    stamps: bool = True,
    past: bool = False,
    calls_app: bool = True,
) -> Golden:
    """
    The golden file at that path, `.yaml`, `.yml`, `.json`, or `.jsonl` with a case a line.

    Calls no app, model or network. A file that names no judge has the one of the project's settings.

    Args:
        path: A relative one starts at `root`.
        root: The project's folder, the current one by default; paths in the file start there too.
        stamps: Whether the prompts and data that the file names must exist.
        past: It is of another revision: stamps need not exist, metrics are those that this process
            knows, and a bound that cannot fail is accepted.
        calls_app: Whether the app that the file names is to be called, so that the environment variables
            which it names must be set. Without `stamps` it is not.

    Raises:
        GoldenError: With all mistakes in the file, in the order of its lines.
        SettingsError: The project's settings cannot be read.
    """
    root = Path.cwd() if root is None else root
    settings = load_settings(root)
    if not past:
        import_metrics(settings)
    display_path = shown_path(root / path, root)
    raw = read_golden_bytes(root / path, display_path)
    document, mistakes = read_document(raw, Path(path).suffix.lower())
    if document is not None or not mistakes:
        mistakes += find_structure_mistakes(document)
    digest = sha256(raw).hexdigest()
    table = CaseTable(rows=Row())
    if isinstance(document, Table) and isinstance(written := document.get("cases"), Table):
        document["cases"] = (table := _read_cases(written, display_path, root, past=past)).rows
        mistakes += table.mistakes
        mistakes += find_structure_mistakes(document) if table.rows else []
        digest = sha256(f"{digest} {table.sha256}".encode()).hexdigest()
    reading = _Reading(
        document if isinstance(document, Table) else Table(),
        root,
        stamps=stamps and not past,
        judge=settings.judge,
        past=past,
        environment=os.environ if calls_app and stamps and not past else None,
    )
    _refuse([*mistakes, *reading.mistakes], reading, display_path, table.path)
    return reading.golden(display_path, digest, table.path)


def make_golden(  # noqa: PLR0913 - as `Golden.from_records`
    records: Any,
    *,
    checks: Mapping[str, Any] | None,
    suite: Mapping[str, Any] | None,
    app: str | None,
    judge: Mapping[str, Any] | str | None,
    columns: Mapping[str, str] | None,
    name: str,
) -> Golden:
    """Return the golden set of `Golden.from_records`."""
    parts = {"app": app, "judge": judge, "checks": checks, "suite": suite}
    written = {key: _without_tuples(part) for key, part in parts.items() if part is not None}
    if callable(app):
        message = "app: a callable is passed to run_golden; app= names one by module:attribute"
        raise GoldenError([Problem(path=name, line=0, message=message)])
    try:
        found = make_cases(list(enumerate(list_records(records), 1)), columns or {})
    except CaseTableError as error:
        raise GoldenError([Problem(path=name, line=0, message=str(error))]) from None
    document = _make_table({**written, "cases": found.rows})
    root = Path.cwd()
    mistakes = [*found.mistakes, *find_structure_mistakes(document)]
    judge = load_settings(root).judge
    reading = _Reading(document, root, stamps=True, judge=judge, past=False, environment=os.environ)
    _refuse([*mistakes, *reading.mistakes], reading, name, name)
    content = json.dumps({**written, "cases": plain(found.rows)}, sort_keys=True, default=str)
    return reading.golden(name, sha256(content.encode("utf-8", "surrogatepass")).hexdigest(), "")


def _refuse(mistakes: Iterable[Mistake], reading: _Reading, path: str, table: str) -> None:
    """Raise the mistakes, those of rows with the file that has them."""
    problems = [
        (table if table and len(mistake.place) > 1 and mistake.place[0] == "cases" else path, mistake)
        for mistake in dict.fromkeys(mistakes)
    ]
    if problems:
        problems.sort(key=lambda problem: (problem[0] != path, problem[1].line))
        raise GoldenError(_problem(file, mistake, reading.ids) for file, mistake in problems)


def _read_cases(written: Table, golden: str, root: Path, *, past: bool) -> CaseTable:
    """Return the table that `cases` names; one that cannot be read has no rows, and the mistake."""
    kind = next((kind for kind in KINDS if kind in written), "")
    try:
        return open_table(written, golden, root, past=past)
    except (CaseTableError, MissingExtraError) as error:
        line = line_of(written, (kind,)) if kind else min(written.lines.values(), default=1)
        message = f"{kind}: {error}" if kind else str(error)
        return CaseTable(rows=Row(), mistakes=[Mistake(line=line, message=message, place=("cases",))])


def _make_table(written: Any) -> Any:
    """Return a value of Python as readers return it; it has no lines but those of rows."""
    if isinstance(written, Table | Row):
        return written
    if isinstance(written, Mapping):
        table = Table()
        for key, value in written.items():
            table[str(key)], table.lines[str(key)] = _make_table(value), 0
        return table
    if isinstance(written, list):
        row = Row()
        for value in written:
            row.append(_make_table(value))
            row.lines.append(0)
        return row
    return written


def _without_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_tuples(part) for key, part in value.items()}
    return [_without_tuples(part) for part in value] if isinstance(value, list | tuple) else value


def load_goldens_of(run: Run, root: Path) -> tuple[list[Golden], list[GoldenError]]:
    """The golden files that the cases of a run name, by path, and an error for each that cannot be loaded."""
    goldens: list[Golden] = []
    errors: list[GoldenError] = []
    for path in sorted({result.case.rpartition("::")[0] for result in run.results} - {""}):
        try:
            goldens.append(load_golden(path, root=root, stamps=False))
        except GoldenError as error:
            errors.append(error)
    return goldens, errors


def read_record(record: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """
    Return the fields of a `Golden` from a mapping of Python, as under `record` of a golden file.

    Raises:
        GoldenError: With all mistakes in it.
    """
    written: Any = record
    if isinstance(record, Mapping):
        lists = (tuple, set, frozenset)
        written = {str(key): list(part) if isinstance(part, lists) else part for key, part in record.items()}
    mistakes = find_record_mistakes(written)
    if not mistakes:
        mistakes = list(filter(None, map(_describe_wrong_part, written.get("ignore", ()))))
    if mistakes:
        raise GoldenError(Problem(path="record", line=0, message=mistake) for mistake in mistakes)
    return _recording(written)


class _Reading:
    """
    The meaning of a document, and the mistakes in it.

    A value of the wrong kind counts as absent, since `find_structure_mistakes` reports it.

    Attributes:
        ids: Of the cases whose id can be shown, by position.
    """

    def __init__(  # noqa: PLR0913 - what a file means depends on all of it
        self,
        document: Table,
        root: Path,
        *,
        stamps: bool,
        judge: Mapping[str, Any],
        past: bool,
        environment: Mapping[str, str] | None,
    ) -> None:
        self.mistakes: list[Mistake] = []
        self.ids: dict[int, str] = {}
        self._document = document
        self._past = past
        self._bound_lines: dict[str, int] = {}
        self._suite_lines: dict[str, int] = {}
        self._measures: dict[str, Mapping[str, Bound]] = {}
        self._rows = _part(document, "cases", Row)
        self._cases = {at: case for at, case in enumerate(self._rows) if isinstance(case, Table)}
        model = _part(document, "judge", str)
        named: dict[str, Any] = {
            "encoder": _part(document, "encoder", str),
            "judge": {"model": model} if model else plain(_part(document, "judge", Table)) or dict(judge),
        }
        self._models = {name: model for name, model in named.items() if model}
        self._check_ids()
        for key in ("app", "rival"):
            for place, mistake in find_app_mistakes(document.get(key), environment):
                self._note((key, *place), describe_mistake((key, *place), mistake))
        for name in ("prompts", "data"):
            for at, path in enumerate(_part(document, name, Row)):
                if (
                    isinstance(path, str)
                    and path
                    and (wrong := describe_wrong_path(path, root if stamps else None))
                ):
                    self._note((name, at), wrong)
        if (anchors := _part(document, "anchors", str)) and (
            wrong := describe_wrong_path(anchors, root if stamps else None)
        ):
            self._note(("anchors",), wrong)
        for at, part in enumerate(_part(_part(document, "record", Table), "ignore", Row)):
            if isinstance(part, str) and (wrong := _describe_wrong_part(part)):
                self._note(("record", "ignore", at), wrong)
        self._shared = self._read_checks(document, ())
        self._own = {
            at: self._read_checks(case, ("cases", at)) | self._read_turns(at, case)
            for at, case in self._cases.items()
        }
        self._attached = {at: self._read_attached(at, case, root) for at, case in self._cases.items()}
        self._check_states()
        self._check_needs()
        self._suite = self._read_suite()

    def golden(self, path: str, digest: str, table: str) -> Golden:
        """
        Return the file as records; only where there are no mistakes.

        Args:
            table: The file that has its cases; empty where it has them itself.
        """
        return Golden(
            path=path,
            cases=tuple(self._case(table or path, at, case) for at, case in self._cases.items()),
            table=table,
            suite=self._suite,
            app=plain(self._document.get("app")),
            rival=plain(self._document.get("rival")),
            encoder=self._models.get("encoder", "default"),
            judge=self._models.get("judge", {}),
            prompts=tuple(self._document.get("prompts", ())),
            data=tuple(self._document.get("data", ())),
            anchors=self._document.get("anchors", ""),
            **_recording(_part(self._document, "record", Table)),
            model_errors=self._document.get("model_errors"),
            require_spans=int(self._document.get("require_spans", 0)),
            passages=self._document.get("passages"),
            runs_on=self._document.get("runs_on"),
            sha256=digest,
            bound_lines=self._bound_lines,
            suite_lines=self._suite_lines,
            measures=self._measures,
        )

    def _case(self, path: str, at: int, case: Table) -> Case:
        repeats = case.get("repeats")
        checks = {**self._inherited(at), **self._own[at]}
        turns, history = plain(case.get("turns", ())), plain(case.get("history", ()))
        said = [{"role": "user", "content": turn["user"]} for turn in turns]
        return Case(
            id=case["id"],
            input=self._read_input(case, [*history, *said]),
            user=self._read_user(case),
            turns=tuple(
                CaseTurn(
                    user=turn["user"],
                    reference=turn.get("reference"),
                    relevant=tuple(turn.get("relevant", ())),
                )
                for turn in turns
            ),
            history=tuple(history),
            attached=self._attached[at],
            reference=case.get("reference"),
            relevant=tuple(case.get("relevant", ())),
            state=self._state_of(case) if "expected" in case else "",
            expected=plain(case.get("expected")),
            checks=tuple(check for read, _ in checks.values() for check in read),
            tags=tuple(case.get("tags", ())),
            repeats=int(repeats) if isinstance(repeats, float) else repeats,
            live=case.get("live", False),
            group=case.get("group", ""),
            source=Source(path=path, line=self._rows.lines[at]),
            description=case.get("description", ""),
            metadata=plain(case.get("metadata", {})),
            skip=_excuse(case.get("skip", "")).reason,
            xfail=_excuse(case["xfail"]) if "xfail" in case else None,
        )

    def _read_input(self, case: Table, messages: list[Any]) -> Any:
        """The input of a case: of a conversation its messages, or the user that leads it."""
        if "user" in case:
            return {"user": plain(case["user"]), **({"history": messages} if messages else {})}
        return messages if "turns" in case else plain(case["input"])

    def _read_user(self, case: Table) -> SimulatedUser | None:
        """The simulated user of a case; without a model of its own, that of the judge."""
        if "user" not in case:
            return None
        written = dict(plain(case["user"]))
        model = written.pop("model", None) or self._models.get("judge", {})
        return SimulatedUser(
            **{key: int(value) if key in {"seed", "max_turns"} else value for key, value in written.items()}
            | {"style": tuple(written.get("style", ()))},
            model={"model": model} if isinstance(model, str) else model,
        )

    def _inherited(self, at: int) -> Read:
        """Checks of every case, without those that the case replaces; of the state where one is expected."""
        replaced = _part(self._cases[at], "checks", Table)
        shared = self._shared
        if self._cases[at].get("expected") is not None:
            shared = {STATE: read_checks(STATE, ">= 1"), **shared}
        return {name: read for name, read in shared.items() if name not in replaced}

    def _state_of(self, case: Table) -> str:
        """The function that reads the state of a case."""
        return _part(case, STATE, str) or _part(self._document, STATE, str)

    def _check_states(self) -> None:
        """Note an expected state that nothing reads, and a function of which nothing is expected."""
        expecting = False
        for at, case in self._cases.items():
            expecting = expecting or "expected" in case
            if "expected" in case and not self._state_of(case):
                remedy = "add state: with the function that reads it, such as shop.db:read_orders"
                self._note(
                    ("cases", at, "expected"), f"expected needs a function that reads the state; {remedy}"
                )
            elif STATE in case and "expected" not in case:
                self._note(
                    ("cases", at, STATE),
                    f"state needs {_REMEDIES['expected'][0]}; {_REMEDIES['expected'][1]}",
                )
        if STATE in self._document and self._cases and not expecting:
            what, remedy = _REMEDIES["expected"]
            self._note((STATE,), f"state needs {what}, and no case has any; {remedy}")

    def _read_turns(self, at: int, case: Table) -> Read:
        """Read the checks of each turn under their names in results."""
        place: Place = ("cases", at)
        read: Read = {}
        for number, turn in enumerate(_part(case, "turns", Row), 1):
            if isinstance(turn, Table):
                for name, (checks, metric) in self._read_checks(turn, (*place, "turns", number - 1)).items():
                    of_turn = turn_metric(number, name)
                    own = tuple(replace(check, metric=of_turn) for check in checks)
                    read[of_turn] = (own, metric)
        return read

    def _check_ids(self) -> None:
        first: dict[str, int] = {}
        private = self._looks_for_personal_data()
        for at, case in self._cases.items():
            written = _part(case, "id", str)
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

    def _looks_for_personal_data(self) -> bool:
        """Return whether some check does, so that no id may contain any: ids are in every report."""
        turns = [turn for case in self._cases.values() for turn in _part(case, "turns", Row)]
        tables = [self._document, *self._cases.values(), *(turn for turn in turns if isinstance(turn, Table))]
        holders = [_part(holder, "checks", Table) for holder in tables]
        names = {name for holder in (*holders, _part(self._document, "suite", Table)) for name in holder}
        return any(find_traits(name).masks for name in names if len(name) <= LONGEST_NAME)

    def _read_attached(self, at: int, case: Table, root: Path) -> tuple[Attached, ...]:
        attached, wrong = find_attached(case.get("input"), root, past=self._past)
        for key, message in wrong:
            self._note(("cases", at, "input", key), message)
        return attached

    def _read_checks(self, holder: Table, place: Place) -> Read:
        read: Read = {}
        for name, value in _part(holder, "checks", Table).items():
            try:
                read[name] = read_checks(name, value, models=self._models, past=self._past)
                self._keep_line(name, (*place, "checks", name))
            except LLMOpsError as error:
                self._note((*place, "checks", name), _about(name, error))
        return read

    def _read_suite(self) -> tuple[SuiteCheck, ...]:
        read = [*self._own.values(), self._shared]
        checked = {name: metric for entries in read for name, (_, metric) in entries.items()}
        checks: list[SuiteCheck] = []
        for name, value in _part(self._document, "suite", Table).items():
            place: Place = ("suite", name)
            try:
                made, metric = read_suite(
                    name,
                    value,
                    cases=len(self._rows),
                    rival="rival" in self._document,
                    models=self._models,
                    checked=checked.get(name),
                    past=self._past,
                )
            except LLMOpsError as error:
                self._read_measure(name, value, error)
                continue
            checks += made
            if any(check.comparison for check in made):
                self._keep_line(name, place)
            self._suite_lines.update((check.metric, line_of(self._document, place)) for check in made)
            for need in () if split_turn(name)[0] else self._needs_of(metric):
                if self._cases and all(_lacks(case, need) for case in self._cases.values()):
                    self._note(place, f"{name} needs {_REMEDIES[need][0]}, and no case has any")
                    break
        return tuple(checks)

    def _read_measure(self, name: str, value: Any, refused: LLMOpsError) -> None:
        """
        Read bounds of a feature, whose key is no metric.

        Args:
            refused: Why it is no suite check.
        """
        place: Place = ("suite", name)
        try:
            bounds = read_suite_key(name, plain(value))
            if bounds is not None:
                self._measures[name] = bounds
                self._suite_lines[name] = line_of(self._document, place)
                return
        except LLMOpsError as error:
            refused = error
        near = hint(name[:LONGEST_NAME], suite_keys()) if isinstance(refused, UnknownMetricError) else ""
        self._note(place, f"no metric is named {excerpt(name)}.{near}" if near else _about(name, refused))

    def _check_needs(self) -> None:
        """Note the cases without a part that a metric needs; many of one shared check are one mistake."""
        lacking: dict[tuple[str, str], list[int]] = defaultdict(list)
        for at in self._cases:
            for name, need in self._unmet(at, self._inherited(at)):
                lacking[name, need].append(at)
            for name, need in self._unmet(at, self._own[at]):
                what, remedy = _REMEDIES[need]
                turn, metric = split_turn(name)
                if turn and need in {"turns", "expected"}:
                    remedy = "check it for the whole case"
                message = f"{name} needs {what}, and the {'turn' if turn else 'case'} has none; {remedy}"
                of_turn = ("turns", turn - 1) if turn else ()
                self._note(("cases", at, *of_turn, "checks", metric), message)
        for (name, need), cases in lacking.items():
            what, remedy = _REMEDIES[need]
            if len(cases) <= _NAMED_ONE_BY_ONE:
                message = f"{name}, a check of every case, needs {what}, and the case has none; {remedy}"
                for at in cases:
                    self._note(("cases", at), message)
            else:
                ids = (_part(self._cases[at], "id", str) for at in cases)
                shown = [escaped(id_) or f"case {at + 1}" for id_, at in zip(ids, cases, strict=True)]
                some = ", ".join(shown[:_NAMED_ONE_BY_ONE])
                more = len(cases) - _NAMED_ONE_BY_ONE
                message = f"{name} needs {what}, and {some} and {more} more have none; {remedy}"
                self._note(("checks", name), message)

    def _unmet(self, at: int, checks: Read) -> Iterable[tuple[str, str]]:
        """Yield the name of each check with a part that its metric needs and the case lacks."""
        for name, (_, metric) in checks.items():
            turn = split_turn(name)[0]
            holder = self._cases[at]["turns"][turn - 1] if turn else self._cases[at]
            for need in self._needs_of(metric):
                if _lacks(holder, need):
                    yield name, need

    def _needs_of(self, metric: Metric) -> list[str]:
        """`reference` and `relevant` where needed; with a rival, a metric of pairs needs no reference."""
        paired = "rival" in self._document and traits_of(metric).compares
        return [
            need
            for need in sorted(metric.needs)
            if need in _REMEDIES and not (paired and need == "reference")
        ]

    def _keep_line(self, metric: str, place: Place) -> None:
        line = line_of(self._document, place)
        self._bound_lines[metric] = min(line, self._bound_lines.get(metric, line))

    def _note(self, place: Place, message: str) -> None:
        self.mistakes.append(Mistake(line=line_of(self._document, place), message=message, place=place))


def _excuse(written: str | Mapping[str, Any]) -> XFail:
    """Read a reason, or a mapping that contains one."""
    return XFail(reason=written) if isinstance(written, str) else XFail(**written)


def _recording(record: Mapping[str, Any]) -> dict[str, Any]:
    return {field: tuple(record.get(key, ())) for key, field in _RECORDING.items()}


def _describe_wrong_part(part: str) -> str:
    """Why a part of requests cannot be ignored: it is no pattern, or one that finds everything."""
    if part.startswith("/"):
        return ""
    try:
        pattern = re.compile(part)
    except re.error as error:
        return f"{part!r} is no pattern: {error}; a JSON pointer begins with /, as /metadata/run"
    return f"{part!r} leaves nothing of a text" if pattern.fullmatch("What is open today?") else ""


def _part(table: Table, key: str, kind: type[Part]) -> Part:
    """The value of a key; an empty one where none is written, or one of another kind."""
    value = table.get(key)
    return value if isinstance(value, kind) else kind()


def _lacks(case: Table, need: str) -> bool:
    """Return whether a case has no such part; blanks and an empty list are none, but for a state."""
    if need == "turns" and isinstance(case.get("user"), Mapping):  # in a turn, it is what the user says
        return False
    value = case.get(need)
    if need == "expected":
        return value is None
    return not (value.strip() if isinstance(value, str) else value)


def _problem(path: str, mistake: Mistake, ids: Mapping[int, str]) -> Problem:
    """A mistake with its file and case: the id, or the position of a case whose id cannot be shown."""
    case = None
    top, at = (*mistake.place, None, None)[:2]
    if top == "cases" and isinstance(at, int) and at != NO_CASE:
        case = ids.get(at, f"case {at + 1}")
    return Problem(path=path, line=mistake.line, message=mistake.message, case=case)


def _about(name: str, error: LLMOpsError) -> str:
    """The message of an error, which begins with the metric's name."""
    message, shown = str(error), escaped(name)
    if message.startswith(shown) or isinstance(error, UnknownMetricError):
        return message
    return f"{shown}: {message}"
