"""
Sentences that are a source's but for an edit which turns them: another quantifier, direction, name or order.

A sentence in other words has no edits that differ from a paraphrase, so only a sentence with most
words of one source, in their order, is compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

from pytest_llmops.metrics.facts.reading import PERIODS, TIMES
from pytest_llmops.metrics.facts.units import find_unit
from pytest_llmops.metrics.faithfulness.sentences import NEGATIONS, opposites_of
from pytest_llmops.metrics.words import FUNCTION_WORDS
from pytest_llmops.text.characters import fold_typography

EditKind = Literal["quantifier", "comparison", "swap", "name", "number", "negation"]

_ALIKE = 0.6  # of a claim's words that are the source's, in order
_NEARLY = 0.8  # the same, for an edit that a paraphrase may have made
_FEWEST_WORDS = 4
_LONGEST_EDIT = 4  # words in place of others
_LONGEST = 120  # words of a sentence
_PREFIX = 4  # letters of two forms of a name
_PART = 3  # words on a side of an edit that must be the source's

_QUANTIFIERS: Mapping[str, str] = {
    word: name
    for name, words in {
        "all": "all every each always everyone everybody everything both entirely completely",
        "most": "most mostly usually generally mainly largely typically primarily often frequently majority",
        "many": "many several numerous various multiple some sometimes much",
        "few": "few little rarely seldom hardly barely scarcely minority",
        "none": "no none never neither nobody nothing",
        "only": "only solely exclusively merely alone",
    }.items()
    for word in words.split()
}
_COMPATIBLE = (frozenset({"most", "many"}), frozenset({"all", "only"}))
_DIRECTIONS = (
    "more less", "more fewer", "most least", "before after", "until after", "until from", "above below",
    "over under", "higher lower", "greater smaller", "greater less", "larger smaller", "bigger smaller",
    "longer shorter", "earlier later", "highest lowest", "largest smallest", "biggest smallest",
    "oldest youngest", "longest shortest", "earliest latest", "first last", "best worst", "better worse",
    "faster slower", "maximum minimum", "max min", "increase decrease", "increases decreases",
    "increased decreased", "increasing decreasing", "reduce increase", "reduces increases",
    "reduced increased",
    "reducing increasing", "heavier lighter", "older younger", "cheaper dearer", "wider narrower",
    "stronger weaker", "north south", "east west", "northern southern", "eastern western", "upper lower",
    "inside outside", "within outside", "exceeds undercuts", "superior inferior", "majority minority",
)  # fmt: skip
_OPPOSED: dict[str, set[str]] = {}
for _one, _other in map(str.split, _DIRECTIONS):
    _OPPOSED.setdefault(_one, set()).add(_other)
    _OPPOSED.setdefault(_other, set()).add(_one)

_TOKEN = re.compile(r"[^\W_]+(?:['.,-][^\W_]+)*|[%$\u00a3\u20ac]")
_SEPARATES = frozenset(
    {"and", "or", "nor", "as", "well", "both", "the", "a", "an", "versus", "vs", "to", "with"}
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a sentence, folded, as it is written, and whether its capital shows a name."""

    folded: str
    written: str
    is_name: bool

    @property
    def is_number(self) -> bool:
        return any(map(str.isdigit, self.folded))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An edit that turns a sentence: the words of the claim, and those of the source in their place."""

    kind: EditKind
    text: str
    instead: str = ""


@lru_cache(maxsize=16_384)
def read_words(text: str) -> tuple[Word, ...]:
    """Return the words of a sentence; its first is a name if it is no word of grammar and has a capital."""
    folded = re.sub(
        r"(?i)\b(can|do|does|did|is|are|was|were|has|have|had|would|could|should)n't\b",
        r"\1 not",
        fold_typography(text),
    )
    words = []
    for at, match in enumerate(_TOKEN.finditer(re.sub(r"(?i)\bcannot\b", "can not", folded))):
        written = match[0].removesuffix("'s").rstrip(".,")
        lower = written.casefold()
        is_name = written[:1].isupper() and lower not in FUNCTION_WORDS and (len(written) > 1 or at > 0)
        words.append(Word(lower.replace(",", ""), written, is_name))
    return tuple(words[:_LONGEST])


def count_shared(claim: Sequence[Word], source: Sequence[Word]) -> int:
    """Return how many words of a claim a source has, at most as often as the source has them."""
    theirs = Counter(word.folded for word in source)
    return sum((Counter(word.folded for word in claim) & theirs).values())


def find_edits(claim: Sequence[Word], source: Sequence[Word]) -> Iterator[Edit]:
    """Yield edits that turn a claim which is a source's sentence, or a part of one, but for them."""
    if len(claim) < _FEWEST_WORDS or count_shared(claim, source) < _ALIKE * len(claim):
        return
    own, theirs = [word.folded for word in claim], [word.folded for word in source]
    if own == theirs:
        return
    codes = SequenceMatcher(None, theirs, own, autojunk=False).get_opcodes()
    same = sum(end - start for tag, _, _, start, end in codes if tag == "equal")
    if same >= _ALIKE * len(own):
        for at, (tag, start, end, own_start, own_end) in enumerate(codes):
            if tag == "equal":
                continue
            parts = source[start:end], claim[own_start:own_end]
            edit = _read_edit(*parts, same / len(own), _count_near(codes, at))
            if edit is not None and not _is_none(edit, *parts, source, claim):
                yield edit
    if (swapped := _find_swap(claim, source)) is not None:
        yield swapped


