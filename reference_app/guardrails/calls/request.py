"""A call of a tool with all that a guard may judge it by, and what is decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

CALL_GUARDS = (
    "tools",
    "schema",
    "policy",
    "url",
    "path",
    "sql",
    "shell",
    "markup",
    "taint",
    "exfiltration",
    "task",
)
"""In the order in which they look at a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedTool:
    """
    A tool that the task may use.

    Attributes:
        parameters: JSON Schema of an object.
        policy: What the operator allows, such as `hosts`, `root`, `tables` or `max_amount`.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One call, before it is made.

    Attributes:
        task: What the user wrote; the only text that may name targets.
        tools: The allow-list of the task.
        arguments: As the model wrote them; of any type until the schema was checked.
        context: Texts that the model read, such as results of tools and documents.
        confirmed: Whether a person agreed to this call with these arguments.
    """

    task: str
    tools: tuple[AllowedTool, ...]
    name: str
    arguments: Any
    context: str = ""
    confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    Attributes:
        guard: Of the guard that refused; of the one that looked last where it is allowed.
        reason: Quotes no value, which may be personal; empty where it is allowed.
    """

    allowed: bool
    guard: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """
    One value of the arguments that is neither a list nor an object.

    Attributes:
        name: Of the argument that contains it; the innermost name in nested objects.
    """

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
        yield Leaf(name=name, value=arguments)


def read_list(value: object) -> list[str] | None:
    """What a policy lists, as a list or as words apart by commas; None if it says nothing of it."""
    if value is None:
        return None
    if isinstance(value, str):
        return [word for word in value.replace(",", " ").split() if word]
    return [str(one) for one in value] if isinstance(value, list | tuple) else []
