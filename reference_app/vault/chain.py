"""The audit log as a chain: each line contains the hash of the line before, and the head that of the last."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from reference_app.printable import counted

START = "0" * 64
FIELDS = (
    "n", "time", "actor", "role", "action", "token", "key", "reason", "outcome", "previous", "hash",
)  # fmt: skip
Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """
    What the log must end in; it lies in a separate file.

    Attributes:
        size: Of the log in bytes.
        pending: Hash of a line that was about to be written; empty when the write has ended.
    """

    count: int = 0
    hash: str = START
    size: int = 0
    pending: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Where the log was changed: the number of the line in the file, from 1, and what is wrong there."""

    line: int
    message: str


def digest(fields: Mapping[str, Any], key: bytes | None) -> str:
    """Hex of SHA-256 over the fields, or of HMAC-SHA-256 where there is a key."""
    data = _write(fields).encode()
    return hmac.new(key, data, hashlib.sha256).hexdigest() if key else hashlib.sha256(data).hexdigest()


def link(fields: Mapping[str, Any], head: Head, key: bytes | None) -> tuple[bytes, Head]:
    """The next line of the log as bytes, and the head after it."""
    body = {**fields, "n": head.count + 1, "previous": head.hash}
    full = {**body, "hash": digest(body, key)}
    data = (_write(full) + "\n").encode()
    return data, Head(count=head.count + 1, hash=full["hash"], size=head.size + len(data))


def write_head(head: Head, key: bytes | None) -> bytes:
    """The head with its own hash."""
    fields = asdict(head)
    return (_write({**fields, "seal": digest(fields, key)}) + "\n").encode()


def read_head(data: bytes, key: bytes | None) -> Head:
    """Raises ValueError where it was changed, or made with another audit key."""
    fields = json.loads(data)
    if not isinstance(fields, dict):
        raise TypeError("no mapping")
    seal = fields.pop("seal", "")
    if not hmac.compare_digest(str(seal).encode(), digest(fields, key).encode()):
        raise ValueError("wrong seal")
    return Head(**fields)


def read_line(data: bytes) -> Line | None:
    """The fields of a line; None where it is not exactly as `link` writes one."""
    try:
        fields = json.loads(data)
        same = _write(fields).encode() == data and tuple(sorted(fields)) == tuple(sorted(FIELDS))
    except (ValueError, TypeError, RecursionError):
        return None
    return fields if same else None


def find_faults(data: bytes, head: Head, key: bytes | None) -> list[Fault]:
    """
    Every place where the log is not as it was written, in order.

    A line is compared with the line before as it stands there, so that one change gives one fault, or two
    where it also breaks the link to the next line.
    """
    *lines, rest = data.split(b"\n")
    faults: list[Fault] = []
    count, last = 0, START
    for number, text in enumerate(lines, 1):
        fields = read_line(text)
        if fields is None:
            faults.append(Fault(line=number, message="was changed: it is no line of this log"))
            count, last = count + 1, ""
            continue
        faults += _check_line(number, fields, (count, last), key)
        count, last = _number(fields["n"], count + 1), str(fields["hash"])
    if rest:
        faults.append(Fault(line=len(lines) + 1, message="is incomplete"))
    return faults or _check_end(len(lines), last, len(data), head)


def _check_line(number: int, fields: Line, before: tuple[int, str], key: bytes | None) -> list[Fault]:
    count, last = before
    body = {name: value for name, value in fields.items() if name != "hash"}
    faults = []
    if not hmac.compare_digest(str(fields["hash"]).encode(), digest(body, key).encode()):
        faults.append(Fault(line=number, message="was changed: its hash does not fit"))
    # After a line that cannot be read, only the number says whether lines are missing.
    if fields["n"] != count + 1 or (last and fields["previous"] != last):
        faults.append(
            Fault(
                line=number,
                message=f"does not follow the line before: it is entry {fields['n']}, expected {count + 1}; "
                "a line was changed, removed, inserted or moved",
            )
        )
    return faults


def _check_end(count: int, last: str, size: int, head: Head) -> list[Fault]:
    if head.pending and count == head.count + 1 and last == head.pending:
        return []  # the process ended between the line and the head; the next entry mends it
    if count < head.count:
        message = (
            f"is missing: the log was cut short, its head counts {counted(head.count, 'entry', 'entries')}"
        )
        return [Fault(line=count + 1, message=message)]
    if count > head.count:
        message = f"is not in the head, which counts {counted(head.count, 'entry', 'entries')}"
        return [Fault(line=head.count + 1, message=message)]
    if last != head.hash or size != head.size:
        return [Fault(line=max(1, count), message="is not the entry that the head ends in")]
    return []


def finish(head: Head, tail: bytes) -> tuple[Head, bool] | None:
    """
    The head after a write that was interrupted, and whether the tail has to be cut off.

    Args:
        head: With a pending hash.
        tail: The log's bytes after the head's size.

    Returns:
        None where the tail is not of that write.
    """
    clean = replace(head, pending="")
    if not tail.endswith(b"\n"):
        return (clean, bool(tail)) if b"\n" not in tail else None
    fields = read_line(tail[:-1])
    if fields is None or fields["hash"] != head.pending:
        return None
    return Head(count=head.count + 1, hash=head.pending, size=head.size + len(tail)), False


def _number(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _write(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))
