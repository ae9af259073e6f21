"""What a tool does to the world, read from its name and description."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from reference_app.guardrails.calls.request import AllowedTool
from reference_app.guardrails.calls.wording import find_words, fold, list_words, load_words, split_name

DESTRUCTIVE = frozenset({"delete", "pay", "send", "run"})
ENGLISH_SHARE = 1 / 12  # of words that every English text has

# The user hands over what is to be done to a text that is read.
_DELEGATES = re.compile(
    r"\b(?:do|perform|complete|execute|carry out|follow|take|handle|implement) (?:\w+ ){0,4}"
    r"(?:actions?|tasks?|instructions|steps|to-?dos?|everything|requests?|items)\b|\bto-?do list\b"
    r"|\bwhat(?:ever)? (?:it|they|he|she|the \w+) (?:says?|asks?)",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"\W*(?:(?:please|hi|hello|hey|can you|could you|would you|i want to know|i'd like to know)"
    r"[,!.]? ){0,3}"
    r"(?:what|when|where|who|whose|which|why|how|is|are|was|were|do|does|did|has|have|am|summari[sz]e"
    r"|explain|read|show|list|find|compare|describe|look up|search|tell me|recommend|identify|translate)\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """
    Attributes:
        kinds: Of the `actions` of `words.yaml`; empty for a tool that reads or answers, or is unknown.
        reads: Whether the tool surely changes nothing.
        replies: Whether the tool is the way to the user, so that every task wants it.
    """

    kinds: frozenset[str] = frozenset()
    reads: bool = False
    replies: bool = False


def read_effect(tool: AllowedTool) -> Effect:
    """
    What the tool does, by the first verb of its name, or else of its description.

    A name that begins with a word that is a noun as well reads, unless the description begins with a verb
    of action.
    """
    name, reading = split_name(tool.name), list_words("reading")
    said = [_singular(word.strip(".,:")) for word in fold(tool.description).split()[:1]]
    if list_words("replying") & set(name):
        return Effect(replies=True)
    if (
        name
        and name[0] in list_words("nouns")
        and (reading & set(name[1:]) or (said and not _find_kinds(said)))
    ):
        return Effect(reads=True)
    if name[:1] == ["open"] and list_words("opened") & set(name[1:]):
        return Effect(reads=True)
    for words in (name, said):
        if words and words[0] in reading:
            return Effect(reads=True)
        if kinds := _find_kinds(words):
            return Effect(kinds=kinds | {"pay"} if list_words("money") & set(name) else kinds)
    return Effect(reads=tool.policy.get("read_only") is True or bool(reading & set(name)))


def is_worded(effect: Effect, tool: AllowedTool, task: str) -> bool:
    """
    Whether the task has a word for such an action.

    What destroys, pays or sends needs its own word. For the rest it is enough that the task speaks of
    the things the tool makes. A task in another language, or one that hands over what is to be done, says
    nothing about verbs.
    """
    plain = fold(task)
    if not effect.kinds or _DELEGATES.search(plain) or not is_english(plain):
        return True
    if any(_load_actions()[kind].asked.search(plain) for kind in effect.kinds):
        return True
    return not effect.kinds & DESTRUCTIVE and bool(find_objects(tool) & find_words(task))


def only_reads(task: str) -> bool:
    """Whether the task is a question, or begins with a word that asks for nothing but an answer."""
    return _QUESTION.match(fold(task)) is not None


def find_objects(tool: AllowedTool) -> set[str]:
    """Stems of the things that the tool's name speaks of, without its verbs."""
    verbs = list_words("reading").union(*(action.names for action in _load_actions().values()))
    return find_words(" ".join(word for word in split_name(tool.name) if word not in verbs))


def is_english(text: str) -> bool:
    words = fold(text).replace("'", " ").split()
    known = sum(word.strip(".,!?") in list_words("english") for word in words)
    return known >= ENGLISH_SHARE * len(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Action:
    """A kind of action: words of the names of tools, and how people ask for it."""

    names: frozenset[str]
    asked: re.Pattern[str]


@cache
def _load_actions() -> dict[str, _Action]:
    return {
        kind: _Action(
            names=frozenset(action["names"].split()),
            asked=re.compile(rf"\b(?:re)?(?:{'|'.join(action['asked'])})"),
        )
        for kind, action in load_words()["actions"].items()
    }


def _find_kinds(words: list[str]) -> frozenset[str]:
    """By the first word that is a verb of some kind."""
    for word in words:
        if kinds := frozenset(kind for kind, action in _load_actions().items() if word in action.names):
            return kinds
    return frozenset()


def _singular(word: str) -> str:
    """`Sends` as `send`, the way descriptions begin."""
    return word.removesuffix("s") if not word.endswith("ss") else word
