"""The kinds of mutants, by group, and their choice on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pytest_llmops.errors import SettingsError, hint
from pytest_llmops.features.mutate.answers import FALSE_KINDS
from pytest_llmops.features.mutate.answers import KINDS as OUTPUT_KINDS
from pytest_llmops.printable import printable

RETRIEVAL_KINDS: Mapping[str, str] = MappingProxyType({
    "top_dropped": "the best passage is missing",
    "wrong_document": "the best passage is one of another case",
    "no_passages": "nothing was retrieved",
    "shuffled": "the passages are in another order, the best one last",
})  # fmt: skip
MODEL_KINDS: Mapping[str, str] = MappingProxyType({
    "empty": "each reply of the app's model is empty: the app is muted",
    "rubbish": "each reply is a string of nonsense",
    "refusal": "each reply is a polite refusal",
    "another_reply": "each reply is one that another case got",
    "truncated": "each reply ends in the middle",
    "flipped": "yes becomes no, true becomes false, and the other way round",
    "tool_dropped": "the tool calls of a reply are missing",
    "other_arguments": "the tool calls of a reply have other arguments",
})  # fmt: skip
EDIT_KINDS: Mapping[str, str] = MappingProxyType({
    "rule_deleted": "a rule is missing",
    "rule_inverted": "a rule says the opposite",
    "rule_weakened": "a rule is only a suggestion",
    "number_changed": "a rule has another number",
})  # fmt: skip

GROUPS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "output": OUTPUT_KINDS,
    "retrieval": RETRIEVAL_KINDS,
    "model": MODEL_KINDS,
    "prompts": EDIT_KINDS,
    "documents": EDIT_KINDS,
})  # fmt: skip

LIES = tuple(kind for kind in OUTPUT_KINDS if kind in FALSE_KINDS)
"""Kinds of the group `output` that read like a good answer and are false."""

MUTED = "muted"
"""The share of cases that stay green while each reply of their model is empty."""

LIES_KEY = "lies"
USUAL = ("output", "retrieval", "model")
EDITS = ("prompts", "documents")

Kind = tuple[str, str]
"""A group and a kind of it."""


def known_names() -> tuple[str, ...]:
    """Return every name of a group or kind."""
    return tuple(dict.fromkeys([*GROUPS, *(kind for kinds in GROUPS.values() for kind in kinds)]))


def kinds_of(name: str) -> tuple[Kind, ...]:
    """Return the kinds that a name stands for: a group, a kind, `muted` or `lies`; none for another name."""
    if name == MUTED:
        return (("model", "empty"),)
    if name == LIES_KEY:
        return tuple(("output", kind) for kind in LIES)
    return tuple((group, kind) for group, kinds in GROUPS.items() for kind in kinds if name in {group, kind})


def read_kinds(typed: str, flag: str) -> tuple[Kind, ...]:
    """
    Read groups and kinds, separated by commas.

    Raises:
        SettingsError: One is unknown, or none is named.
    """
    names = [name for word in typed.split(",") if (name := word.strip())]
    if not names:
        raise SettingsError(f"{flag} names no kind; known: {', '.join(GROUPS)}, or a kind of one of them")
    for name in names:
        if not kinds_of(name):
            known = known_names()
            near = hint(name[:60], [*known, MUTED, LIES_KEY])
            raise SettingsError(
                f"{flag}: there is no kind of mutants {printable(name, 60)!r}.{near} "
                f"Groups: {', '.join(GROUPS)}; kinds: {', '.join(known[len(GROUPS) :])}"
            )
    return _unique(kind for name in names for kind in kinds_of(name))


def usual_kinds() -> tuple[Kind, ...]:
    return _unique(kind for group in USUAL for kind in kinds_of(group))


def _unique(kinds: Iterable[Kind]) -> tuple[Kind, ...]:
    return tuple(dict.fromkeys(kinds))
