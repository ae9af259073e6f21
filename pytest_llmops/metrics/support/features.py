"""Features of a claim compared with one source: words that are missing, and grammar that differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_llmops.metrics.facts.values import Value, agree, compete
from pytest_llmops.metrics.language import Language, known_languages
from pytest_llmops.metrics.support.reading import Reading, Token, list_letters
from pytest_llmops.metrics.support.turning import Turn, find_turn
from pytest_llmops.models.pieces import Pieces, encode_pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

LAYER = 4  # as in faithfulness: word pieces know their sentence there, and are not yet all alike
FEATURES = (
    "missing",
    "found",
    "worst",
    "low",
    "unknown",
    "any_unknown",
    "elsewhere",
    "alike",
    "polarity",
    "negation_differs",
    "quantifier_added",
    "quantifier_dropped",
    "comparison_turned",
    "time_turned",
    "condition_turned",
    "condition_added",
    "condition_dropped",
    "modality_turned",
    "person_turned",
    "opposite",
    "out_of_clause",
    "order_turned",
    "value_missing",
    "value_other",
    "name_missing",
    "first_words_missing",
    "clause_missing",
    "clause_found",
    "condition_unfound",
    "logic_new",
    "copied",
    "edited_word",
    "edited_logic",
    "lost_logic",
    "lost_word",
    "moved_word",
)
_TURNING = (
    "polarity",
    "negation_differs",
    "comparison_turned",
    "time_turned",
    "condition_turned",
    "condition_dropped",
    "modality_turned",
)
_QUANTIFIERS = frozenset({"all", "most", "some", "only"})
_CONDITIONS = frozenset({"if", "unless", "only", "even"})
_EDITS = ("edited_word", "edited_logic", "lost_logic", "lost_word", "moved_word")
_COPIED, _ALL_COPIED = 0.5, 0.8  # share of a claim's words, in order, from which on it copies a source
_LONGEST = (
    150  # words of a sentence whose edits are looked for: a matcher's worst case grows with the third power
)
_EQUAL = 0.9
_LOW = 0.2  # quantile of a claim's words that measures the worst of them
_FROM_QUESTION = 0.85  # likeness of a word that only the question has
_UNLIKE = 0.4  # between two words of which nothing is known but their letters
_ALIKE = 0.6  # cosine from which on two words may mean the same
_PREFIX = 5  # letters that words of one family share
_NEAREST = 3
_FIRST = 2  # content words that begin a clause, where most subjects are


@dataclass(frozen=True, slots=True)
class Match:
    """
    A claim compared with one source.

    Attributes:
        row: The numbers of `FEATURES`.
        source: Index of the source.
        unfound: Words of the claim that neither a source nor the question has.
        turn: What the claim turns of the source, whose words it has.
    """

    row: tuple[float, ...]
    source: int
    unfound: tuple[str, ...]
    turn: Turn


class Texts:
    """Readings of texts with the vectors of their words, each text once."""

    def __init__(self, readings: Sequence[Reading], language: Language) -> None:
        self.language = language
        self._vectors: dict[str, Matrix] = {}
        unique = list(dict.fromkeys(reading.text for reading in readings))
        by_text = {reading.text: reading for reading in readings}
        if language.code == "en" and unique:
            for text, pieces in zip(unique, encode_pieces(unique, LAYER), strict=True):
                self._vectors[text] = _word_vectors(by_text[text].tokens, pieces)

    def vectors_of(self, readings: Sequence[Reading]) -> Matrix | None:
        """Return the vectors of the words of readings, in order; None in a language without any."""
        import numpy as np

        if self.language.code != "en":
            return None
        return np.concatenate([self._vectors[reading.text] for reading in readings])


class Sources:
    """Sentences of sources and the question, with their words, ready to be compared with any claim."""

    def __init__(self, sources: Sequence[Reading], question: Reading, texts: Texts) -> None:
        import numpy as np

        self.sources = sources
        self.question = question
        self.texts = texts
        readings = [*sources, question]
        self.ends = np.cumsum([len(reading.tokens) for reading in readings])
        self.starts = self.ends - [len(reading.tokens) for reading in readings]
        self._vectors = texts.vectors_of(readings)
        self._column: dict[str, int] = {}
        self._columns = np.array(
            [
                self._column.setdefault(token.stem, len(self._column))
                for reading in readings
                for token in reading.tokens
            ],
            dtype=np.intp,
        )
        self._family: dict[str, list[str]] = {}  # stems that begin alike
        for stem in self._column:
            self._family.setdefault(stem[:_PREFIX], []).append(stem)
        self._similar: dict[str, tuple[list[int], list[float]]] = {}
        self._values: dict[Value, list[int]] = {}  # with the places of their words in all readings
        self._in_sources: set[Value] = set()
        for at, reading in enumerate(readings):
            for value in reading.values:
                plain = replace(value, start=0)
                self._values.setdefault(plain, []).extend(
                    int(self.starts[at]) + place
                    for place, token in enumerate(reading.tokens)
                    if _is_in(token, value)
                )
                if at < len(sources):
                    self._in_sources.add(plain)

    def compare_words(self, claim: Reading) -> Matrix:
        """Return how alike each content word of a claim is to each word of all readings, 0 to 1."""
        import numpy as np

        same = np.zeros((len(claim.tokens), len(self._column)), dtype=np.float32)
        for row, token in zip(same, claim.tokens, strict=True):
            columns, likeness = self._find_similar(token.stem)
            row[columns] = likeness
        alike: Matrix = same[:, self._columns]
        own = self.texts.vectors_of([claim])
        if own is not None and self._vectors is not None:
            # Rounded, so that words that are equally alike stay so in any batch.
            cosines = np.round(own @ self._vectors.T, 3)
            alike = np.maximum(alike, np.minimum(cosines, 1))
        else:
            alike = np.maximum(alike, np.float32(_UNLIKE))
        for value in claim.values:
            own_words = [at for at, token in enumerate(claim.tokens) if _is_in(token, value)]
            theirs = [at for other, places in self._values.items() if agree(value, other) for at in places]
            alike[own_words, :] = 0.0
            alike[np.ix_(own_words, theirs)] = 1.0
        return alike

    def find_best(self, alike: Matrix) -> Matrix:
        """Return for each reading how alike its nearest word is to each word of a claim."""
        import numpy as np

        best = np.zeros((len(self.starts), alike.shape[0]), dtype=np.float32)
        filled = self.ends > self.starts
        if filled.any():
            best[filled] = np.maximum.reduceat(alike, self.starts[filled], axis=1).T
        return best

    def have(self, value: Value) -> bool:
        """Return whether a source has a value."""
        return any(agree(value, other) for other in self._in_sources)

    def _find_similar(self, stem: str) -> tuple[list[int], list[float]]:
        if stem not in self._similar:
            similar = [
                (self._column[other], likeness)
                for other in self._family.get(stem[:_PREFIX], ())
                if (likeness := compare_stems(stem, other))
            ]
            self._similar[stem] = ([at for at, _ in similar], [likeness for _, likeness in similar])
        return self._similar[stem]


def _is_in(token: Token, value: Value) -> bool:
    return token.start < value.start + len(value.text) and token.end > value.start


def _word_vectors(tokens: Sequence[Token], pieces: Pieces) -> Matrix:
    """Return a unit vector for each word: the mean of its pieces; zero for figures, which must be equal."""
    import numpy as np

    vectors = np.zeros((len(tokens), 384), dtype=np.float32)
    at = 0
    for place, token in enumerate(tokens):
        while at < len(pieces.offsets) and pieces.offsets[at][1] <= token.start:
            at += 1
        own = (
            [index for index in range(at, len(pieces.offsets)) if pieces.offsets[index][0] < token.end]
            if token.stem[:1].isalpha()
            else []
        )
        if own:
            mean = pieces.vectors[own[0] : own[-1] + 1].mean(axis=0)
            vectors[place] = mean / max(float(np.linalg.norm(mean)), 1e-6)
    return vectors


def compare_stems(one: str, other: str) -> float:
    """Return how alike two stems are by their letters, 0 to 1."""
    if one == other:
        return 1.0
    if one[:1].isdigit() or other[:1].isdigit():
        return 0.0
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    longest = max(len(one), len(other))
    return 0.9 if shared >= _PREFIX and shared >= longest - 3 and shared * 3 >= longest * 2 else 0.0


def describe(claim: Reading, sources: Sources) -> list[Match]:
    """Compare a claim with each of the sources that are nearest to it, best first."""
    if not claim.tokens or not sources.sources:
        return []
    comparison = _Comparison(claim, sources)
    return [comparison.describe(at) for at in comparison.list_nearest()]


class _Comparison:
    """A claim and its sources, with how alike their words are."""

    def __init__(self, claim: Reading, sources: Sources) -> None:
        import numpy as np

        self._claim = claim
        self._sources = sources
        self._language = sources.texts.language
        self._alike = sources.compare_words(claim)
        best = sources.find_best(self._alike)
        self._best = best[:-1]  # shape (sources, tokens)
        best_in_question = best[-1]
        self._in_question = np.where(best_in_question >= _EQUAL, best_in_question, 0.0)
        self._anywhere = np.maximum(self._best.max(axis=0), self._in_question)

    def list_nearest(self) -> list[int]:
        """Return the sources that have most of the claim's words, best first."""
        import numpy as np

        shared = (self._best >= _EQUAL).mean(axis=1) + self._best.mean(axis=1)
        return [int(at) for at in np.argsort(-shared, kind="stable")[:_NEAREST]]

    def describe(self, at: int) -> Match:
        """Compare the claim with one source."""
        import numpy as np

        claim, source, question = self._claim, self._sources.sources[at], self._sources.question
        alike, best = self._alike[:, self._sources.starts[at] : self._sources.ends[at]], self._best[at]
        here = np.maximum(best, _FROM_QUESTION * self._in_question)
        has = [place for place in range(len(claim.tokens)) if alike.shape[1] and best[place] >= _ALIKE]
        values: dict[str, float] = {
            "missing": float((here < _ALIKE).mean()),
            "found": float((best >= _EQUAL).mean()),
            "worst": float(here.min()),
            "low": float(np.quantile(here, _LOW)),
            "unknown": float((self._anywhere < _ALIKE).mean()),
            "any_unknown": float((self._anywhere < _ALIKE).any()),
            "elsewhere": float(((here < _ALIKE) & (self._anywhere >= _EQUAL)).mean()),
            "alike": float(here.mean()),
            **_grammar(claim, source, [(place, int(alike[place].argmax())) for place in has], question),
            **_clauses(claim, source, here, self._language),
            **_edits(claim, source, here, self._language),
            **self._describe_values(source),
        }
        unfound = tuple(
            token.word
            for token, similar in zip(claim.tokens, self._anywhere, strict=True)
            if similar < _ALIKE
        )
        pairs = [
            (claim.tokens[place], source.tokens[other], float(alike[place, other]))
            for place in has
            for other in [int(alike[place].argmax())]
        ]
        turn = find_turn(claim, source, pairs, self._language)
        return Match(tuple(values[name] for name in FEATURES), at, unfound, turn)

    def _describe_values(self, source: Reading) -> dict[str, float]:
        """Describe values and names that all sources lack, and values of which this one has another."""
        missing = other = False
        for value in self._claim.values:
            if _has(source, value) or _has(self._sources.question, value):
                continue
            if self._sources.have(value):
                other = other or any(compete(value, rival) for rival in source.values)
            else:
                missing = True
        names = [
            similar < _EQUAL
            for token, similar in zip(self._claim.tokens, self._anywhere, strict=True)
            if token.word[:1].isupper() and token.start
        ]
        return {
            "value_missing": float(missing),
            "value_other": float(other),
            "name_missing": float(any(names)),
        }


