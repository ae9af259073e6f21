"""
The results of a run as they come, in a streamed run file, from which a run that was killed is resumed.

The file stays where a run is killed, interrupted or stopped, and is removed at the end of one that is over.
Results are taken over only where nothing that is stamped differs: golden files, prompts, data, settings, the
app's code and the files, variables and packages that it had read by then.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.file_lock import FileLock, take_lock
from pytest_llmops.errors import LLMOpsError, ResumeError, RevisionError, RunFileError
from pytest_llmops.evaluation.merge_base.files import find_option_files
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.gates.stamps import UNFINISHED, describe_changes
from pytest_llmops.printable import counted
from pytest_llmops.recorder.threads import start_outside
from pytest_llmops.records import CaseResult, Golden, Run
from pytest_llmops.reports.files.run_file import (
    dump_errors,
    dump_head,
    dump_result,
    dump_stamps,
    read_stream,
)
from pytest_llmops.revision.git import run_git
from pytest_llmops.runner.cases.tasks import Task, is_scored_alike
from pytest_llmops.runner.recording import open_home
from pytest_llmops.runner.signature import sign_run
from pytest_llmops.settings import SCORED_BY, Settings

BEGAN = "began"
"""The time at which an unfinished run began, in its environment."""

_ANEW = "To run all cases anew, leave out --llm-resume (llmops run: --resume)"
_WAIT_S = 1.0  # results of so much time are written together, with one look at the stamps
_NAMED = 5
_DECISIVE = (*SCORED_BY, "record", "max_repeats", "shard")
"""Settings by which the results of one session differ from those of another."""

_SETTING = "option:"
_BEFORE = f"{UNFINISHED}-before.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    What a process knows of its run besides the results, as of now.

    Attributes:
        stamps: Returns the stamps of its apps.
        errors: Returns its errors that are of no case.
    """

    stamps: Callable[[], Mapping[str, str]]
    errors: Callable[[], Sequence[str]]


