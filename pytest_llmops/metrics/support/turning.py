"""
Turns of a claim whose words are all a source's: who does what, under which condition, before or after what.

A network that sees shares of words gives such a claim a high score. Here words of grammar are compared: only
where the same words stand on both sides of them, so that a sentence in other words is never judged by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Literal

import regex

from pytest_llmops.metrics.language import Language
from pytest_llmops.metrics.support.reading import Reading, Token

Turn = Literal["", "roles", "condition", "time", "limit", "negation", "scope", "opposite"]
Pairs = Sequence[tuple[Token, Token, float]]
"""Content words of a claim with the source's word that is most like it, and how alike they are."""

_EQUAL = 0.9
_ONE_EACH = 2  # of a word in claim and source: it is unknown which of several is meant
_SAME_VERB = 0.8  # `paid` and `pays`; `sells` and `buys` are less alike
_LONGEST = 60  # content words of a claim that is compared: time grows with their third power
_CONDITIONS = frozenset({"if", "only", "unless", "even"})
_TIMES = {"before": -1, "after": 1}
_JOINING = _CONDITIONS | _TIMES.keys()
_SHARES = frozenset({"only", "most", "some"})
_LIMITS = frozenset({"up", "down", "if", "unless"})
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_END = regex.compile(r"[,;:()]")


def find_turn(claim: Reading, source: Reading, pairs: Pairs, language: Language) -> Turn:
    """Return what a claim turns of a source that has its words; empty for none, and for other words."""
    if language.is_unspaced or len(claim.tokens) > _LONGEST:
        return ""
    mine = list(_connect(claim, language))
    known = {one.stem for one, _, likeness in pairs if likeness >= _SAME_VERB}
    if any(_exchanges_limit(one, claim, source, known, language) for one in mine):
        return "limit"
    content = {token.start for token in _list_content(claim, language)}
    stems = Counter(token.stem for reading in (claim, source) for token in reading.tokens)
    once = [pair for pair in pairs if max(stems[token.stem] for token in pair[:2]) <= _ONE_EACH]
    unmatched = content - {one.start for one, _, likeness in pairs if likeness >= _EQUAL}
    if len(unmatched) == 1 < len(content) and _opposes(min(unmatched), claim, source, language):
        return "opposite"
    if not unmatched:
        theirs = list(_connect(source, language))
        turns: dict[Turn, bool] = {
            "negation": _negates(claim, source),
            "condition": any(_turns_condition(one, other) for one in mine for other in theirs),
            "time": _turns_time(mine, theirs) or _passes_limit((claim, mine), (source, theirs), language),
            "scope": _turns_scope(claim, source),
            "roles": _exchanges_clauses(once),
        }
        for name, is_turned in turns.items():
            if is_turned:
                return name
    is_known = content <= {one.start for one, _, _ in pairs}
    return "roles" if is_known and _exchanges_roles(claim, source, once, language) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connection:
    """
    A word that joins a condition or a time to the rest of its sentence.

    Attributes:
        kind: `if`, `only`, `unless` or `even`; `before` or `after`; `until` is before, and `from` after.
        joined: Stems of the condition, or the first one of the time.
        rest: Stems of all else.
        is_joined_negated: Whether the condition is.
        is_rest_negated: Whether the rest is.
    """

    kind: str
    joined: frozenset[str]
    rest: frozenset[str]
    is_joined_negated: bool
    is_rest_negated: bool


def _connect(reading: Reading, language: Language) -> Iterator[_Connection]:
    text = reading.text
    places = _find_connectives(text, language)
    content = _list_content(reading, language)
    for start, at, kind in places:
        after = [token for token in content if token.start >= at]
        if not after:
            continue
        stop = _END.search(text, after[0].start)
        ending = _CONDITIONS if kind in _CONDITIONS else _JOINING  # a time may be a part of a condition
        ends = [place for place, _, other in places if place >= at and other in ending]
        end = min([stop.start() if stop else len(text), *ends])
        own = [token for token in after if token.start < end]
        if kind in _TIMES:
            own, end = own[:1], after[0].end
        rest = [token for token in content if token not in own]
        before = [token for token in content if token.start < start]
        neighbours = before[-1:] or [token for token in content if token.start >= end]
        clauses = {token.clause for token in (*own[:1], *neighbours[:1])}
        limits = kind == "if" and (
            language.marks["only"].search(text[start:at])
            or any(
                name == "only" and min(clauses) <= clause <= max(clauses) for name, _, clause in reading.marks
            )
        )
        yield _Connection(
            kind="only" if limits else kind,
            joined=frozenset(token.stem for token in own),
            rest=frozenset(token.stem for token in rest),
            is_joined_negated=any(token.negated for token in own[:1]),
            is_rest_negated=any(token.negated for token in neighbours[:1])
            or (not before and bool(language.negations.search(text[:start]))),
        )