def _has(reading: Reading, value: Value) -> bool:
    return any(agree(value, other) for other in reading.values)


def _clauses(claim: Reading, source: Reading, here: Matrix, language: Language) -> dict[str, float]:
    """Describe the clause of a claim that has least of a source, and words that turn and are not in it."""
    places: dict[int, list[int]] = {}
    for at, token in enumerate(claim.tokens):
        places.setdefault(token.clause, []).append(at)
    missing = {clause: float((here[own] < _ALIKE).mean()) for clause, own in places.items()}
    unfound = {clause: float((here[own] < _FROM_QUESTION).mean()) for clause, own in places.items()}
    conditions = {clause for name, _, clause in claim.marks if name in _CONDITIONS}
    turning = set(claim.words) & language.logic
    return {
        "clause_missing": max(missing.values()),
        "clause_found": 1 - max(unfound.values()),
        "condition_unfound": max((unfound[clause] for clause in conditions & unfound.keys()), default=0.0),
        "logic_new": len(turning - set(source.words)) / max(len(turning), 1),
    }


def _edits(claim: Reading, source: Reading, here: Matrix, language: Language) -> dict[str, float]:
    """
    Describe how a claim that copies most of a source changes it.

    It may have a new word, one that turns it, a lost one, and one in another place.

    Each is weighted by how much is copied: other words say nothing of a sentence that was written anew.
    """
    blocks = SequenceMatcher(
        None, claim.words[:_LONGEST], source.words[:_LONGEST], autojunk=False
    ).get_matching_blocks()[:-1]
    copied = sum(block.size for block in blocks) / max(len(claim.words[:_LONGEST]), 1)
    close = min(max((copied - _COPIED) / (_ALL_COPIED - _COPIED), 0.0), 1.0)
    if not close:
        return {"copied": copied, **dict.fromkeys(_EDITS, 0.0)}
    mine, theirs = (
        set(range(len(claim.words[:_LONGEST]))),
        set(range(blocks[0].b, blocks[-1].b + blocks[-1].size)),
    )
    for block in blocks:
        mine -= set(range(block.a, block.a + block.size))
        theirs -= set(range(block.b, block.b + block.size))
    added = {claim.words[at] for at in mine}
    lost = {source.words[at] for at in theirs}
    content = {token.stem for token in claim.tokens}
    unlike = {token.stem for token, similar in zip(claim.tokens, here, strict=True) if similar < _EQUAL}
    edits = {
        "edited_word": bool(added & unlike),
        "edited_logic": bool((added & language.logic) - lost),
        "lost_logic": bool((lost & language.logic) - added),
        "lost_word": bool((lost & source.stems) - added),
        "moved_word": bool(added & content & source.stems),
    }
    return {"copied": copied, **{name: close * float(value) for name, value in edits.items()}}


