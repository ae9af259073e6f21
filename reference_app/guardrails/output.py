"""What an answer must not carry out of the app is taken out of it, and said."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from reference_app.guardrails.disguises import is_invisible
from reference_app.guardrails.markup import find_markup_fault, remove_references
from reference_app.guardrails.redaction import mask

MAX_ANSWER_CHARACTERS = 4000
LEAK_WORDS = 6  # in a row; fewer are ordinary speech
REMOVED = "[link removed]"
JOINERS = "\u200c\u200d\ufe0f"  # families of emoji and several scripts need them

_CITATION = re.compile(r"[ \t]*\[(?P<id>[\w.-]{1,80}#[\w.-]{1,80})\]")
_WORD = re.compile(r"[^\W_]+")
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\s|$)|\n|$)?|[.!?]+")
_PRIVATE = (
    r"(?:(?<!gift )card (?:number|details?|data)|credit cards?|debit cards?|cvv2?|cvc2?|security code"
    r"|passwords?|passcode|pin|one-time code|bank (?:details?|account|card)|account number|sort code|iban)"
)
_ASKS = re.compile(
    r"\b(?:enter|type|give|send|tell|provide|share|reply|respond|confirm|verify|need|require|fill|submit|write"
    rf"|state|e-?mail|text|include|what(?:'s| is| are))\b[^.!?\n]{{0,80}}\b{_PRIVATE}\b"
    rf"|\b(?:your|full|the) (?:\w+ ){{0,2}}{_PRIVATE}\b[^.!?\n]{{0,40}}(?:\?|\bplease\b)",
    re.IGNORECASE,
)
_NEVER = re.compile(
    r"\b(?:never|not|don'?t|won'?t|nobody|no need|without|reset|forgot(?:ten)?|chang\w+|lost)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """
    An answer that may be shown.

    Attributes:
        text: Empty where nothing that may be said is left.
        problems: What was wrong, in words of ours that repeat nothing of what was taken out.
    """

    text: str
    problems: tuple[str, ...] = ()


def check_answer(  # noqa: PLR0913 - each says what one check goes by
    text: str,
    *,
    hosts: Collection[str],
    sources: Collection[str] = (),
    known: Collection[str] | None = None,
    secrets: Collection[str] = (),
    given: Sequence[str] = (),
) -> Guarded:
    """
    Check an answer before anyone reads it; no text of a model makes this raise.

    Args:
        text: As the model wrote it.
        hosts: Whose pages may be linked; a leading dot stands for all hosts below.
        sources: Ids of the sections that the answer may cite.
        known: Ids of all sections, to tell a citation made up from one not read; None leaves citations alone.
        secrets: Lines such as those of the system prompt; six words of one in a row are a leak.
        given: Texts that the answer was made from; personal data in them, as the shop's own number, may stay.
    """
    problems: list[str] = []

    def note(checked: str, problem: str) -> str:
        if checked != text:
            problems.append(problem)
        return checked

    shown = "".join(one for one in text if one in "\n\t" or one in JOINERS or not is_invisible(one))
    text = note(shown, "Control or invisible characters were removed.").strip()
    text = note(_without_leaks(text, secrets), "A part of the instructions was removed.")
    text = note(_without_links(text, tuple(hosts)), "A link to a host outside the list was removed.")
    text = note(_without_requests(text), "A request for a card number or a password was removed.")
    if known is not None:
        text = _with_sources(text, problems, sources, known)
    masked = mask(text, keep=lambda value: any(value in passage for passage in given))
    text = note(masked, "Personal data or a secret was masked.")
    if len(text) > MAX_ANSWER_CHARACTERS:
        problems.append(f"The answer was cut at {MAX_ANSWER_CHARACTERS} characters.")
        text = text[: MAX_ANSWER_CHARACTERS - 1].rstrip() + "…"
    if not text:
        problems.append("The answer is empty.")
    return Guarded(text=text, problems=tuple(dict.fromkeys(problems)))


def repeats(text: str, secrets: Collection[str]) -> bool:
    """Whether a text has six words of a secret in a row."""
    return _without_leaks(text, secrets) != text


def _without_leaks(text: str, secrets: Collection[str]) -> str:
    """
    The text without runs of words that a secret has too, whatever stands between them.

    A secret shorter than `LEAK_WORDS` leaks as a whole.
    """
    words = [(word[0].casefold(), *word.span()) for word in _WORD.finditer(text)]
    leaked: set[int] = set()
    for secret in secrets:
        kept = [word.casefold() for word in _WORD.findall(secret)]
        size = min(LEAK_WORDS, len(kept))
        runs = {tuple(kept[start : start + size]) for start in range(len(kept) - size + 1)} - {()}
        for start in range(len(words) - size + 1):
            if tuple(word for word, *_ in words[start : start + size]) in runs:
                leaked |= set(range(start, start + size))
    if not leaked:
        return text
    parts, last = [], 0
    for number, (_, start, end) in enumerate(words):
        if number in leaked:
            parts.append(text[last:start] if number - 1 not in leaked else "")
            last = end
    return re.sub(r"\s{2,}", " ", "".join((*parts, text[last:]))).strip(" .,:;\"'")


def _without_requests(text: str) -> str:
    """The text without sentences that ask for a card number or a password, which the shop never does."""
    sentences = _SENTENCE.findall(text)
    if not any(_asks(sentence) for sentence in sentences):
        return text
    return "".join(sentence for sentence in sentences if not _asks(sentence)).strip()


def _asks(sentence: str) -> bool:
    return bool(_ASKS.search(sentence)) and not _NEVER.search(sentence)


def _without_links(text: str, hosts: tuple[str, ...]) -> str:
    checked = remove_references(text, link_hosts=hosts, removed=REMOVED)
    if find_markup_fault(checked, link_hosts=hosts):
        # Entities hide it from the patterns; nothing is shown if it is not found even without them.
        checked = remove_references(html.unescape(checked), link_hosts=hosts, removed=REMOVED)
    return "" if find_markup_fault(checked, link_hosts=hosts) else checked


def _with_sources(text: str, problems: list[str], sources: Collection[str], known: Collection[str]) -> str:
    def check(found: re.Match[str]) -> str:
        if found["id"] in sources:
            return found[0]
        wrong = "was not read" if found["id"] in known else "does not exist"
        problems.append(f"A citation of a section that {wrong} was removed.")
        return ""

    return _CITATION.sub(check, text).strip()