def _is_none(
    edit: Edit, theirs: Sequence[Word], mine: Sequence[Word], source: Sequence[Word], claim: Sequence[Word]
) -> bool:
    """Return whether the rest of the sentences shows that nothing was turned: a word only moved, say."""
    own, other = {word.folded for word in claim}, {word.folded for word in source}
    if edit.kind == "name":  # what has small letters elsewhere only begins a sentence
        small = {word.folded for word in (*claim, *source) if word.written.islower()}
        return any(word.folded in small for word in (*theirs, *mine))
    if edit.kind == "negation":
        return len(own & _NOT) == len(other & _NOT)
    if edit.kind == "quantifier" and not (theirs and mine):
        return any(word.folded in other for word in mine) or any(word.folded in own for word in theirs)
    return False


def _count_near(codes: Sequence[tuple[str, int, int, int, int]], at: int) -> int:
    """Return the number of equal words right before and behind an edit, at most `_PART` a side."""
    near = 0
    for side in (at - 1, at + 1):
        if 0 <= side < len(codes):
            near += min(codes[side][4] - codes[side][3], _PART) if codes[side][0] == "equal" else 0
        else:
            near += _PART - 1
    return near


def _read_edit(  # noqa: PLR0911 - a return a kind
    theirs: Sequence[Word], own: Sequence[Word], share: float, near: int
) -> Edit | None:
    """Return what an edit turns, or None: words that were put in, left out, or replaced."""
    if max(len(theirs), len(own)) > _LONGEST_EDIT or near < _PART:
        return None
    mine, before = {word.folded for word in own}, {word.folded for word in theirs}
    text = " ".join(word.written for word in own)
    if any(
        (_OPPOSED.get(word, set()) | set(opposites_of(word))) & before - mine
        for word in mine - before
        if word not in NEGATIONS
    ):
        return Edit(kind="comparison", text=text)
    sizes = [
        {_QUANTIFIERS[word] for word in words if word in _QUANTIFIERS}
        for words in (before - mine, mine - before)
    ]
    if (
        all(sizes)
        and not sizes[0] & sizes[1]
        and not any(sizes[0] | sizes[1] <= pair for pair in _COMPATIBLE)
    ):
        return Edit(kind="quantifier", text=text)
    if (
        len(own) == len(theirs) == 1
        and (_measures(own[0]) and _measures(theirs[0]))
        and not _is_same(own[0], theirs[0])
    ):
        return Edit(kind="number", text=text)
    if share < _NEARLY:
        return None
    if "only" in sizes[0] ^ sizes[1] and not (sizes[0] and sizes[1]) and len(mine | before) < _PART:
        return Edit(kind="quantifier", text=text or "without 'only'")
    if (
        (bool(mine & _NOT) != bool(before & _NOT))
        and len(own) + len(theirs) <= _PART
        and not _ADDS_TO_NOT & (mine | before)
    ):
        return Edit(kind="negation", text=text or "without 'not'")
    are_names = own and theirs and not mine & before and all(word.is_name for word in (*own, *theirs))
    if are_names and not _abbreviates(own, theirs):
        return Edit(kind="name", text=text, instead=" ".join(word.written for word in theirs))
    return None


