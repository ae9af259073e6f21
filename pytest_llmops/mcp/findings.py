"""What is wrong with a tool definition, where, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.detect.mask import mask
from pytest_llmops.detect.texts import escape
from pytest_llmops.printable import printable

CHANGED = "tool definition changed since the lock (tool poisoning / rug pull)"
IN_SESSION = "tool definition changed between two listings of one session (rug pull)"
BY_CLIENT = "tool definition differs on another connection or for another client (rug pull)"
OPEN = "input schema is not closed"
INSTRUCTIONS = "reads like an instruction to the model (tool poisoning)"
HIDDEN = "hidden characters"
MARKUP = "markup"
NAMES = "tool names can be mistaken for each other"

SERVER = "(server)"  # in place of a tool's name

FILLED = ("{…}", "[…]")  # in place of an object and a list that have parts

_SHOWN = 300
_LINE = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class McpFinding:
    """
    Attributes:
        tool: Its name; `(server)` where it is about the server's own instructions or its list.
        field: JSON pointer in the definition, without the first slash; empty for the tool as a whole.
    """

    tool: str
    field: str
    what: str
    detail: str

    @property
    def is_change(self) -> bool:
        """Whether a definition is not as it was; else it has something that no definition should have."""
        return self.what in {CHANGED, IN_SESSION, BY_CLIENT}

    def describe(self) -> dict[str, str]:
        """As it may be shown: personal data and secrets masked, nothing in it that a terminal obeys."""
        return {name: show(getattr(self, name)) for name in ("tool", "field", "what", "detail")}

    def __str__(self) -> str:
        return printable(": ".join(filter(None, self.describe().values())), _LINE)


def show(text: str) -> str:
    """A text of a server, for a terminal."""
    return printable(mask(text), _SHOWN)


def fields_of(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """The JSON pointer, without the first slash, and JSON of each value; `FILLED` of one that has parts."""
    if isinstance(value, Mapping) and value:
        yield pointer[1:], FILLED[0]
        for key, item in value.items():
            yield from fields_of(item, f"{pointer}/{escape(str(key))}")
    elif isinstance(value, list) and value:
        yield pointer[1:], FILLED[1]
        for at, item in enumerate(value):
            yield from fields_of(item, f"{pointer}/{at}")
    else:
        yield pointer[1:], json.dumps(value, ensure_ascii=False)