@lru_cache(maxsize=4_096)
def _find_connectives(text: str, language: Language) -> Sequence[tuple[int, int, str]]:
    """Return start, end and kind of the words that join, the longest at a place; `except if` is one."""
    matches = sorted(
        (match.start(), -match.end(), kind)
        for kind, pattern in language.connectives.items()
        for match in pattern.finditer(text)
    )
    places: list[tuple[int, int, str]] = []
    for start, minus_end, kind in matches:
        if places and not text[places[-1][1] : start].strip():
            places[-1] = (places[-1][0], max(-minus_end, places[-1][1]), places[-1][2])
        else:
            places.append((start, -minus_end, kind))
    return places


def _list_content(reading: Reading, language: Language) -> list[Token]:
    """Return the content words that neither join nor turn a sentence."""
    places = _find_connectives(reading.text, language)
    return [
        token
        for token in reading.tokens
        if token.word.casefold() not in language.logic
        and not any(start <= token.start < end for start, end, _ in places)
    ]


def _turns_condition(claim: _Connection, source: _Connection) -> bool:
    """
    Compare conditions of the same words: `A unless B` is `A if not B`, and `not A unless B` is `A only if B`.

    A claim may weaken `only if` to `if`, and may say the same with two negations.
    """
    if not {claim.kind, source.kind} <= _CONDITIONS or not claim.joined or not claim.rest:
        return False
    if claim.joined <= source.rest and claim.rest <= source.joined:
        return claim.kind == source.kind != "only"  # A if B, and B if A
    if not (claim.joined <= source.joined and claim.rest <= source.rest):
        return False
    if "even" in {claim.kind, source.kind}:
        return claim.kind != source.kind and not (source.kind == "even" and claim.kind == "if")
    if claim.kind == "only" and source.kind == "if":
        return True
    return (_means_not(claim) != _means_not(source)) != (claim.is_rest_negated != source.is_rest_negated)


def _means_not(connection: _Connection) -> bool:
    return (connection.kind == "unless") != connection.is_joined_negated


def _turns_time(claim: Sequence[_Connection], source: Sequence[_Connection]) -> bool:
    """Return whether the claim puts something before what the source puts it after; `not before` is after."""

    def sides(connections: Sequence[_Connection], stem: str) -> set[int]:
        return {
            -_TIMES[one.kind] if one.is_rest_negated else _TIMES[one.kind]
            for one in connections
            if one.kind in _TIMES and stem in one.joined
        }

    stems = {stem for one in claim if one.kind in _TIMES for stem in one.joined}
    return any(sides(source, stem) and sides(claim, stem).isdisjoint(sides(source, stem)) for stem in stems)


def _passes_limit(
    claim: tuple[Reading, Sequence[_Connection]],
    source: tuple[Reading, Sequence[_Connection]],
    language: Language,
) -> bool:
    """Return whether one sentence puts something after the very time within which the other one has it."""
    after, within = [], []
    for reading, joined in (claim, source):
        later = (one for one in joined if one.kind == "after" and not one.is_rest_negated)
        after.append(_list_lengths(reading, {stem for one in later for stem in one.joined}, language))
        limits = {anchor for name, anchor, _ in reading.marks if name == "down"}
        within.append(_list_lengths(reading, limits, language))
    return any(after[one] & within[other] - within[one] - after[other] for one, other in ((0, 1), (1, 0)))


def _list_lengths(reading: Reading, stems: Collection[str], language: Language) -> set[tuple[str, str]]:
    """Return lengths of time that begin with one of the stems, as number and unit."""
    return {
        (number.stem, unit.stem)
        for number, unit in pairwise(reading.tokens)
        if number.stem in stems and unit.stem in language.stems("times")
    }


def _turns_scope(claim: Reading, source: Reading) -> bool:
    """
    Return whether the claim says of all, in the source's words, what it says of some.

    These are `only` and `most` of them, or those within a limit or under a condition whose words the claim
    leaves out; or the claim says `only` where the source says `all` of the same word, or `including` where it
    says `except`.
    """
    for one, other in (("with", "unless"), ("unless", "with")):
        claimed = {anchor for name, anchor, _ in claim.marks if name == one and anchor}
        if any(name == other and anchor in claimed for name, anchor, _ in source.marks):
            return True
    mine, theirs = ({name for name, _, _ in reading.marks} for reading in (claim, source))
    if "all" in mine - theirs:
        limits = {name for name, anchor, _ in source.marks if name in _LIMITS and anchor not in claim.stems}
        return not ((_SHARES & theirs) | limits).issubset(mine)
    only, of_all = (
        {anchor for name, anchor, _ in reading.marks if name == wanted}
        for reading, wanted in ((claim, "only"), (source, "all"))
    )
    return "only" not in theirs and "all" not in mine and not only.isdisjoint(of_all)


