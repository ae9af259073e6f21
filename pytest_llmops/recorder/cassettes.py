"""Cassettes: files of recorded calls, which a repeat of a case reads and adds to."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from cachetools import LRUCache

from pytest_llmops import cache
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.documents.file_lock import hold_lock
from pytest_llmops.documents.reading import (
    BrokenValueError,
    Reader,
    checked,
    is_number,
    list_of,
    read_any,
    read_count,
    read_fields,
    read_flag,
    read_text,
    read_version,
)
from pytest_llmops.documents.values import Row, Table, line_of, plain
from pytest_llmops.documents.yaml_document import read_yaml
from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.identity import kind_of
from pytest_llmops.recorder.redaction import Redaction
from pytest_llmops.recorder.yaml_text import to_yaml
from pytest_llmops.settings import RecordMode

VERSION = 1

_SAFE = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
_UNSAFE_RUN = re.compile(r"[^a-z0-9_-]+")
# Names of devices on Windows, whatever ending they carry.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")
_CASE = re.compile(r'^case: "?(.+?)::', re.MULTILINE)
_LOCK_TIMEOUT_S = 30.0
_READ_BYTES = 16_000_000  # of files whose calls are held in memory
_PARSED = "cassette"  # the kind of cache entry

Place = tuple[str, int, int]
Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """
    One answered call in a cassette.

    Attributes:
        request: Its body, redacted; `key` is of the body as it was sent.
        repeat: Which repeat of the case made it.
        nth: Counts from 0 the equal calls of that repeat.
        offset_s: Seconds from the start of the repeat to the request, when it was made.
        duration_s: Seconds that the answer took then.
        body: The answer as JSON, or the text of its events.
        cached: By its headers it came out of a cache on the way.
    """

    provider: str
    path: str
    request: Any
    key: str
    repeat: int
    nth: int
    offset_s: float
    duration_s: float
    content_type: str
    body: Any
    cached: bool = False

    @property
    def place(self) -> Place:
        """Key of the call in `Calls`."""
        return self.key, self.repeat, self.nth


Calls = dict[Place, Recorded]


@lru_cache(maxsize=10_000, typed=True)  # asked by each repeat and judge of a case; a pure path equals a Path
def cassette_path(folder: Path, case: str) -> Path:
    """
    Return the path of a case's file under a folder: `support/returns-window.yaml` for the item id
    `golden/support.yaml::returns-window`. No two ids share a file, not even where upper case is ignored.
    """
    golden, _, name = case.partition("::")
    stem = PurePosixPath(golden).stem
    usual = golden == f"golden/{stem}.yaml" and _is_safe(stem)
    slug = name if _is_safe(name) else _hashed(name, name)
    return folder / (stem if usual else _hashed(stem, golden)) / f"{slug}.yaml"


def _is_safe(name: str) -> bool:
    return bool(_SAFE.fullmatch(name)) and not _DEVICE.fullmatch(name)


def _hashed(readable: str, whole: str) -> str:
    """Return a safe name with a dot, which no name has that is safe by itself."""
    suffix = sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    name = _UNSAFE_RUN.sub("-", readable.lower())[:60].strip("-") or "x"
    return f"{'x-' if _DEVICE.fullmatch(name) else ''}{name}.{suffix}"


def shown_path(path: Path) -> str:
    """Return a path as people name it: relative to the current folder where it lies below it."""
    try:
        return _relative(path, os.getcwd())  # noqa: PTH109  # a Path costs more than all else here
    except (OSError, ValueError):
        return str(path)


@lru_cache(maxsize=1000)
def _relative(path: Path, folder: str) -> str:
    return path.relative_to(folder).as_posix()


def load_calls(path: Path) -> Calls:
    """
    Read the calls of a cassette, in the order of the file; none when it does not exist.

    Raises:
        CassetteError: It is not a cassette of this version, with the line and the remedy.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise _broken(path, 1, f"cannot be read ({error})") from None
    known = recall_document(path, text)
    document = _parse(path, text) if known is None else known
    calls = _check(path, document)
    if known is None:
        remember_document(path, text, document)
    return calls


def parse_calls(path: Path, text: str) -> Calls:
    """
    Read the calls in a cassette's text.

    Raises:
        CassetteError: As `load_calls`.
    """
    return _check(path, _parse(path, text))


def write_calls(path: Path, case: str, calls: Sequence[Recorded]) -> None:
    """
    Replace a cassette; the calls are sorted by repeat, and within one in the order given.

    Raises:
        OSError: It cannot be written.
        ValueError: A call is nested more deeply than a cassette is read.
    """
    entries = [_entry(call) for call in sorted(calls, key=lambda call: call.repeat)]
    document = {"version": VERSION, "case": case, "calls": entries}
    text = "".join(to_yaml({name: part}) for name, part in document.items())
    write_atomically(path, text.encode(), durable=False)
    remember_document(path, text, document)


