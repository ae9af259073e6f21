"""Numbers and variables that are typed; one that cannot be is a SettingsError."""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path

from pytest_llmops.errors import SettingsError
from pytest_llmops.printable import printable

_VARIABLE = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.ASCII | re.DOTALL)


def read_count(flag: str, typed: str, remedy: str = "") -> int:
    """A whole number from 1 to 999,999; the remedy ends the message where it is another."""
    if not re.fullmatch("[1-9][0-9]{0,5}", typed):
        more = f"; {remedy}" if remedy else ""
        raise SettingsError(f"{flag} takes a whole number above 0, not {printable(typed)!r}{more}")
    return int(typed)


def read_number(flag: str, typed: str | None) -> float | None:
    if typed is None:
        return None
    try:
        number = float(typed)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise SettingsError(f"{flag} takes a number, not {typed!r}")
    return number


def read_share(flag: str, typed: str | None) -> float | None:
    number = read_number(flag, typed)
    if number is not None and not 0 < number < 1:
        raise SettingsError(f"{flag} takes a share between 0 and 1, such as 0.05, not {typed!r}")
    return number


def read_variable(what: str, typed: str) -> tuple[str, str]:
    """Name and value of an environment variable; `what` takes it, for the message of one that is none."""
    if not (matched := _VARIABLE.fullmatch(typed)):
        raise SettingsError(f"{what} takes VAR=VALUE, such as GUARDS=none, not {printable(typed)!r}")
    return matched["name"], matched["value"]


def refuse_overwriting(out: str | None, *inputs: str | None) -> None:
    """
    Raises:
        SettingsError: What is written would take the place of what is read.
    """
    read = {Path(each).resolve() for each in inputs if each and each != "-"}
    if out and Path(out).resolve() in read:
        raise SettingsError(f"--out {printable(out)} is the file that is read; write to another")
