"""Words as they are compared: without endings, and weighed by how rare they are in the documents."""

from __future__ import annotations

import math
import re
import threading
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

_WORD = re.compile(r"[a-z]+-\d+|[a-z]+|\d+(?:[.,:]\d+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+(?=[A-Z])")
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a am an and any are as at be been but by can could did do does don for from get got had has "
        "have how i if in is it its ll me may more must my no not of on or our please s should so t than "
        "that the their them then there these they this to up us ve was we were what when which who will "
        "with would you your",
    )
)


def stems(text: str) -> frozenset[str]:
    """Lower-case words without endings, and without those that every sentence has; numbers as they are."""
    stem = _stemmers().english
    return frozenset(stem.stemWord(word) for word in _WORD.findall(text.lower()) if word not in _STOP)


def split(text: str) -> list[str]:
    """The sentences of the text, at least one, white space made single."""
    return _SENTENCE_END.split(" ".join(text.split()))


class Lexicon:
    """Knows how rare each word is among texts: a rare word says more of a question's subject."""

    def __init__(self, texts: Iterable[AbstractSet[str]]) -> None:
        """`texts` by their stems."""
        kept = list(texts)
        held = Counter(word for text in kept for word in text)
        self._weights = {word: math.log((len(kept) + 1) / (count + 0.5)) for word, count in held.items()}
        self._unknown = math.log(len(kept) + 1)

    def __contains__(self, word: str) -> bool:
        return word in self._weights

    def weigh(self, words: AbstractSet[str]) -> float:
        """How much the words say together; what no text has says most."""
        # Summed in a fixed order: sets are ordered anew in each process, and ties must fall alike.
        return sum(self._weights.get(word, self._unknown) for word in sorted(words))

    def share(self, asked: AbstractSet[str], held: AbstractSet[str]) -> float:
        """The share of what is asked that is held, 0 to 1."""
        whole = self.weigh(asked)
        return self.weigh(asked & held) / whole if whole else 0.0


class _Stemmers(threading.local):
    """One a thread: a stemmer keeps the word that it works on."""

    def __init__(self) -> None:
        import snowballstemmer

        self.english: Any = snowballstemmer.stemmer("english")


@cache
def _stemmers() -> _Stemmers:
    return _Stemmers()
