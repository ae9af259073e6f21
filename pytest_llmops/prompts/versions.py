"""
Semantic versions of prompts, `MAJOR.MINOR.PATCH`.

No prerelease and no build part: a prompt is in use or it is not, so there is nothing to order among drafts.
"""

from __future__ import annotations

import re

Version = tuple[int, int, int]

_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")


def parse_version(text: str) -> Version | None:
    """The three numbers, each below a thousand million and without leading zeros; None for anything else."""
    match = _VERSION.fullmatch(text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None