_LENGTHS = frozenset(TIMES.split())


def _measures(word: Word) -> bool:
    """Return whether a word is a unit, a length of time or how often something is."""
    plain = word.folded.removesuffix("s")
    return (
        plain in _LENGTHS or word.folded in PERIODS or (len(plain) > 1 and find_unit(word.folded) is not None)
    )


def _is_same(one: Word, other: Word) -> bool:
    plain = [PERIODS.get(word.folded, word.folded).removesuffix("s") for word in (one, other)]
    units = [find_unit(word.folded) for word in (one, other)]
    return plain[0] == plain[1] or (units[0] is not None and units[0] == units[1])


_NOT = frozenset({"not", "never", "no", "without"})
_ADDS_TO_NOT = frozenset({"only", "just", "also", "longer", "less", "more", "later"})


def _abbreviates(one: Sequence[Word], other: Sequence[Word]) -> bool:
    """Return whether one name may be the other's initials, or another form of it."""
    names = ["".join(word.folded for word in words) for words in (one, other)]
    initials = {"".join(word.folded[0] for word in words) for words in (one, other) if len(words) > 1}
    return (
        bool(initials & set(names))
        or names[0][:_PREFIX] == names[1][:_PREFIX]
        or any(len(name) < _PART for name in names)
    )


def _find_swap(claim: Sequence[Word], source: Sequence[Word]) -> Edit | None:
    """
    Return the swap of two parts, if the claim has the words of a run of the source in another order.

    Parts that a conjunction joins may change places, and so may a part that only moved.
    """
    if len(claim) < _FEWEST_WORDS:
        return None
    own = [word.folded for word in claim]
    window = _find_window(own, [word.folded for word in source])
    if window is None or window == own:
        return None
    first = next(at for at, (one, other) in enumerate(zip(own, window, strict=True)) if one != other)
    last = max(at for at, (one, other) in enumerate(zip(own, window, strict=True)) if one != other) + 1
    mine, theirs = own[first:last], window[first:last]
    for size in range(1, len(mine)):
        for other_size in range(1, len(mine) - size):
            middle = mine[size : len(mine) - other_size]
            if theirs != [*mine[len(mine) - other_size :], *middle, *mine[:size]]:
                continue
            parts = {*mine[:size], *mine[len(mine) - other_size :]}
            following = own[last : last + 1]  # as in `red tents and blue tents`
            content = [word for word in middle if word not in _SEPARATES and word not in following]
            if content and not parts <= FUNCTION_WORDS:
                return Edit(kind="swap", text=" ".join(word.written for word in claim[first:last]))
    return None


def _find_window(own: Sequence[str], theirs: Sequence[str]) -> list[str] | None:
    """Return the first run of the source with the very words of the claim, in any order."""
    wanted, size = Counter(own), len(own)
    counted: Counter[str] = Counter(theirs[:size])
    for start in range(len(theirs) - size + 1):
        if start:
            counted[theirs[start - 1]] -= 1
            counted[theirs[start + size - 1]] += 1
        if +counted == wanted:
            return list(theirs[start : start + size])
    return None
