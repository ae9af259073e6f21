"""Whole numbers that are typed."""

from __future__ import annotations

import re


def read_count(flag: str, typed: str, remedy: str = "") -> int:
    """
    A whole number from 1 to 999,999.

    Raises:
        SettingsError: It is another; the remedy ends the message.
    """
    from pytest_llmops.errors import SettingsError
    from pytest_llmops.printable import printable

    if not re.fullmatch("[1-9][0-9]{0,5}", typed):
        more = f"; {remedy}" if remedy else ""
        raise SettingsError(f"{flag} takes a whole number above 0, not {printable(typed)!r}{more}")
    return int(typed)