@dataclass(slots=True, eq=False)
class Journal:
    """
    The file of one run, which every process of it appends to.

    Attributes:
        stamps: Of the results that may be taken over; `errors` of that run are of no case.
        began: When that run began.
        resumes: The run goes on with an earlier one.
    """

    path: Path
    seen: Seen
    stamps: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[str] = ()
    began: str = ""
    resumes: bool = False
    _kept: dict[tuple[str, int], CaseResult] = field(default_factory=dict)
    _waiting: list[CaseResult] = field(default_factory=list)
    _written: Mapping[str, str] = field(default_factory=dict)
    _reported: set[str] = field(default_factory=set)
    _adding: threading.Lock = field(default_factory=threading.Lock)
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _timer: threading.Timer | None = None
    _alive: FileLock | None = None
    _is_closed: bool = False

    @classmethod
    def open(
        cls, settings: Settings, goldens: Sequence[Golden], seen: Seen, *, resumes: bool, begins: bool
    ) -> Journal | None:
        """
        Open the file for this session; None where another one writes it, or nothing can be written.

        Args:
            resumes: Take over the results of an earlier run that did not come to its end.
            begins: No earlier process of this run has begun the file.

        Raises:
            ResumeError: The earlier run is still under way, or is one of other golden files or settings; or
                its file is in git, where anybody may have written it.
        """
        path = unfinished_path(settings)
        journal = cls(path=path, seen=seen, resumes=resumes)
        try:
            open_home(settings)
            path.parent.mkdir(parents=True, exist_ok=True)
            journal._alive = take_lock(path.with_suffix(".lock"))
        except OSError:
            return None
        if journal._alive is None:
            if resumes:
                raise ResumeError(f"{path}: the run is still under way, in another process")
            return None
        try:
            head = _make_head(settings, goldens)
            if resumes and path.exists():
                journal._take_over(head, settings.root)
            elif begins or not path.exists():
                _set_aside(path)
                write_atomically(path, dump_head(head))
        except LLMOpsError:
            journal.close(finished=False)
            raise
        except OSError:
            journal.close(finished=False)
            return None
        return journal

    @classmethod
    def join(cls, settings: Settings, goldens: Sequence[Golden], seen: Seen, *, resumes: bool) -> Journal:
        """Append to the file that the controller of this session has opened."""
        journal = cls(path=unfinished_path(settings), seen=seen, resumes=resumes)
        if resumes:
            journal._take_over(_make_head(settings, goldens), settings.root)
        return journal

    def _take_over(self, head: Run, root: Path) -> None:
        _refuse_committed(self.path, root)
        try:
            stream = read_stream(self.path)
        except RunFileError as error:
            raise ResumeError(
                f"it cannot be resumed: {str(error).partition('. Restore')[0]}. {_ANEW}"
            ) from None
        signature = stream.head.get("signature", {})
        settings = [
            f"the setting {name.partition(':')[2]}"
            for name, value in head.signature.items()
            if name.startswith(_SETTING) and signature.get(name) != value
        ]
        old, new = (
            {name: value for name, value in side.items() if not name.startswith(_SETTING)}
            for side in (signature, head.signature)
        )
        if changed := [*_list_changes(old, new), *settings]:
            raise _refuse(changed)
        if stream.results and not stream.stamps:
            raise _refuse(["nothing is known of the app that answered"])
        self.stamps, self._written, self.errors = stream.stamps, stream.stamps, stream.errors
        self.began = stream.head.get("environment", {}).get(BEGAN, "")
        for result in stream.results:
            failed = result.breakages or (result.rival and result.rival.breakages)
            if not failed:  # else it is tried again
                self._kept[result.case, count_repeats(result)] = result
        if self._alive is not None:
            _cut_torn_line(self.path)

    def check(self, restamp: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """
        Compare what made the results that may be taken over with what is there now.

        Args:
            restamp: Returns stamps as of now, also of what the app has not read yet.

        Raises:
            ResumeError: They differ.
        """
        # What changed while that run was under way has a mark in its stamp, and so differs.
        if self.stamps and (changed := list(_list_changes(self.stamps, restamp(self.stamps)))):
            raise _refuse(changed)

    def find(self, task: Task) -> CaseResult | None:
        """Return the result that the earlier run had, if the same metrics scored it."""
        result = self._kept.get((task.id, task.repeats))
        if result is None:
            return None
        if not is_scored_alike(result, task):
            return None
        return replace(result, checks=task.case.checks)

    def add(self, result: CaseResult) -> None:
        """Write a sealed result within moments."""
        with self._adding:
            if self._is_closed:
                return
            self._waiting.append(result)
            if self._timer is None:
                self._timer = threading.Timer(_WAIT_S, self._flush)
                self._timer.daemon = True
                start_outside(self._timer)

    def _flush(self) -> None:
        with self._writing:  # first, so that whoever closes the file waits for lines under way
            with self._adding:
                self._timer = None
                results, self._waiting = self._waiting, []
            if not results:
                return
            stamps = self.seen.stamps()  # after the results, so that none is without what it read
            errors = [error for error in self.seen.errors() if error not in self._reported]
            lines = [] if stamps == self._written else [dump_stamps(stamps)]
            lines += [dump_errors(errors)] if errors else []
            if _append(self.path, b"".join([*lines, *_dump_all(results)])):
                self._written = dict(stamps)
                self._reported.update(errors)
            else:
                with self._adding:
                    self._waiting = [*results, *self._waiting]

    def describe(self, results: Iterable[CaseResult]) -> str:
        """Return a sentence on how many results of the run are, or go on with, those of the earlier one."""
        if not self.resumes:
            return ""
        if not self._kept:
            before = self.path.with_name(_BEFORE)
            more = f"; results of an earlier one are in {_BEFORE}: rename it to {self.path.name}"
            return f"nothing to resume: there is no unfinished run{more if before.exists() else ''}"
        kept = {case: result.outputs for (case, _), result in self._kept.items()}
        found = [result for result in results if result.case in kept]
        taken = sum(result.outputs[: len(kept[result.case])] == kept[result.case] for result in found)
        since = f" that began at {self.began}" if self.began else ""
        return f"resumed: {counted(taken, 'case')} taken over from the run{since}"

    def close(self, *, finished: bool) -> None:
        """Write what is left; remove the file where the run is over. A second call does nothing."""
        with self._adding:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
        self._flush()
        if self._alive is not None:
            if finished:
                self.path.unlink(missing_ok=True)
            self._alive.release()
            self._alive = None


def unfinished_path(settings: Settings) -> Path:
    """Return the file of a run that did not come to its end."""
    return settings.path(settings.home) / "runs" / f"{UNFINISHED}.jsonl"


def find_last_run(settings: Settings) -> Path:
    """
    Return the file of the last golden run, be it over or not.

    Raises:
        RunFileError: It is under way, or ended before any case had a result: an earlier run is another one.
    """
    last, path = settings.path(settings.last_run), unfinished_path(settings)
    if not path.exists() or (last.exists() and last.stat().st_mtime > path.stat().st_mtime):
        return last
    another = f"to report the run before it: llmops report {settings.last_run}"
    if (lock := take_lock(path.with_suffix(".lock"))) is None:
        raise RunFileError(f"the last run is still under way; {another}")
    lock.release()
    if path.read_bytes().count(b"\n") < 2:  # noqa: PLR2004 - the head, and a result
        raise RunFileError(
            f"the last run ended before a case had a result, and its output says why; {another}"
        )
    return path


def _make_head(settings: Settings, goldens: Sequence[Golden]) -> Run:
    signature = dict(
        sign_run(
            goldens,
            (),
            app=settings.app if "app" in settings.flagged else None,
            otherwise=settings.app,
            root=settings.root,
            repeats=settings.repeats,
        )
    )
    signature["partial"] = UNFINISHED
    for path in sorted(set[str]().union(*find_option_files(goldens))):  # schemas, rubrics
        with suppress(OSError):
            signature.setdefault(f"data:{path}", sha256((settings.root / path).read_bytes()).hexdigest())
    for name in _DECISIVE:
        signature[f"{_SETTING}{name}"] = sha256(repr(getattr(settings, name)).encode()).hexdigest()[:8]
    return Run(
        signature=signature,
        results=(),
        suite={golden.path: golden.suite for golden in goldens},
        environment={BEGAN: datetime.now(UTC).isoformat(timespec="seconds")},
    )


def _dump_all(results: Iterable[CaseResult]) -> Iterator[bytes]:
    for result in results:
        with suppress(TypeError, ValueError):  # it has what JSON has not, and the run file will say so
            yield dump_result(result)


def _set_aside(path: Path) -> None:
    """Keep the results of an earlier run under another name: this run was not asked to go on with them."""
    with suppress(OSError):
        if path.read_bytes().count(b"\n") > 1:
            path.replace(path.with_name(_BEFORE))


def _cut_torn_line(path: Path) -> None:
    """Remove a last line without an end, in which the earlier process was killed."""
    content = path.read_bytes()
    if not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def _append(path: Path, data: bytes) -> bool:
    """Append in one piece, since other processes append too; return whether all of it was written."""
    with suppress(OSError):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)  # never made here: the session that owns it does that
        try:
            start = os.fstat(file).st_size
            if os.write(file, data) == len(data):
                return True
            os.ftruncate(file, start)  # of a full disk
        finally:
            os.close(file)
    return False


def _refuse_committed(path: Path, root: Path) -> None:
    """Refuse a file that is in git, or that a link in git leads to: a change could bring its own results."""
    if not any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents)):
        return
    above = [folder for folder in path.absolute().parents if folder != root and root in folder.parents]
    for place in (path.absolute(), path.resolve(), *filter(Path.is_symlink, above)):
        try:
            if run_git(["ls-files", "--", str(place)], root):
                raise ResumeError(f"{place}: is in git, so a change may have written it. {_ANEW}")
        except RevisionError as error:
            if place.is_relative_to(root):
                raise ResumeError(f"{path}: cannot tell whether it is in git: {error}. {_ANEW}") from None


def _list_changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """Yield what differs, in words where the gate has some: a lack on one side is a difference, too."""
    differing = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if differing:
        yield from describe_changes(old, new) or differing


def _refuse(changed: Iterable[str]) -> ResumeError:
    named = list(changed)
    shown = "; ".join([*named[:_NAMED], *(["and more"] if len(named) > _NAMED else [])])
    return ResumeError(f"the unfinished run cannot be resumed, for what made it changed: {shown}. {_ANEW}")