def _grammar(
    claim: Reading, source: Reading, matched: Sequence[tuple[int, int]], question: Reading
) -> dict[str, float]:
    pairs = [(claim.tokens[one], source.tokens[other]) for one, other in matched]
    own, theirs = _marks(claim), _marks(source)
    clause_pairs = _pair_clauses(claim, pairs)
    return {
        "polarity": _share([one.negated != other.negated for one, other in pairs]),
        "negation_differs": float(
            any(claim.negated[mine] != source.negated[other] for mine, other in clause_pairs.items())
        ),
        "quantifier_added": float(bool(_QUANTIFIERS & own.keys() - theirs.keys())),
        "quantifier_dropped": float(bool({"most", "some", "only"} & theirs.keys() - own.keys())),
        "comparison_turned": _turned(own, theirs, "up", "down"),
        "time_turned": _turned(own, theirs, "before", "after"),
        "condition_turned": max(
            _turned(own, theirs, "if", "even"),
            _turned(own, theirs, "if", "unless"),
            _turned(own, theirs, "unless", "even"),
            _turned(own, theirs, "only", "even"),
            _turned(own, theirs, "with", "unless"),
        ),
        "condition_added": float(bool(_CONDITIONS & own.keys() - theirs.keys())),
        "condition_dropped": _dropped(claim, source, question),
        "modality_turned": max(
            _turned(own, theirs, "must", "neednot"),
            _turned(own, theirs, "may", "cannot"),
            _turned(own, theirs, "must", "may"),
            _turned(own, theirs, "neednot", "cannot"),
        ),
        "person_turned": _share(
            [one.person != other.person for one, other in pairs if one.person and other.person]
        ),
        "opposite": _oppose(claim, source),
        "out_of_clause": _out_of_clause(claim, pairs),
        "order_turned": _order(matched),
        "first_words_missing": _first_words(claim, source, pairs),
    }


