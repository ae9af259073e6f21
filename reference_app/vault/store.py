"""The files of the vault: `keys.json` with the wrapped keys, and one file of records a period."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from reference_app.errors import VaultError
from reference_app.vault.files import FOLDER_MODE, check_mode, read_private, write_private

VERSION = 1
_PERIOD = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A data key as it lies on the disk."""

    id: str
    wrapped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """
    What `keys.json` contains.

    Attributes:
        master: Id of the master key that wraps them.
        periods: By UTC day, like `2026-03-05`.
    """

    master: str
    periods: Mapping[str, WrappedKey]

    def put(self, period: str, key: WrappedKey) -> Keys:
        return replace(self, periods={**self.periods, period: key})

    def without(self, period: str) -> Keys:
        return replace(self, periods={day: key for day, key in self.periods.items() if day != period})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    One token.

    Attributes:
        sealed: The encrypted value; None after its period was purged. The token stays, so that it is never
            given to another value.
    """

    token: str
    kind: str
    sealed: str | None


class Store:
    """Reads and replaces the files of one vault; its user locks the folder."""

    def __init__(self, folder: Path) -> None:
        self.keys_path = folder / "keys.json"
        self._records = folder / "records"

    def read_keys(self) -> Keys | None:
        """None before the first value; raises VaultError where the file is damaged."""
        data = _read(self.keys_path, "periods")
        if data is None:
            if self.list_periods():
                raise _damaged(self.keys_path, "it is missing")
            return None
        try:
            periods = {str(day): WrappedKey(**key) for day, key in data["periods"].items()}
            texts = [
                str(data["master"]),
                *(text for key in periods.values() for text in (key.id, key.wrapped)),
            ]
        except (TypeError, KeyError, AttributeError) as error:
            raise _damaged(self.keys_path, "it is no file of keys") from error
        if not all(isinstance(text, str) for text in texts) or not all(map(_PERIOD.fullmatch, periods)):
            raise _damaged(self.keys_path, "it is no file of keys")
        return Keys(master=texts[0], periods=periods)

    def write_keys(self, keys: Keys) -> None:
        periods = {day: asdict(key) for day, key in sorted(keys.periods.items())}
        _write(self.keys_path, {"version": VERSION, "master": keys.master, "periods": periods})

    def list_periods(self) -> list[str]:
        """The days that have records, oldest first."""
        if not self._records.is_dir():
            return []
        check_mode(self._records, FOLDER_MODE)
        return sorted(path.stem for path in self._records.glob("*.json") if _PERIOD.fullmatch(path.stem))

    def read_records(self, period: str) -> dict[str, Record]:
        """By token; raises VaultError where the file is damaged."""
        path = self._path(period)
        data = _read(path, "records")
        if data is None:
            return {}
        try:
            records = [Record(**record) for record in data["records"]]
        except (TypeError, KeyError) as error:
            raise _damaged(path, "it is no file of records") from error
        if not all(isinstance(one.token, str) and isinstance(one.sealed, str | None) for one in records):
            raise _damaged(path, "it is no file of records")
        return {one.token: one for one in records}

    def write_records(self, period: str, records: Iterable[Record]) -> None:
        self._records.mkdir(mode=FOLDER_MODE, exist_ok=True)
        _write(self._path(period), {"version": VERSION, "records": [asdict(one) for one in records]})

    def find(self, token: str) -> tuple[str, Record] | None:
        """Period and record of a token."""
        for period in self.list_periods():
            if (record := self.read_records(period).get(token)) is not None:
                return period, record
        return None

    def _path(self, period: str) -> Path:
        return self._records / f"{period}.json"


def _read(path: Path, field: str) -> dict[str, Any] | None:
    text = read_private(path)
    if text is None:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "it is no JSON") from error
    if not isinstance(data, dict) or field not in data:
        raise _damaged(path, f"it has no {field!r}")
    if data.get("version") != VERSION:
        raise VaultError(f"{path} has another version than {VERSION}; it was written by another release.")
    return data


def _write(path: Path, data: Mapping[str, Any]) -> None:
    write_private(path, (json.dumps(data, indent=1) + "\n").encode())


def _damaged(path: Path, what: str) -> VaultError:
    return VaultError(
        f"{path} is damaged: {what}. Nothing was changed; restore it from a copy.", "failed: damaged"
    )
