"""A call of a tool with all that a guard may judge it by, and what is decided."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

CALL_GUARDS = ("tools", "schema", "url", "path", "sql", "shell", "markup", "provenance", "taint")
"""In the order in which they look at a call."""
Outcome = Literal["allow", "confirm", "deny"]
Kind = Literal["tool", "document", "page", "upload"]
"""What a text is; of a tool's result only fields are trusted, and not its sentences."""


class Text(NamedTuple):
    """Something that the model read; `name` is of the tool, section, page or file."""

    text: str
    kind: Kind = "tool"
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    An argument that says where something goes or what is changed, and where its value may come from.

    Attributes:
        sources: `customer`, `constant` (one of `values`), `tool` or `tool NAME` (a field of a result),
            `document`, `text` (anything that was read), and `model` (a value that no text has).
        otherwise: What happens where only a text that is no source has the value.
    """

    sources: tuple[str, ...] = ("customer",)
    otherwise: Outcome = "deny"
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """
    What the manifest says of a tool.

    Attributes:
        outcomes: By role; a role that is missing is denied. None allows everybody.
        effects: Whether a call changes something.
        targets: By the name of the argument.
    """

    outcomes: Mapping[str, Outcome] | None = None
    effects: bool = False
    targets: Mapping[str, Target] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedTool:
    """
    A tool that may be called.

    Attributes:
        parameters: JSON Schema of an object.
        policy: What the operator allows, such as `hosts`, `root` or `tables`.
        declaration: None derives one from the name and the schema.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    declaration: Declaration | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A person's yes to one call with exactly these arguments."""

    digest: str

    @classmethod
    def of(cls, name: str, arguments: Mapping[str, Any]) -> Confirmation:
        """The confirmation of this call; raises `ValueError` where the arguments are no JSON values."""
        text = json.dumps([name, arguments], sort_keys=True, separators=(",", ":"), allow_nan=False)
        return cls(hashlib.sha256(text.encode()).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One call, before it is made.

    Attributes:
        tools: The allow-list.
        arguments: As the model wrote them; of any type until the schema was checked.
        said: What the person wrote in this conversation; None where nobody is known to have said anything, so
            that it is not asked where values come from.
        texts: What the model read.
        confirmation: A person's yes, to this call or another.
    """

    tools: tuple[AllowedTool, ...]
    name: str
    arguments: Any
    role: str = "customer"
    said: tuple[str, ...] | None = None
    texts: tuple[Text, ...] = ()
    confirmation: Confirmation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to a call, by which guard, and why; the reason quotes no value, which may be personal."""

    outcome: Outcome = "allow"
    reason: str = ""
    guard: str = "tools"


class Leaf(NamedTuple):
    """One value of the arguments that is neither a list nor an object, with the innermost name over it."""

    name: str
    value: str | int | float | bool | None

    @property
    def text(self) -> str:
        return "" if self.value is None or isinstance(self.value, bool) else str(self.value)


def list_leaves(arguments: Any, name: str = "") -> Iterator[Leaf]:
    """All values of the arguments, in their order."""
    if isinstance(arguments, Mapping):
        for key, value in arguments.items():
            yield from list_leaves(value, str(key))
    elif isinstance(arguments, list | tuple):
        for value in arguments:
            yield from list_leaves(value, name)
    else:
        yield Leaf(name, arguments)


def read_list(value: object) -> list[str] | None:
    """What a policy lists, as a list or as words apart by commas; None if it says nothing of it."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [str(item) for item in value] if isinstance(value, list | tuple) else []