def hold_cassettes(locks: Path) -> AbstractContextManager[None]:
    """
    Hold the cassettes of a project while one is read and written; processes take turns.

    Args:
        locks: Folder of the file that they take turns by, which is that of the local cassettes.
    """
    return hold_lock(locks / ".lock", timeout_s=_LOCK_TIMEOUT_S)


def _entry(call: Recorded) -> dict[str, Any]:
    names = ("provider", "path", "request", "key", "repeat", "nth")
    return {
        **{name: getattr(call, name) for name in names},
        "offset_s": round(call.offset_s, 6),
        "duration_s": round(call.duration_s, 6),
        "response": {
            "content_type": call.content_type,
            "body": call.body,
            "status": 200,
            "sha256": digest(call),
            **({"cached": True} if call.cached else {}),
        },
    }


def digest(call: Recorded) -> str:
    """
    SHA-256 of a recorded call: of its place, its times and the response, as they are in the file.

    It shows an accidental edit by hand. Somebody who means to deceive writes another digest: such edits are
    found by a comparison with git.
    """
    times = [round(call.offset_s, 6), round(call.duration_s, 6)]
    parts = [call.key, call.repeat, call.nth, times, call.content_type, call.body]
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return sha256(canonical.encode("ascii")).hexdigest()


def _read_call(value: Any) -> Recorded:
    fields = read_fields(value, _CALL, _CALL)
    response = fields.pop("response")
    call = Recorded(
        **fields,
        content_type=response["content_type"],
        body=response["body"],
        cached=response.get("cached", False),
    )
    if response.get("sha256", "") not in {"", digest(call)}:
        raise BrokenValueError("was edited after it was recorded")
    return call


def _read_json(value: Any) -> Any:
    """Leave out the lines, which nothing needs once a call is read; what the cache kept has none."""
    return plain(value) if isinstance(value, Table | Row) else value


_SECONDS = checked(
    read_any, "a number of seconds", is_number
)  # 0 stays 0, not 0.0: the digest is of the text
_RESPONSE: Mapping[str, Reader] = {
    "content_type": read_text, "sha256": read_text, "cached": read_flag,
    "status": checked(read_count, "200, since nothing else is recorded", lambda status: status == 200),  # noqa: PLR2004
    "body": checked(_read_json, "JSON or text", lambda body: isinstance(body, dict | list | str)),
}  # fmt: skip
_CALL: Mapping[str, Reader] = {
    "provider": read_text, "path": read_text, "request": _read_json, "key": read_text, "repeat": read_count,
    "nth": read_count, "offset_s": _SECONDS, "duration_s": _SECONDS,
    "response": lambda value: read_fields(value, _RESPONSE, ("content_type", "body", "status")),
}  # fmt: skip
_CASSETTE: Mapping[str, Reader] = {"version": read_any, "case": read_text, "calls": list_of(_read_call)}


def _parse(path: Path, text: str) -> Any:
    document, mistakes = read_yaml(text, file="cassette", cassette=True)
    if mistakes:
        raise _broken(path, mistakes[0].line, mistakes[0].message)
    return document


def _check(path: Path, document: Any) -> Calls:
    try:
        calls = read_fields(read_version(document, VERSION, "cassette"), _CASSETTE, ("calls",))["calls"]
    except BrokenValueError as error:
        place, problem = error.problems[0]
        line, call = line_of(document, place), ""
        if place[0:1] == ("calls",) and len(place) > 1:
            place, call = place[2:], f"call {int(place[1]) + 1}: "
        raise _broken(path, line, f"{call}{BrokenValueError((place, problem))}") from None
    first: dict[Place, int] = {}
    for at, call in enumerate(calls):
        before = calls[first.setdefault(call.place, at)]
        if (before.content_type, before.body) != (call.content_type, call.body):
            lines = [line_of(document, ("calls", number)) for number in (first[call.place], at)]
            fault = f"call {at + 1} is a second answer to the request that line {lines[0]} answers otherwise"
            raise _broken(path, lines[1], fault)
    return {call.place: call for call in calls}


def _broken(path: Path, line: int, fault: str) -> CassetteError:
    end = "" if fault.endswith("?") else "."
    return CassetteError(f"{shown_path(path)}:{line}: {fault}{end} Delete it or run with --llm-record all")


def recall_document(path: Path, text: str) -> Any:
    """
    Return the parsed text from the cache, some thirty times as fast as YAML; None where it is not there.

    An entry counts only for the very text it was made of, so an edited cassette is parsed anew. A committed
    cassette is always parsed: no file outside the review may replace it.
    """
    if not cache.is_at_home(path):
        return None
    key = cache.key_of(str(path))
    entry = cache.read(_PARSED, [key]).get(key, b"")
    prefix = _text_digest(text)
    if not entry.startswith(prefix):
        return None
    try:
        return json.loads(entry[len(prefix) :])
    except ValueError:
        return None


