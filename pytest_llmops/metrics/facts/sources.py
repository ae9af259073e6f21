"""Texts with the facts in them, and the sources of a sample: passages, reference and results of tools."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from pytest_llmops.metrics.facts.reading import read_all
from pytest_llmops.metrics.facts.values import Value
from pytest_llmops.metrics.faithfulness.sentences import (
    AUXILIARIES,
    HEADING,
    NEGATIONS,
    read_wording,
    split_sentences,
)
from pytest_llmops.metrics.words import FUNCTION_WORDS
from pytest_llmops.records import Sample, ToolCall
from pytest_llmops.text.characters import fold_typography
from pytest_llmops.text.words import split_words

Origin = Literal["passages", "reference", "tool_calls"]
ORIGINS: tuple[Origin, ...] = ("passages", "reference", "tool_calls")

_CLAUSE = re.compile(
    r"[;:,]\s+|\s+(?=(?:but|because|so that|unless|as long as|and|if|while|when|whether|until)\s)"
)
_CONDITION = re.compile(r"\s*(?:if|unless|as long as|when|whether|until)\s", re.IGNORECASE)
_TOKEN = re.compile(r"[^\W\d_](?:[\w'.&-]*\w)?")
_BEFORE_FIRST_WORD = re.compile(r"(?:\A|[.:!?\"'\u201c\u2018(\[*#>|\u2022/])\s*\Z")
_RUN = re.compile(r"\b[A-Z][a-z]+(?:\s+[A-Z][a-z]+)+")
_PART = re.compile(r"[^\W_]+?(?:(?![^\W_])|(?<=[a-z])(?=[A-Z]))")  # `EmberStove` has two
_RUN_WORDS = 5
_LONG = 5  # letters of a name that may have an ending
_SHORT = 3  # letters of a name without a plural
_BEFORE_STEMS = 3  # words between a negation and what it denies
_DEPTH = 6  # levels of a tool's result that are read


# None of them is part of a name, as `von der` is.
_GERMAN = frozenset(
    re.findall(
        r"\S+",
        "aber auch auf aus bei beim bis das dass die durch eine einem einen einer für gibt gilt hat haben "
        "ihr ihre ihren ist kann kein keine keinen können mit nach nicht noch oder sich sie sind über und "
        "wenn werden wie wir wird",
    )
)


def gives_nouns_capitals(text: str) -> bool:
    """Return whether a text is German by its words of grammar, so that a capital marks no name."""
    words = split_words(text)
    return sum(word in _GERMAN for word in words) > sum(word in FUNCTION_WORDS for word in words)


@dataclass(frozen=True)
class Text:
    """
    A sentence, or a clause of one, with the facts in it.

    Words, names and negations are not those of `read_wording`, to which the weights of `faithfulness` were
    fitted: one reading for both would change scores.
    """

    text: str

    @cached_property
    def values(self) -> tuple[Value, ...]:
        return read_all(self.text)

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of the content words outside of values."""
        return frozenset(read_wording(self._without_values).stems)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Words with a capital that begin no sentence, by their letters and digits; none of a heading."""
        rest = self._without_values
        tokens = list(_TOKEN.finditer(rest))
        capitals = [
            token[0]
            for token in tokens
            if token[0][0].isupper() and not _BEFORE_FIRST_WORD.search(rest[: token.start()])
        ]
        if len(capitals) >= HEADING * len(tokens):
            return {}
        parts = (part for word in capitals for part in re.split(r"[-/]", word.removesuffix("'s")))
        return {
            _squash(part): part
            for part in parts
            if part[:1].isupper() and len(part) > 1 and part.lower() not in FUNCTION_WORDS
        }

    def has_name(self, name: str) -> bool:
        """
        Return whether words in a row, written together, are this name: `gore tex` is `goretex`.

        A plural is its singular; a long name may have an ending of two letters, as `Europe` in `European`.
        """
        name = _singular(name)
        if name in self._runs:
            return True
        return len(name) >= _LONG and any(name in (run[:-1], run[:-2]) for run in self._runs)

    @cached_property
    def _runs(self) -> frozenset[str]:
        """Up to five words in a row, written together, as singulars."""
        words = [_squash(word) for word in _PART.findall(self.text)]
        runs = (
            "".join(words[at:end]) for at in range(len(words)) for end in range(at + 1, at + 1 + _RUN_WORDS)
        )
        return frozenset(map(_singular, runs))

    @cached_property
    def _words(self) -> tuple[str, ...]:
        plain = re.sub(r"n['\u2019]t\b", " not", self.text)
        return tuple(word.removesuffix("'s") for word in split_words(plain))

    @cached_property
    def negated(self) -> bool:
        """It has a negation that no second one undoes; `nor` after `neither` is none."""
        return sum(word in NEGATIONS and word != "nor" for word in self._words) % 2 == 1

    def negates(self, stems: frozenset[str]) -> bool:
        """Return whether its negation is among these stems, or right before them: it denies these."""
        words = self._words
        places = [at for at, word in enumerate(words) if not stems.isdisjoint(read_wording(word).stems)]
        firsts = {read_wording(words[at]).stems: at for at in reversed(places)}.values()
        if not firsts:
            return False
        first, last = min(firsts) - _BEFORE_STEMS, max(firsts)
        return any(first <= at <= last for at, word in enumerate(words) if word in NEGATIONS)

    @cached_property
    def is_condition(self) -> bool:
        return _CONDITION.match(self.text) is not None

    @cached_property
    def is_statement(self) -> bool:
        """It is neither a condition nor an instruction (`approve it in the app`), as far as words show."""
        words = self._words
        return not self.is_condition and (
            self.negated or not words or words[0] in FUNCTION_WORDS or not AUXILIARIES.isdisjoint(words)
        )

    def find_initials(self, names: Collection[str]) -> frozenset[str]:
        """Return names whose initials are among `names`: of `European Union`, if there is `eu`."""
        runs = (match[0].split() for match in _RUN.finditer(self.text))
        known = (run for run in runs if _squash("".join(word[0] for word in run)) in names)
        return frozenset(_squash(word) for run in known for word in run)

    def spells_out(self, initials: str) -> bool:
        """Return whether words in a row begin with these letters: `United Kingdom` with `UK`."""
        pattern = r"[\s-]+".join(rf"\b(?i:{letter})[a-z]+" for letter in initials)
        return re.search(pattern, self.text) is not None

    @cached_property
    def clauses(self) -> tuple[Text, ...]:
        return tuple(map(read_text, filter(str.strip, _CLAUSE.split(self.text))))

    @cached_property
    def _without_values(self) -> str:
        text = fold_typography(self.text)
        for value in reversed(self.values):
            text = f"{text[: value.start]} {text[value.start + len(value.text) :]}"
        return text


@lru_cache(maxsize=16_384)
def read_text(text: str) -> Text:
    return Text(text)


def _squash(text: str) -> str:
    """Keep letters and digits, so that `MFG-E8` is `mfge8`."""
    return "".join(filter(str.isalnum, text)).casefold()


def _singular(name: str) -> str:
    return name.removesuffix("s") if len(name) > _SHORT else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    A text that an answer is compared with.

    Attributes:
        name: Of the passage or the tool.
    """

    content: Text
    origin: Origin
    name: str = ""