def keeps_grammar(claim: Reading, source: Reading, *, is_record: bool) -> bool:
    """
    Return whether a claim negates, limits and joins the words of a source as the source does.

    Args:
        is_record: The source is a record, which has no grammar but its negations.
    """
    theirs = {token.stem: token for token in source.tokens}
    pairs = [(token, theirs[token.stem]) for token in claim.tokens if token.stem in theirs]
    if is_record:
        return not any(other.negated and not one.negated for one, other in pairs)
    places = [(claim.tokens.index(one), source.tokens.index(other)) for one, other in pairs]
    grammar = _grammar(claim, source, places, claim)
    only = "only" in _marks(source).keys() - _marks(claim).keys()
    return not only and not any(grammar[name] for name in _TURNING)


def _marks(reading: Reading) -> dict[str, set[str]]:
    marks: dict[str, set[str]] = {}
    for name, anchor, _ in reading.marks:
        marks.setdefault(name, set()).add(anchor)
    return marks


def _turned(own: Mapping[str, set[str]], theirs: Mapping[str, set[str]], one: str, other: str) -> float:
    """Return 1 if the claim has one mark and the source the other: in one place, or neither has both."""
    for mine, yours in ((one, other), (other, one)):
        if mine not in own or yours not in theirs:
            continue
        if mine not in theirs and yours not in own:
            return 1.0
        if own[mine] & theirs[yours] - theirs.get(mine, set()):
            return 1.0
    return 0.0


