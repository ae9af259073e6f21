"""
The log of people's reviews of answers: one JSON object a line, only ever appended to.

Each line contains the hash of the line before and its own, so that an edit, a removed line or another order
is found on the next reading. Lines missing at the end are found only by comparison with a copy (`extends`).
The schema of a line is `review.schema.json`. The log keeps no answer's text, only its digest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pytest_llmops.detect.mask import mask
from pytest_llmops.documents.file_lock import hold_lock
from pytest_llmops.documents.reading import hexadecimal, matching, read_version, record_reader, refused_as
from pytest_llmops.errors import ReviewError

VERSION = 1

_FIRST = "0" * 64
_LOCK_TIMEOUT_S = 30
_REMEDY = "Restore the file from version control: it may grow by `llmops review` and not change otherwise"
_INSTALL = "Install the pytest-llmops that wrote it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """
    One person's verdict on one answer.

    Attributes:
        case: The item's id.
        input_hash: Of the case's input, as in the run.
        answer: Digest of the answer's text, 16 hexadecimal digits.
        when: UTC, to the second, `2026-01-31T09:15:00Z`.
        note: In the reviewer's words.
    """

    case: Annotated[str, matching(".+", "an item's id")]
    input_hash: str
    answer: Annotated[str, hexadecimal(16)]
    verdict: Literal["good", "bad"]
    who: Annotated[str, matching(".+", "a name")]
    when: Annotated[str, matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "a time such as 2026-01-31T09:15:00Z")]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line(Review):
    note: str
    version: int
    previous: Annotated[str, hexadecimal(64)]
    hash: Annotated[str, hexadecimal(64)]


_READ = record_reader(dict, _Line)


def load_reviews(path: str | Path) -> tuple[Review, ...]:
    """
    Return the reviews in the order they were made; a log that does not exist is empty.

    Raises:
        ReviewError: The log cannot be read or was changed; the message names the line.
    """
    return parse_reviews(_read_bytes(Path(path)), str(path))


def parse_reviews(data: bytes, log: str) -> tuple[Review, ...]:
    """
    Return the reviews of a log's bytes, such as another revision's.

    Args:
        log: The log's name in messages.

    Raises:
        ReviewError: The log was changed.
    """
    return _parse(data, log)[0]


def append_reviews(path: str | Path, reviews: Iterable[Review], *, lock: Path | None = None) -> None:
    """
    Add reviews to the log, on the disk when this returns; secrets and personal data in notes are masked.

    Args:
        lock: The file by which processes take turns; by default a hidden one in the log's folder.

    Raises:
        ReviewError: The log was changed, a review cannot be read again, or another process does not end.
            Nothing is written.
        OSError: The log cannot be written; it is left as it was.
    """
    path = Path(path)
    lock = lock or path.with_name(f".{path.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with hold_lock(lock, timeout_s=_LOCK_TIMEOUT_S):
            _, previous = _parse(_read_bytes(path), str(path))
            lines = []
            for review in reviews:
                line, digest = _chain(replace(review, note=mask(review.note)), previous)
                _read_line(line.rstrip(), previous)
                lines.append(line)
                previous = digest
            _append(path, b"".join(lines))
    except _BrokenLineError as error:
        raise ReviewError(f"{path}: the review was not written: {error}") from None
    except TimeoutError:
        raise ReviewError(
            f"{path}: another process has been writing for {_LOCK_TIMEOUT_S} s; try again when it has ended"
        ) from None


def extends(old: Sequence[Review], new: Sequence[Review]) -> bool:
    """Return whether the new log is the old one with nothing or more behind it: not a rewritten one."""
    return tuple(new[: len(old)]) == tuple(old)


class _BrokenLineError(Exception):
    """The problem of a line, without its place."""

    def __init__(self, message: str, remedy: str = _REMEDY) -> None:
        super().__init__(message)
        self.remedy = remedy


def _parse(data: bytes, log: str) -> tuple[tuple[Review, ...], str]:
    """The reviews, and the hash that the next line must name."""
    *lines, rest = data.split(b"\n")
    reviews: list[Review] = []
    previous = _FIRST
    for number, line in enumerate(lines, 1):
        try:
            # A checkout on Windows may have changed the line ends, and nothing else.
            review, previous = _read_line(line.removesuffix(b"\r"), previous)
        except _BrokenLineError as error:
            raise ReviewError(f"{log}:{number}: {error}. {error.remedy}") from None
        reviews.append(review)
    if rest:
        raise ReviewError(
            f"{log}:{len(lines) + 1}: is cut off, for it has no line end. Restore the file from "
            "version control, or delete this line if it was never in there"
        )
    return tuple(reviews), previous


def _read_line(line: bytes, previous: str) -> tuple[Review, str]:
    """The review of a line, and the line's hash."""
    if line.startswith((b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")):
        raise _BrokenLineError(
            "git left a conflict here",
            "Keep the lines of one side only, and review again what the other contained",
        )
    try:
        value = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError):
        raise _BrokenLineError("is no JSON in ASCII, so it was cut or edited") from None
    version = value.get("version") if isinstance(value, dict) else None
    remedy = _INSTALL if type(version) is int and version != VERSION else _REMEDY
    with refused_as(partial(_BrokenLineError, remedy=remedy), ""):
        fields = _READ(read_version(value, VERSION, "review"))
    review = Review(**{key: fields[key] for key in fields.keys() - {"version", "previous", "hash"}})
    if line + b"\n" != _chain(review, fields["previous"])[0]:
        raise _BrokenLineError("was edited: its hash or its way of writing does not fit")
    if fields["previous"] != previous:
        raise _BrokenLineError("does not follow the line before: lines were removed, added or moved")
    return review, fields["hash"]


def _chain(review: Review, previous: str) -> tuple[bytes, str]:
    """A review as its line, and the line's hash."""
    fields = {"version": VERSION, **asdict(review), "previous": previous}
    digest = sha256(_canonical(fields)).hexdigest()
    return _canonical({**fields, "hash": digest}) + b"\n", digest


def _canonical(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ReviewError(f"{path}: cannot be read: {error.strerror}") from None


def _append(path: Path, data: bytes) -> None:
    with path.open("ab", buffering=0) as log:
        size = log.seek(0, os.SEEK_END)
        try:
            while data:
                data = data[log.write(data) :]
            os.fsync(log.fileno())
        except OSError:
            log.truncate(size)  # a part of a line would make the log unreadable
            raise
