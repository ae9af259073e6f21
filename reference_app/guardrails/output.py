"""What an answer must not carry out of the app is taken out of it, and said."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from reference_app.guardrails.disguises import is_invisible
from reference_app.guardrails.markup import find_markup_fault, remove_references
from reference_app.guardrails.redaction import mask
from reference_app.safety import RefusedError
from reference_app.safety.urls import Allowed, read_url

MAX_ANSWER_CHARACTERS = 4000
LEAK_WORDS = 6  # in a row; fewer are ordinary speech
REMOVED = "[link removed]"
JOINERS = "\u200c\u200d\ufe0f"  # families of emoji and several scripts need them

_CITATION = re.compile(r"[ \t]*\[(?P<id>[\w.-]{1,80}#[\w.-]{1,80})\]")
_URL = re.compile(
    r"```.*?```|~~~.*?~~~|`[^`\n]+`|(?P<url>(?<![\w.+-])[a-zA-Z][a-zA-Z0-9+.-]{1,20}:/{1,}[^\s<>\"'`\])}]*"
    r"|\b(?:(?:javascript|vbscript|blob):(?=\S)|data:\w+[/;,]|file:/)[^\s<>\"'`\])}]*"
    r"|(?<![\w/:.@-])(?://|www\.)[\w-][^\s<>\"'`\])}]*"
    r"|(?<![\w/:.@-])(?:[\w-]+\.)+(?:[a-zA-Z]{2,24}(?=[/?:]\w)|(?:com|net|org|io|info|biz|co|dev|app|ru|cn|xyz|top|link|ly|me|site"
    r"|online|shop)\b(?!\.\w))[^\s<>\"'`\])}]*)",
    re.DOTALL,
)
_WORD = re.compile(r"[^\W_]+")


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
    for check in (
        _plain,
        lambda text, problems: _without_leaks(text, problems, secrets),
        lambda text, problems: _without_links(text, problems, tuple(hosts)),
        lambda text, problems: _with_sources(text, problems, sources, known),
        lambda text, problems: _masked(text, problems, given),
        _short,
    ):
        text = check(text, problems)
    if not text:
        problems.append("The answer is empty.")
    return Guarded(text=text, problems=tuple(dict.fromkeys(problems)))


def _plain(text: str, problems: list[str]) -> str:
    shown = "".join(one for one in text if one in "\n\t" or one in JOINERS or not is_invisible(one))
    if shown != text:
        problems.append("Control or invisible characters were removed.")
    return shown.strip()


def _without_leaks(text: str, problems: list[str], secrets: Collection[str]) -> str:
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
    problems.append("A part of the instructions was removed.")
    parts, last = [], 0
    for number, (_, start, end) in enumerate(words):
        if number in leaked:
            parts.append(text[last:start] if number - 1 not in leaked else "")
            last = end
    return re.sub(r"\s{2,}", " ", "".join((*parts, text[last:]))).strip(" .,:;\"'")


def _without_links(text: str, problems: list[str], hosts: tuple[str, ...]) -> str:
    checked = _clean_links(text, hosts)
    if find_markup_fault(checked, link_hosts=hosts):
        # Entities hide it from the patterns; nothing is shown if it is not found even without them.
        checked = _clean_links(html.unescape(checked), hosts)
        checked = "" if find_markup_fault(checked, link_hosts=hosts) else checked
    if checked != text:
        problems.append("A link to a host outside the list was removed.")
    return checked


def _clean_links(text: str, hosts: tuple[str, ...]) -> str:
    text = remove_references(text, link_hosts=hosts, removed=REMOVED)
    allowed = Allowed(hosts=hosts)

    def check(found: re.Match[str]) -> str:
        link = found["url"]
        if link is None:
            return found[0]  # code, which was checked before
        trailing = link[len(link.rstrip(".,;:!?")) :]
        url = link.removesuffix(trailing)
        full = (
            url if re.match(r"[a-zA-Z][\w+.-]*:", url) and "://" in url[:12] else f"https://{url.lstrip('/')}"
        )
        try:
            read_url(full, allowed)
        except RefusedError:
            return f"{REMOVED}{trailing}"
        return link

    return _URL.sub(check, text)


def _with_sources(
    text: str, problems: list[str], sources: Collection[str], known: Collection[str] | None
) -> str:
    if known is None:
        return text

    def check(found: re.Match[str]) -> str:
        if found["id"] in sources:
            return found[0]
        problems.append(
            "A citation of a section that was not read was removed."
            if found["id"] in known
            else "A citation of a section that does not exist was removed."
        )
        return ""

    return _CITATION.sub(check, text).strip()


def _masked(text: str, problems: list[str], given: Sequence[str]) -> str:
    masked = mask(text, keep=lambda value: any(value in one for one in given))
    if masked != text:
        problems.append("Personal data or a secret was masked.")
    return masked


def _short(text: str, problems: list[str]) -> str:
    if len(text) <= MAX_ANSWER_CHARACTERS:
        return text
    problems.append(f"The answer was cut at {MAX_ANSWER_CHARACTERS} characters.")
    return text[: MAX_ANSWER_CHARACTERS - 1].rstrip() + "…"
