"""Tools that a model or a person takes for another one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_llmops.detect.disguises import read_disguised
from pytest_llmops.mcp.findings import NAMES, McpFinding

_ALLOWED = re.compile(r"[A-Za-z0-9_./-]{1,128}")  # by the specification
_ALIKE = str.maketrans("01|5", "olls")


def check_names(names: Sequence[str]) -> Iterator[McpFinding]:
    """Two tools of one name, names that look alike, and names with characters that no tool's name needs."""
    for name, count in Counter(names).items():
        if count > 1:
            yield McpFinding(tool=name, field="name", what=NAMES, detail=f"{count} tools have this name")
        if not _ALLOWED.fullmatch(name):
            detail = "a tool's name has 1 to 128 of A-Z, a-z, 0-9, _, -, . and /"
            yield McpFinding(tool=name, field="name", what=NAMES, detail=detail)
    looks: dict[str, str] = {}
    for name in sorted(set(names)):
        other = looks.setdefault(_look_of(name), name)
        if other != name:
            detail = f"looks like {other!a}"
            yield McpFinding(tool=name, field="name", what=NAMES, detail=detail)


def _look_of(name: str) -> str:
    """Equal for names that look alike: in case, separators, digits, letters of other alphabets."""
    latin = f"a{name}"  # in a word with a Latin letter, others are read as what they look like
    for reading in read_disguised(latin):
        latin = reading.text
    folded = unicodedata.normalize("NFKC", latin[1:]).casefold().translate(_ALIKE)
    plain = re.sub(r"[\W_]+", "", folded)
    return plain.replace("rn", "m").replace("vv", "w").replace("i", "l")
