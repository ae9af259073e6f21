"""What a tool does to the world, read from its name and description."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reference_app.guardrails.calls.request import AllowedTool
from reference_app.guardrails.calls.wording import find_words, fold, split_name

READING = frozenset(
    "get search list read find check query lookup look fetch view show count describe calculate compute summarize "
    "summarise summarizer translate convert retrieve load browse research status estimate compare validate verify is has "
    "explain analyze analyse detect classify recommend history balance".split()
)
# Verbs that are nouns as well: `order_status` orders nothing.
NOUNS = frozenset(
    "order email mail message transaction invoice payment record note store charge contact deposit plan text "
    "purchase report test log".split()
)
MONEY = frozenset("money funds payment cash".split())
REPLYING = frozenset("reply respond response answer".split())

# Kinds of action: the words of tools' names, and the words by which people ask for them.
ACTIONS: dict[str, tuple[str, str]] = {
    "send": (
        "send email mail message dm sms notify forward share publish post tweet broadcast submit upload write contact",
        r"send|sent|e-?mail\b(?! from)|mail|messag|dm\b|text|tell|inform|notif|let .{1,30} know|forward|shar|publish|post|tweet|announce"
        r"|write|reply|respond|answer|contact|submit|upload|ask|remind|thank|invit|wish|apolog|greet|congrat|fill|file a|complain|drop .{1,30} line|access|pass .{1,30} on|report|direct message|letter",
    ),
    "pay": (
        "pay payment transfer refund charge purchase buy donate withdraw deposit transaction invoice order",
        r"pay|paid|transfer|send|sent|refund|reimburs|money back|charge|purchas|buy|order|donat|withdraw|deposit|settle|split|owe|bill"
        r"|transaction|give .{1,30} back|return|cash|price|cost|subscri|rent\b|standing order|wire|top .{0,20}up|get me",
    ),
    "delete": (
        "delete remove cancel drop erase clear purge wipe revoke terminate unsubscribe uninstall kick ban close destroy reset disable",
        r"delet|remov|cancel|drop|eras|clear|purg|wip|revok|terminat|unsubscri|uninstall|kick|ban\b|clos|destroy|reset|disabl|get rid"
        r"|take .{1,40} (?:off|out)|clean|discard|throw|stop|call off|unfollow|leave|no longer|forgot|exchang",
    ),
    "create": (
        "create add append insert book reserve schedule register make new open start invite set plan generate save store upload record enroll",
        r"creat|add|append|insert|book|reserv|reserve|schedul|regist|mak|new|open|start|invit|set|plan|generat|sav|stor|upload|record|enrol"
        r"|writ|put|draft|prepar|organi|arrang|remind|sign|join|appoint|slot|include|attach|note|log|block|hold|meeting|get me|i need|apply",
    ),
    "update": (
        "update change edit modify reschedule move rename set adjust replace assign grant approve enable transfer merge edit",
        r"updat|chang|edit|modif|reschedul|mov|renam|set|adjust|replac|assign|grant|approv|enabl|correct|fix|switch|postpon|delay|shift"
        r"|increas|decreas|rais|lower|instead|new|convert|swap|extend|turn|transfer|add|accept|upgrad|exchang|push|mark|paus|resum|renew",
    ),
    "run": (
        "run execute exec install deploy restart reboot shutdown launch trigger call invoke control unlock lock start",
        r"run|execut|install|deploy|restart|reboot|shut|launch|trigger|call|invok|unlock|lock|turn|start|switch|ping|check|test",
    ),
}
# The user hands over what is to be done to a text that is read.
_DELEGATES = re.compile(
    r"\b(?:do|perform|complete|execute|carry out|follow|take|handle|implement) (?:\w+ ){0,4}(?:actions?|tasks?|instructions|steps|to-?dos?|"
    r"everything|requests?|items)\b|\bto-?do list\b|\bwhat(?:ever)? (?:it|they|he|she|the \w+) (?:says?|asks?)",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"\W*(?:(?:please|hi|hello|hey|can you|could you|would you|i want to know|i'd like to know)[,!.]? ){0,3}"
    r"(?:what|when|where|who|whose|which|why|how|is|are|was|were|do|does|did|has|have|am|summari[sz]e|explain|read|show|list"
    r"|find|compare|describe|look up|search|tell me|recommend|identify|translate)\b"
)
DESTRUCTIVE = frozenset({"delete", "pay", "send", "run"})
_ENGLISH = frozenset("the of to and is for my in what me please on can with i a how this from you".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """
    Attributes:
        kinds: Keys of `ACTIONS`; empty for a tool that reads, answers the user or cannot be told.
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
    name = split_name(tool.name)
    said = [_singular(word.strip(".,:")) for word in fold(tool.description).split()[:1]]
    if REPLYING & set(name):
        return Effect(replies=True)
    if name and name[0] in NOUNS and (READING & set(name[1:]) or (said and not _find_kinds(said))):
        return Effect(reads=True)
    for words in (name, said):
        if words and words[0] in READING:
            return Effect(reads=True)
        if kinds := _find_kinds(words):
            return Effect(kinds=kinds | {"pay"} if MONEY & set(name) else kinds)
    return Effect(reads=tool.policy.get("read_only") is True or bool(READING & set(name)))


def is_worded(effect: Effect, tool: AllowedTool, task: str) -> bool:
    """
    Whether the task has a word for such an action.

    What destroys, pays or sends needs a word of its own. For the rest it is enough that the task speaks of
    the things the tool makes. A task in another language, or one that hands over what is to be done, says
    nothing about verbs.
    """
    plain = fold(task)
    if not effect.kinds or _DELEGATES.search(plain) or not is_english(plain):
        return True
    if any(re.search(rf"\b(?:re)?(?:{ACTIONS[kind][1]})", plain) for kind in effect.kinds):
        return True
    return not effect.kinds & DESTRUCTIVE and bool(find_objects(tool) & find_words(task))


def only_reads(task: str) -> bool:
    """Whether the task is a question, or begins with a word that asks for nothing but an answer."""
    return _QUESTION.match(fold(task)) is not None


def find_objects(tool: AllowedTool) -> set[str]:
    """Stems of the things that the tool's name speaks of, without its verbs."""
    verbs = READING | {word for names, _ in ACTIONS.values() for word in names.split()}
    return find_words(" ".join(word for word in split_name(tool.name) if word not in verbs))


def is_english(text: str) -> bool:
    words = fold(text).replace("'", " ").split()
    return not words or sum(word.strip(".,!?") in _ENGLISH for word in words) * 12 >= len(words)


def _find_kinds(words: list[str]) -> frozenset[str]:
    """By the first word that is a verb of some kind."""
    for word in words:
        if kinds := frozenset(kind for kind, (names, _) in ACTIONS.items() if word in names.split()):
            return kinds
    return frozenset()


def _singular(word: str) -> str:
    """`Sends` as `send`, the way descriptions begin."""
    return word.removesuffix("s") if not word.endswith("ss") else word
