"""Marks that git leaves in a file of which two sides were not merged."""

from __future__ import annotations

import re

_MARK = re.compile(rb"^(<{7}|>{7}|\|{7}) |^={7}\r?$", re.MULTILINE)

CONFLICT = (
    "a mark of a git conflict. Settle the conflict, or take the file of one side whole: "
    "git checkout --ours or --theirs"
)
"""What such a line is, and the remedy."""


def find_conflict(data: bytes) -> int:
    """Return the line of the first mark; 0 where there is none."""
    mark = _MARK.search(data)
    return data.count(b"\n", 0, mark.start()) + 1 if mark else 0
