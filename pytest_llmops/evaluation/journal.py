"""
The results of a run as they come, in a streamed run file, from which a run that was killed goes on.

It stays where a run is killed, interrupted or stopped, and is removed at the end of one that is over. Results
are taken over only where nothing that is stamped differs: golden files, prompts, data, settings, the app's
code and the files, variables and packages that it had met by then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.file_lock import FileLock, take_lock
from pytest_llmops.errors import LLMOpsError, ResumeError, RevisionError
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.gates.stamps import UNFINISHED, describe_changes
from pytest_llmops.metrics.sources import sign_source
from pytest_llmops.printable import counted
from pytest_llmops.recorder.threads import start_outside
from pytest_llmops.records import CaseResult, Golden, Run, Score
from pytest_llmops.reports.files.run_file import dump_head, dump_result, dump_stamps, read_stream
from pytest_llmops.revision.git import run_git
from pytest_llmops.runner.cases.tasks import Task
from pytest_llmops.runner.recording import open_home
from pytest_llmops.runner.signature import sign_run
from pytest_llmops.settings import Settings

BEGAN = "began"
"""The time at which an unfinished run began, in its environment."""

_ANEW = "To run all cases anew, leave out --llm-resume (llmops run: --resume)"
_WAIT_S = 1.0  # results of so much time are written together, with one look at the stamps
_NAMED = 5
_DECISIVE = ("metrics", "judge", "record", "repeats", "max_repeats", "runs_on")
"""Settings by which results differ."""

_SETTING = "option:"

ReadStamps = Callable[[], Mapping[str, str]]


@dataclass(slots=True, eq=False)
class Journal:
    """
    The file of one run, which every process of it appends to.

    Attributes:
        read_stamps: Returns the stamps of this process's apps as of now.
        stamps: Of the part that is taken over; `began` is when that began.
        resumes: Somebody asked to go on with an earlier run.
    """

    path: Path
    read_stamps: ReadStamps
    stamps: Mapping[str, str] = field(default_factory=dict)
    began: str = ""
    resumes: bool = False
    _kept: dict[tuple[str, int], CaseResult] = field(default_factory=dict)
    _waiting: list[bytes] = field(default_factory=list)
    _written: Mapping[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _timer: threading.Timer | None = None
    _alive: FileLock | None = None
    _is_closed: bool = False

    @classmethod
    def open(
        cls,
        settings: Settings,
        goldens: Sequence[Golden],
        read_stamps: ReadStamps,
        *,
        resumes: bool,
        joins: bool = False,
    ) -> Journal | None:
        """
        Open the file; None where another run of the project writes it, or nothing can be written.

        Args:
            resumes: Take over the results of an earlier run that did not come to its end.
            joins: Another process of this run has opened it already.

        Raises:
            ResumeError: The earlier run is still under way, or is one of other golden files or settings; or
                its file is in git, where anybody may have written it.
        """
        path = unfinished_path(settings)
        journal = cls(path=path, read_stamps=read_stamps, resumes=resumes)
        if not joins:
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
        head = _make_head(settings, goldens)
        try:
            if resumes and path.exists():
                _refuse_committed(path, settings.root)
                journal._take_over(head)
            elif not joins:
                write_atomically(path, dump_head(head))
        except LLMOpsError:
            journal.close(finished=False)
            raise
        except OSError:
            journal.close(finished=False)
            return None
        return journal

    def _take_over(self, head: Run) -> None:
        stream = read_stream(self.path)
        old = stream.head.get("signature", {})
        settings = [
            f"the setting {name.partition(':')[2]}"
            for name, value in head.signature.items()
            if name.startswith(_SETTING) and old.get(name) != value
        ]
        if changed := [*_compare(old, head.signature), *settings]:
            raise _refuse(changed)
        self.stamps, self._written = stream.stamps, stream.stamps
        self.began = stream.head.get("environment", {}).get(BEGAN, "")
        for result in stream.results:
            failed = result.failures or (result.rival and result.rival.failures)
            if not failed:  # else it is tried again
                self._kept[result.case, count_repeats(result)] = result

    def check(self, restamp: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """
        Compare what made the part that is taken over with what is there now.

        Args:
            restamp: Returns stamps as of now, also of what the app has not met yet.

        Raises:
            ResumeError: They differ.
        """
        if self.stamps and (changed := _compare(self.stamps, restamp(self.stamps))):
            raise _refuse(changed)

    def find(self, task: Task) -> CaseResult | None:
        """Return the result that the earlier run had, if the same metrics scored it."""
        result = self._kept.get((task.id, task.repeats))
        if result is None:
            return None
        codes = {name: sign_source(metric, _UNSIGNED).signature for name, metric in task.metrics}
        scored = {score.metric for score in result.scores}
        if scored != codes.keys() or any(
            not score.signature.endswith(codes[score.metric]) for score in result.scores
        ):
            return None
        return replace(result, checks=task.case.checks)

    def add(self, result: CaseResult) -> None:
        """Write a sealed result within moments."""
        with self._lock:
            if self._is_closed:
                return
            with suppress(TypeError, ValueError):  # of what JSON has not; the run file will say so
                self._waiting.append(dump_result(result))
            if self._timer is None:
                self._timer = threading.Timer(_WAIT_S, self._flush)
                self._timer.daemon = True
                start_outside(self._timer)

    def _flush(self) -> None:
        with self._lock:
            self._timer = None
            lines, self._waiting = self._waiting, []
            if not lines:
                return
            stamps = self.read_stamps()  # after the results, so that none is without what it read
            if stamps != self._written:
                lines.insert(0, dump_stamps(stamps))
                self._written = dict(stamps)
            with suppress(OSError), self.path.open("ab", buffering=0) as file:  # OSError of a full disk
                file.write(b"".join(lines))  # at once, since other processes append to it, too

    def describe(self, results: Iterable[CaseResult]) -> str:
        """Return a sentence on how many results of the run are, or go on with, those of the earlier one."""
        if not self.resumes:
            return ""
        if not self._kept:
            return "resumed: nothing, for no unfinished run was left"
        kept = {case: result.outputs for (case, _), result in self._kept.items()}
        taken = sum(
            result.outputs[: len(kept.get(result.case, ()))] == kept.get(result.case) for result in results
        )
        since = f" that began at {self.began}" if self.began else ""
        return f"resumed: {counted(taken, 'case')} taken over from the run{since}"

    def close(self, *, finished: bool) -> None:
        """Write what is left; remove the file where the run is over. A second call does nothing."""
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
        self._flush()
        if self._alive is not None:
            if finished:
                self.path.unlink(missing_ok=True)
            self._alive.release()
            self._alive = None


_UNSIGNED = Score(metric="", value=0.0, signature="", repeat=0)


def unfinished_path(settings: Settings) -> Path:
    """Return the file of a run that did not come to its end."""
    return settings.path(settings.home) / "runs" / f"{UNFINISHED}.jsonl"


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
    for name in _DECISIVE:
        signature[f"{_SETTING}{name}"] = sha256(repr(getattr(settings, name)).encode()).hexdigest()[:8]
    return Run(
        signature=signature,
        results=(),
        suite={golden.path: golden.suite for golden in goldens},
        environment={BEGAN: datetime.now(UTC).isoformat(timespec="seconds")},
    )


def _refuse_committed(path: Path, root: Path) -> None:
    with suppress(RevisionError):
        if run_git(["ls-files", "--", str(path.absolute())], root):
            raise ResumeError(f"{path}: is in git, so it may be no run's; remove it there. {_ANEW}")


def _compare(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    old, new = (
        {name: value for name, value in side.items() if not name.startswith(_SETTING)} for side in (old, new)
    )
    return describe_changes(old, new)


def _refuse(changed: Sequence[str]) -> ResumeError:
    named = "; ".join([*changed[:_NAMED], *(["and more"] if len(changed) > _NAMED else [])])
    return ResumeError(f"the unfinished run cannot be resumed, for what made it changed: {named}. {_ANEW}")