def gather_sources(
    sample: Sample, origins: Collection[str], read: Callable[[str], str] = str
) -> list[Source]:
    """
    Return each sentence and each result once, those of the reference last.

    Args:
        read: Applied to each text before it is split into sentences.
    """
    output = sample.output
    texts: list[tuple[str, Origin, str]] = []
    if "passages" in origins:
        texts += [
            (sentence.text, "passages", passage.id)
            for passage in output.passages or ()
            for sentence in split_sentences(read(passage.text))
        ]
    if "tool_calls" in origins:
        texts += [
            (text, "tool_calls", call.name)
            for call in output.tool_calls
            for text in map(read, _describe_result(call))
        ]
    if "reference" in origins:
        texts += [
            (sentence.text, "reference", "") for sentence in split_sentences(read(sample.reference or ""))
        ]
    unique = {(text, origin == "reference"): (text, origin, name) for text, origin, name in texts}
    return [
        Source(content=read_text(text), origin=origin, name=name) for text, origin, name in unique.values()
    ]


def _describe_result(call: ToolCall) -> Iterator[str]:
    """Yield a tool's result in lines of `key value, key value`, for a list one each and their number."""
    result = read_record(call)
    if result is None and isinstance(call.result, str):
        yield from (sentence.text for sentence in split_sentences(call.result))
        return
    if isinstance(result, Mapping) and {"columns", "rows"} <= result.keys():
        result = [
            dict(zip(result["columns"], row, strict=False)) if isinstance(row, list | tuple) else row
            for row in result["rows"]
        ]
    if isinstance(result, list | tuple):
        yield f"{len(result)} results"
        yield from (", ".join(flatten(row)) for row in result)
    elif result is not None:
        yield ", ".join(filter(None, [*flatten(call.arguments), *flatten(result)]))


def read_record(call: ToolCall) -> Any:
    """Return the result of a call, parsed if it is JSON; None for prose."""
    if not isinstance(call.result, str):
        return call.result
    try:
        return json.loads(call.result)
    except (ValueError, RecursionError):
        return None


def flatten(value: Any, key: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the values of a record with their keys: `key value`, and the key alone of what is true."""
    if depth > _DEPTH:
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from flatten(item, f"{key} {name}".replace("_", " ").strip(), depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from flatten(item, key, depth + 1)
    elif value is not None and value is not False and (key or value is not True):
        yield f"{key} {'' if value is True else value}".strip()