def _exchanges_limit(
    claim: _Connection, claimed: Reading, source: Reading, known: Collection[str], language: Language
) -> bool:
    """
    Return whether a claim that has all else of a source puts a time of its own in place of its limit of time.

    What is within 60 days is also after 30 of them, so a number must be beyond the limit.
    """
    if claim.kind not in _TIMES or not claim.rest or not claim.rest <= source.stems:
        return False
    if not claim.joined.difference(known) & _list_times(claimed, language):
        return False
    if claim.is_rest_negated != any(token.negated for token in source.tokens if token.stem in claim.rest):
        return False
    limits = {anchor for name, anchor, _ in source.marks if name in {"up", "down", *_TIMES}} - claimed.stems
    numbers = [float(stem) for stem in claim.joined if stem.isdecimal()]
    return any(
        not numbers or not limit.isdecimal() or max(numbers) > float(limit)
        for limit in limits & _list_times(source, language)
    )


def _list_times(reading: Reading, language: Language) -> set[str]:
    """Return stems of words for times, and of the words right before them, such as numbers."""
    stems: set[str] = set()
    for before, token in pairwise((None, *reading.tokens)):
        if token and token.stem in language.stems("times"):
            stems.add(token.stem)
            if before and not reading.text[before.end : token.start].strip():
                stems.add(before.stem)
    return stems


def _negates(claim: Reading, source: Reading) -> bool:
    """Return whether one clause of claim and source has all words of the claim, and only one is negated."""
    return len(claim.stems) > 1 and any(
        {token.stem for token in source.tokens if token.clause == clause} >= claim.stems
        and len({token.clause for token in claim.tokens}) == 1
        and negated != (sum(claim.negated) % 2 == 1)
        for clause, negated in enumerate(source.negated)
    )


def _opposes(start: int, claim: Reading, source: Reading, language: Language) -> bool:
    """Return whether the claim's word at a place is the opposite of one that only the source has."""
    token = next(token for token in claim.tokens if token.start == start)
    opposites = language.oppose(token.word)
    return any(
        other.stem in opposites and other.stem not in claim.stems and other.negated == token.negated
        for other in source.tokens
    )


def _exchanges_clauses(pairs: Pairs) -> bool:
    """Return whether two clauses exchange a word: A waits and B is late, for B waits and A is late."""
    clauses: dict[int, list[int]] = {}
    for one, other, _ in pairs:
        clauses.setdefault(one.clause, []).append(other.clause)
    return any(
        len({*one}) > 1 and len({*one} & {*other}) > 1 for one, other in combinations(clauses.values(), 2)
    )


def _exchanges_roles(claim: Reading, source: Reading, pairs: Pairs, language: Language) -> bool:
    """Return whether another of two words does what a third one says: `A pays B`, for `B pays A`."""
    verbs = [
        (one, other)
        for one, other, likeness in pairs
        if likeness >= _SAME_VERB
        and not any(map(language.articles.search, (_before(claim, one), _before(source, other))))
    ]
    nouns = [(one, other) for one, other, likeness in pairs if likeness >= _EQUAL]
    for (first, its), (second, their) in combinations(nouns, 2):
        for verb, same in verbs:
            mine = _find_agent(claim, (first, second), verb, language)
            actual = _find_agent(source, (its, their), same, language)
            if mine and actual and (mine[0] is first) != (actual[0] is its) and mine[1] == actual[1]:
                return True
    return False


def _before(reading: Reading, token: Token) -> str:
    return reading.text[: token.start]


def _find_agent(
    reading: Reading, nouns: tuple[Token, Token], verb: Token, language: Language
) -> tuple[Token, str] | None:
    """
    Return which of two words does what the verb between them says, None if that is unknown.

    It is the one with `by` of a passive, or else the first one, or the one in the case of a subject; with the
    preposition of the other one, if it has any.
    """
    first, last = sorted(nouns, key=lambda token: token.start)
    between = reading.text[first.end : last.start]
    if not first.start < verb.start < last.start or _END.search(between):
        return None
    agents, subjects = language.words("agents"), language.words("subjects")
    if first.clause != last.clause and not subjects:  # whose articles begin clauses, too
        return None
    marks = [_find_mark(reading, first, 0, language), _find_mark(reading, last, verb.end, language)]
    prepositions = [mark if mark in language.words("prepositions") else "" for mark in marks]
    cases = [mark in subjects for mark in marks]
    if prepositions[1] in agents and not prepositions[0] and language.passive.search(between):
        return last, ""
    if all(prepositions) or (subjects and not any(prepositions) and cases[0] == cases[1]):
        return None
    return (last if prepositions[0] or (cases[1] and not prepositions[1]) else first), "".join(prepositions)


def _find_mark(reading: Reading, noun: Token, start: int, language: Language) -> str:
    """Return the preposition before a word and its article, or else the article; empty for none."""
    mark = ""
    for match in reversed(list(_WORD.finditer(reading.text, start, noun.start))):
        word = match[0].casefold()
        if word in language.words("prepositions"):
            return word
        if mark:
            break
        if word in language.function:
            mark = word
    return mark