def _pair_clauses(claim: Reading, pairs: Sequence[tuple[Token, Token]]) -> dict[int, int]:
    """Return for each clause of a claim the one of the source with most of its words, if half of them."""
    chosen: dict[int, int] = {}
    for clause in range(len(claim.negated)):
        size = sum(token.clause == clause for token in claim.tokens)
        others = [other.clause for one, other in pairs if one.clause == clause]
        if size and others:
            best = max(set(others), key=lambda at: (others.count(at), -at))
            if others.count(best) * 2 >= size:
                chosen[clause] = best
    return chosen


def _dropped(claim: Reading, source: Reading, question: Reading) -> float:
    """Return 1 if a condition of the source has none of the words of claim and question."""
    known = claim.stems | question.stems
    for name, _, clause in source.marks:
        if name in {"if", "unless"}:
            words = {token.stem for token in source.tokens if token.clause == clause}
            if words and not words & known:
                return 1.0
    return 0.0


def _oppose(claim: Reading, source: Reading) -> float:
    """Return 1 if the source has the opposite of a word that only the claim has."""
    english = known_languages()["en"]  # in any language: the weights were fitted to it
    own, theirs = list_letters(claim), list_letters(source)
    for word in own - theirs:
        if not theirs.isdisjoint(english.list_opposites(word)):
            return 1.0
    return 0.0


def _out_of_clause(claim: Reading, pairs: Sequence[tuple[Token, Token]]) -> float:
    """Return the share of words that the source has in other clauses than most words of their clause."""
    strays = 0
    for clause in {one.clause for one, _ in pairs}:
        others = [other.clause for one, other in pairs if one.clause == clause]
        strays += len(others) - max(others.count(at) for at in set(others))
    return strays / len(claim.tokens)


def _order(matched: Sequence[tuple[int, int]]) -> float:
    """Return the share of neighbours that the source has the other way round."""
    steps = [later[1] - earlier[1] for earlier, later in pairwise(matched)]
    return sum(step < 0 for step in steps) / len(steps) if steps else 0.0


def _first_words(claim: Reading, source: Reading, pairs: Sequence[tuple[Token, Token]]) -> float:
    """Return the share of clauses whose first content word begins no clause of the source."""
    heads: dict[int, Token] = {}
    for token in claim.tokens:
        heads.setdefault(token.clause, token)
    beginnings = set()
    for clause in range(len(source.negated)):
        beginnings |= {token.stem for token in [t for t in source.tokens if t.clause == clause][:_FIRST]}
    partner = {id(one): other for one, other in pairs}
    missed = [not (id(head) in partner and partner[id(head)].stem in beginnings) for head in heads.values()]
    return _share(missed)


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
