"""A question in plain letters: short forms written out, and slips in the words that ask mended."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

from reference_app.tools.sql.linking.asides import leave_out_asides
from reference_app.tools.sql.linking.lexicon import WORD, load_lexicon, stem

_SHORT = {
    "can't": "cannot", "won't": "will not", "ain't": "is not", "what's": "what is", "minus 8": "-8",
    "minus eight": "-8", "whats": "what is", "wheres": "where is", "hows": "how is", "theres": "there is",
    "whens": "when is", "ive": "I've", "im": "I'm", "weve": "we've", "youve": "you've", "cant": "cannot",
    "wont": "will not", "dont": "do not", "doesnt": "does not", "didnt": "did not", "isnt": "is not",
    "arent": "are not", "havent": "have not", "hasnt": "has not", "u": "you",
    "teh": "the", "ur": "your",
    "plz": "please",
    "hav": "have", "gonna": "going to", "wanna": "want to", "gimme": "give me",
}  # fmt: skip
_SHORTENED = re.compile(rf"\b(?:{'|'.join(sorted(_SHORT, key=len, reverse=True))})\b", re.IGNORECASE)
# Words in which a slip is read; others are too near to words that mean something else ("cots", "dose").
_ASKING = ("how", "what", "which", "much", "many", "when", "where", "have", "please", "price", "your")


def write_plainly(question: str) -> str:
    """The question that is linked."""
    text = unicodedata.normalize("NFKC", question).translate(
        {0x2019: "'", 0x2018: "'", 0x2011: "-", 0x2212: "-"}
    )
    text = _SHORTENED.sub(lambda match: _SHORT[match[0].lower()], text)
    text = WORD.sub(lambda match: _mend(match[0]), text)
    text = re.sub(r"(?<=\d)(?=(?:kg|g|ml|l|w)\b)", " ", text)
    text = re.sub(r"n't\b", " not", text, flags=re.IGNORECASE)
    for pattern, words in load_lexicon().rewrites:
        text = pattern.sub(words, text)
    text = leave_out_asides(" ".join(text.split()))
    return " ".join(re.sub(r"'s\b", "", text).split())


def translate(question: str) -> str:
    """A question in German or Spanish with the English words for what customers ask; names are kept."""
    foreign = load_lexicon().foreign
    return _find_foreign().sub(lambda match: foreign[match[0].lower()], question)


@cache
def _find_foreign() -> re.Pattern[str]:
    phrases = sorted(load_lexicon().foreign, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, phrases))})\b", re.IGNORECASE)


@lru_cache(4096)
def _mend(word: str) -> str:
    """A question word with two letters exchanged or without its vowels: "waht", "hw", "mny"."""
    low = word.lower()
    if not low.isalpha() or low in _ASKING or stem(low) in load_lexicon().words:
        return word
    for meant in _ASKING:
        bare = meant[0] + re.sub("[aeiou]", "", meant[1:])
        exchanged = len(low) == len(meant) and low[0] == meant[0] and sorted(low) == sorted(meant)
        if exchanged or (low == bare and len(low) > 1) or (low == "pls" and meant == "please"):
            return meant
    return word
