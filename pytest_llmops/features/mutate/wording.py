"""Words of an answer turned: negations, who does a thing, and conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_llmops.features.mutate.languages import LANGUAGES, Language, Rule, join_words, read_language
from pytest_llmops.features.mutate.places import put_article_right
from pytest_llmops.features.mutate.readings import Edit, Reading, choose, content_words
from pytest_llmops.metrics.faithfulness.sentences import Sentence

_NEVER = re.compile(r"(?!)")
_CLAUSE_END = re.compile(r"[,;:()\u2013\u2014\uff0c\uff1b\uff1a]")
_OPENING_END = re.compile(r"\s*(?:[,.;:!\u2014\u2013\uff0c\u3002\uff01-]|\Z)")
_CONTRAST = re.compile(  # `not only …`, and what is said to hold in the place of another
    r"\b(?:not? (?:only|just|merely)|whether or not|sondern|sino|mais plut\u00f4t)\b|\u800c\u662f"
    r"|, (?:not|nicht|non|no) (?:on|in|at|when|by|for|from|the|a|am|im|bei|wenn|cuando|en|el|la)\b",
    re.IGNORECASE,
)
_HEADING = re.compile(r"#{1,6}\s|\|")
_WORD = re.compile(r"[^\W_]")
_SHORTEST = 3  # words of a sentence in which something is turned
_CHOICES = 3  # changes of a sentence among which the seed chooses
_SHOWN = 60
_LONGEST_LEAD_IN = 10  # words
_VERB = r"(?:has|must|can|cannot|will|should|does|did|is|was|pays?|[a-z]{3,}(?:ed|[^s\W]s))\b"  # likely


def turn_polarity(reading: Reading) -> Sequence[Edit]:
    """Return the changes that add or remove a negation, with an opening yes or no; none if none is sure."""
    language = reading.language
    if language is None or is_refusal(reading.text, language):
        return ()
    opening = _find_opening(reading, language)
    if opening is not None:
        following = _WORD.search(reading.prose, opening.end)
        if following is None:
            return (opening,)
        start = following.start()
        end = next((one.end for one in reading.in_order if one.start <= start < one.end), start)
        turned = _turn_sentence(reading, language, start, end)
        return (opening, turned) if turned else ()
    for sentence in _claims(reading, language):
        if edit := _turn_sentence(reading, language, sentence.start, sentence.end):
            return (edit,)
    return ()


def change_actor(reading: Reading) -> Edit | None:
    """Make another do what is done: we for you, the seller for the buyer, or an agent of the sources."""
    language = reading.language
    if language is None or is_refusal(reading.text, language):
        return None
    for sentence in _claims(reading, language):
        edits = list(_apply_rules(reading, sentence.start, sentence.end, language.actors))
        edits = edits or list(_other_agents(reading, language, sentence))
        for edit in edits:
            if not reading.is_stated(edit):
                return edit
    return None


def change_condition(reading: Reading) -> Edit | None:
    """Turn or widen a condition: `if` to `unless`, `before` to `after`, `at least` to `at most`."""
    language = reading.language
    if language is None or is_refusal(reading.text, language):
        return None
    for sentence in _claims(reading, language):
        edits = [
            edit
            for edit in _apply_rules(reading, sentence.start, sentence.end, language.conditions)
            if not reading.is_stated(edit)
        ]
        if edits:
            return choose(edits[:_CHOICES], reading.seed, "condition")
    return None


def is_refusal(text: str, language: Language | None) -> bool:
    """Return whether a text says that it cannot answer."""
    languages = [language] if language else [read_language(code) for code in LANGUAGES]
    return any(one.refusal.search(text[:400]) for one in languages)


def _claims(reading: Reading, language: Language) -> Iterator[Sentence]:
    """Yield the sentences that claim something, by weight."""
    for sentence in reading.sentences:
        text = sentence.text
        if _HEADING.match(text) or text.rstrip().endswith(("?", "\uff1f", ":")):
            continue
        if not language.is_spaced or len(text.split()) >= _SHORTEST:
            yield sentence


def _find_opening(reading: Reading, language: Language) -> Edit | None:
    """Return the change of the yes or no that the answer begins with."""
    start = len(reading.prose) - len(reading.prose.lstrip(" \t\n\"'*_>("))
    for word, other in language.opening:
        if reading.prose[start : start + len(word)].casefold() == word.casefold():
            end = start + len(word)
            if _OPENING_END.match(reading.prose, end):
                written = reading.prose[start:end]
                new = other if written[0].isupper() else other.lower()
                new = new.upper() if written.isupper() and len(word) > 1 else new
                return Edit(start=start, end=end, new=new, change=f"{written} \u2192 {new}")
    return None


def _turn_sentence(reading: Reading, language: Language, start: int, end: int) -> Edit | None:
    """Return the removal of a negation in a sentence, or the addition of one, if that makes it false."""
    start = _skip_lead_in(reading, start, end)
    both = ((language.turn_off, language.turn_off_block), (language.turn_on, language.turn_on_block))
    for rules, block in both:
        for edit in _apply_rules(reading, start, end, rules, block):
            if not reading.is_stated(edit):
                return edit
    return None


def _skip_lead_in(reading: Reading, start: int, end: int) -> int:
    """Return where a sentence begins to claim something: behind `Here is what I found:`."""
    head, colon, rest = reading.prose[start:end].partition(":")
    is_short = bool(colon) and len(head.split()) <= _LONGEST_LEAD_IN and bool(_WORD.search(rest))
    if not is_short or content_words(head) & content_words(reading.topic):
        return start
    return start + len(head) + 1


def _apply_rules(
    reading: Reading, start: int, end: int, rules: Sequence[Rule], block: re.Pattern[str] = _NEVER
) -> Iterator[Edit]:
    """Yield what the rules make of a sentence, but not in a clause that has a word of `block`."""
    language, text = reading.language, reading.prose[start:end]
    if language is None or _CONTRAST.search(text):
        return
    is_english = language.code == "en"
    for rule in rules:
        for match in rule.find.finditer(text):
            if not match[0] or block.search(_clause(text, match.start(), match.end())):
                continue
            if is_english and _is_name(text, match):
                continue
            if rule.scope == "told" and not _has_word(reading, rule.put):
                continue
            if not (rule.scope == "main" and _is_subordinate(text, match.start(), language)):
                edit = _replace(reading, start, match, rule)
                if edit.new != reading.text[edit.start : edit.end]:
                    yield edit
                    break


def _is_name(text: str, match: re.Match[str]) -> bool:
    """Return whether what a rule finds has a capital inside a sentence, as words of titles have."""
    before = text[: match.start()].rstrip(" \0*_")
    return match[0].istitle() and bool(before) and before[-1] not in ".:;!?\"'\u201c(\n"


def _has_word(reading: Reading, word: str) -> bool:
    texts = f"{reading.sources}\n{reading.question}\n{reading.prose}"
    return bool(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", texts, re.IGNORECASE))


def _is_subordinate(text: str, at: int, language: Language) -> bool:
    """
    Return whether a verb is likely to belong to a subordinate clause.

    Since the last comma, each word that begins such a clause takes the next verb; a relative clause ends
    with it, so that in `what has been washed cannot be returned` the second verb is of the main clause.
    """
    begin = max((match.end() for match in _CLAUSE_END.finditer(text, 0, at)), default=0)
    clause = language.asserting.sub(lambda match: " " * len(match[0]), text[begin:at])
    opened = language.subordinate.search(clause)
    return opened is not None and not language.finite.search(clause, opened.end())


def _clause(text: str, start: int, end: int) -> str:
    """Return the clause around a place without what is replaced there."""
    before = max((match.end() for match in _CLAUSE_END.finditer(text, 0, start)), default=0)
    after = _CLAUSE_END.search(text, end)
    return f"{text[before:start]}\0{text[end : after.start() if after else len(text)]}"


def _replace(reading: Reading, offset: int, match: re.Match[str], rule: Rule) -> Edit:
    start, end = offset + match.start(), offset + match.end()
    old, new = match[0], match.expand(rule.put)
    is_english = reading.language is not None and reading.language.code == "en"
    if (match.start() == 0 or is_english) and old[:1].isupper():
        if not new:
            end += 1
            new = reading.text[end - 1 : end].upper()
        new = new[:1].upper() + new[1:]
    if is_english:
        start, new = put_article_right(reading.text, start, end, new)
    shown_old, shown_new = reading.text[start:end], new
    change = (
        f"{shown_old.strip()} \u2192 {shown_new.strip()}"
        if shown_new.strip()
        else f"without {shown_old.strip()!r}"
    )
    return Edit(start=start, end=end, new=new, change=change[:_SHOWN])


def _other_agents(reading: Reading, language: Language, sentence: Sentence) -> Iterator[Edit]:
    """Yield the sentence with another who does it: one that the sources or the answer name so, too."""
    if not language.agents:
        return
    noun = f"(?P<noun>{join_words([*language.agents])})"
    named = re.compile(rf"\b(?:the|an?|our|your) {noun}\b(?![\s-]?['\u2019\w-]*['\u2019])")
    known = dict.fromkeys(match["noun"] for match in named.finditer(f"{reading.prose}\n{reading.sources}"))
    doer = noun.replace("noun", "doer")
    acting = re.compile(
        rf"\bby (?:the|an?|our|your) {noun}\b(?!['\u2019-])|\b(?:the|our|your) {doer} {_VERB}", re.IGNORECASE
    )
    for match in acting.finditer(sentence.text):
        group = "noun" if match["noun"] else "doer"
        word = match[group]
        others = [
            other
            for other in known
            if language.agents[other] != language.agents.get(word.lower()) and other not in sentence.text
        ]
        if others:
            new = choose(others, reading.seed, "agent")
            start, end = (sentence.start + match.start(group), sentence.start + match.end(group))
            start, put = put_article_right(reading.text, start, end, new)
            yield Edit(start=start, end=end, new=put, change=f"{word} \u2192 {new}")
