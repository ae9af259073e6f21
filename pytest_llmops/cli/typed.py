"""Numbers and variables of the command line; a wrong one is a SettingsError."""

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
    """Read name and value of an environment variable; `what` names the flag in the error."""
    if not (match := _VARIABLE.fullmatch(typed)):
        raise SettingsError(f"{what} takes VAR=VALUE, such as GUARDS=none, not {printable(typed)!r}")
    return match["name"], match["value"]


def refuse_overwriting(out: str | None, *inputs: str | None) -> None:
    """
    Refuse an output file that is also an input.

    Raises:
        SettingsError: The output file is one of the inputs.
    """
    read = {Path(path).resolve() for path in inputs if path and path != "-"}
    if out and Path(out).resolve() in read:
        raise SettingsError(f"--out {printable(out)} is the file that is read; write to another")