def remember_document(path: Path, text: str, document: Any) -> None:
    """Keep a parsed text in the cache, one entry a file."""
    if cache.is_at_home(path):
        written = json.dumps(document).encode("ascii")
        cache.write(_PARSED, {cache.key_of(str(path)): _text_digest(text) + written})


def _text_digest(text: str) -> bytes:
    return sha256(text.encode("utf-8")).digest()


@dataclass(slots=True, kw_only=True)
class CassetteSession:
    """
    One cassette during one repeat of a case.

    Attributes:
        calls: May be replayed.
        stamp: Of the file as it was read; None when there was none.
        sealed: No call may be made that is not in it.
        made: (when the call began, the call, not yet redacted).
    """

    path: Path
    calls: Calls
    stamp: Stamp | None
    sealed: bool
    made: list[tuple[float, Recorded]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return shown_path(self.path)

    def describe_moved(self, key: str) -> str:
        """Return where a call is recorded for a golden file that is gone; empty if nowhere."""
        for path in sorted(self.path.parent.parent.glob(f"*/{self.path.name}")):
            with suppress(OSError, ValueError):
                text = path.read_text(encoding="utf-8")
                case = _CASE.search(text)
                if key in text and case and not Path(case[1]).exists():
                    folder, new = shown_path(path.parent), shown_path(self.path.parent)
                    remedy = f"if the golden file was renamed, git mv {folder} {new}"
                    return f"; the same call is in {folder}: {remedy}"
        return ""


class Cassettes:
    """Opens and writes cassettes by the rules of a mode, safely among threads and processes."""

    def __init__(self, *, mode: RecordMode, redaction: Redaction, locks: Path) -> None:
        """
        Open nothing yet.

        Args:
            locks: Folder for the file that processes take turns by.
        """
        self._mode, self._redaction, self._locks = mode, redaction, locks
        self._lock = threading.Lock()
        self._read: LRUCache[Path, tuple[Stamp, Calls]] = LRUCache(
            _READ_BYTES, getsizeof=lambda read: read[0][1]
        )
        self._existed: dict[Path, bool] = {}
        # Old calls that a rewriting run drops when it first writes; later repeats add to the new file.
        self._stale: dict[Path, set[Place]] = {}

    def open(self, path: Path) -> CassetteSession:
        """
        Open a cassette for one repeat.

        Raises:
            CassetteError: The file is broken, and the mode is none that rewrites it.
        """
        stamp = _stamp(path)
        calls = self._load_stamped(path, stamp) if stamp else {}
        with self._lock:
            existed = self._existed.setdefault(path, stamp is not None)
            if self._mode == "all":
                self._stale.setdefault(path, set(calls))
                calls = {}
        sealed = self._mode == "none" or (self._mode == "once" and existed)
        return CassetteSession(path=path, calls=calls, stamp=stamp, sealed=sealed)

    def save(self, case: str, session: CassetteSession) -> str | None:
        """Add the calls that were made to the file; return a sentence where that failed."""
        if not session.made:
            return None
        try:
            made = [self._redacted(call) for _, call in sorted(session.made, key=lambda pair: pair[0])]
        except Exception as error:  # noqa: BLE001  # a redaction is anybody's code
            # Its message may quote the text that it was to hide.
            return f"{case}: its model calls were not kept: redacting them raised {type(error).__name__}"
        try:
            with self._lock, hold_cassettes(self._locks):
                merged = self._kept(session)
                merged.update({call.place: call for call in made})
                write_calls(session.path, case, list(merged.values()))
                self._stale[session.path] = set()
        except (OSError, CassetteError, ValueError, RecursionError) as error:
            return f"{case}: its model calls were not kept in {session.name}: {error}"
        return None

    def _kept(self, session: CassetteSession) -> Calls:
        """Return the file's calls of now, without those that this run replaces."""
        if _stamp(session.path) == session.stamp and self._mode != "all":
            return dict(session.calls)
        stale = self._stale.get(session.path, set())
        return {place: call for place, call in self._load(session.path).items() if place not in stale}

    def _load_stamped(self, path: Path, stamp: Stamp) -> Calls:
        """Read the file only if it has changed: the app and each judge of a case open it."""
        with self._lock:
            known, calls = self._read.get(path, (None, {}))
        if known != stamp:
            calls = self._load(path)
            with self._lock, suppress(ValueError):  # too large to be held
                self._read[path] = (stamp, calls)
        return calls

    def _load(self, path: Path) -> Calls:
        try:
            return load_calls(path)
        except CassetteError:
            if self._mode == "all":  # the remedy that the error names
                return {}
            raise

    def _redacted(self, call: Recorded) -> Recorded:
        return replace(
            call,
            path=self._redaction.text(call.path),
            request=self._redaction.value(call.request),
            body=self._redaction.body(kind_of(call.path), call.body),
        )


def _stamp(path: Path) -> Stamp | None:
    """Return facts that change whenever the file does; None when there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
