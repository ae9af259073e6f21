"""What an answer is compared with: sentences of passages and of the reference, and results of tools."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from pytest_llmops.metrics.facts.values import Value, read_values
from pytest_llmops.metrics.faithfulness.sentences import AUXILIARIES, NEGATIONS, read_wording, split_sentences
from pytest_llmops.metrics.words import FUNCTION_WORDS, fold_typography, split_words
from pytest_llmops.records import Sample, ToolCall

Origin = Literal["passages", "reference", "tool_calls"]
ORIGINS: tuple[Origin, ...] = ("passages", "reference", "tool_calls")

_CLAUSE = re.compile(
    r"[;:,]\s+|\s+(?=(?:but|because|so that|unless|as long as|and|if|while|when|whether|until)\s)"
)
_CONDITION = re.compile(r"\s*(?:if|unless|as long as|when|whether|until)\s", re.IGNORECASE)
_TOKEN = re.compile(r"[^\W\d_](?:[\w'.&-]*\w)?")
_BEGINS = re.compile(
    r"(?:\A|[.:!?\"'\u201c\u2018(\[*#>|\u2022/])\s*\Z"
)  # what stands before a sentence's first word
_RUN = re.compile(r"\b[A-Z][a-z]+(?:\s+[A-Z][a-z]+)+")
_NOT_NEGATING = frozenset({"nor"})  # after `neither`
_HEADING = 0.7  # share of words with a capital, from which on capitals make no name
_PART = re.compile(r"[^\W_]+?(?:(?![^\W_])|(?<=[a-z])(?=[A-Z]))")  # `EmberStove` has two
_RUN_WORDS = 5
_LONG = 5  # letters of a name that may have an ending
_SHORT = 3  # letters of a name without a plural
_DEPTH = 6  # levels of a tool's result that are read


@dataclass(frozen=True)
class Text:
    """
    A sentence, or a clause of one, with what can be compared in it.

    Attributes:
        text: As written.
    """

    text: str

    @cached_property
    def values(self) -> tuple[Value, ...]:
        return read_values(self.text)

    @cached_property
    def stems(self) -> frozenset[str]:
        """Of the content words that are no part of a value."""
        return frozenset(read_wording(self._without_values).stems)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Words with a capital that begin no sentence, by their letters and digits; none of a heading."""
        rest = self._without_values
        tokens = list(_TOKEN.finditer(rest))
        found = [each for each in tokens if each[0][0].isupper() and not _BEGINS.search(rest[: each.start()])]
        if len(found) >= _HEADING * len(tokens):
            return {}
        parts = (part for each in found for part in re.split(r"[-/]", each[0].removesuffix("'s")))
        return {
            squash(part): part
            for part in parts
            if part[:1].isupper() and len(part) > 1 and part.lower() not in FUNCTION_WORDS
        }

    def has_name(self, name: str) -> bool:
        """
        Whether words in a row, written together, are this name: `gore tex` is `goretex`.

        A plural is its singular; a long name may have an ending of two letters, as `Europe` in `European`.
        """
        if name in self._runs:
            return True
        return len(name) >= _LONG and any(name in (each[:-1], each[:-2]) for each in self._runs)

    @cached_property
    def _runs(self) -> frozenset[str]:
        """Up to five words in a row, written together, as singulars."""
        words = [squash(word) for word in _PART.findall(self.text)]
        runs = (
            "".join(words[at:end]) for at in range(len(words)) for end in range(at + 1, at + 1 + _RUN_WORDS)
        )
        return frozenset(map(singular, runs))

    @cached_property
    def negated(self) -> bool:
        """Whether it denies what it says; two negations are none."""
        words = [each.removesuffix("'s") for each in split_words(re.sub(r"n['\u2019]t\b", " not", self.text))]
        return sum(word in NEGATIONS - _NOT_NEGATING for word in words) % 2 == 1

    @cached_property
    def is_condition(self) -> bool:
        return _CONDITION.match(self.text) is not None

    @cached_property
    def is_statement(self) -> bool:
        """Neither a condition nor an instruction (`approve it in the app`), as far as words show."""
        if self.is_condition:
            return False
        words = split_words(self.text)
        return self.negated or not words or words[0] in FUNCTION_WORDS or not AUXILIARIES.isdisjoint(words)

    def find_initials(self, names: Collection[str]) -> frozenset[str]:
        """Names whose initials are among the names: of `European Union`, if there is `eu`."""
        runs = (match[0].split() for match in _RUN.finditer(self.text))
        found = (
            [squash(word) for word in run]
            for run in runs
            if squash("".join(each[0] for each in run)) in names
        )
        return frozenset(name for run in found for name in run)

    def spells_out(self, initials: str) -> bool:
        """Whether it has words in a row that begin with these letters: `United Kingdom` of `UK`."""
        return re.search(r"\s+".join(rf"\b{letter}[a-z]+" for letter in initials), self.text) is not None

    @cached_property
    def clauses(self) -> tuple[Text, ...]:
        return tuple(map(read_text, filter(str.strip, _CLAUSE.split(self.text))))

    @cached_property
    def _without_values(self) -> str:
        text = fold_typography(self.text)
        for value in reversed(self.values):
            end = value.start + len(value.text)
            text = f"{text[: value.start]} {text[end:]}"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    Attributes:
        name: Of the passage or the tool.
    """

    content: Text
    origin: Origin
    name: str = ""


def gather_sources(sample: Sample, origins: Sequence[Origin]) -> list[Source]:
    """Each sentence and each result once, those of the reference last."""
    found: list[Source] = []
    output = sample.output
    if "passages" in origins:
        for passage in output.passages or ():
            found += [
                Source(content=read_text(each.text), origin="passages", name=passage.id)
                for each in split_sentences(passage.text)
            ]
    if "tool_calls" in origins:
        for call in output.tool_calls:
            found += [
                Source(content=read_text(text), origin="tool_calls", name=call.name)
                for text in describe_result(call)
            ]
    if "reference" in origins and sample.reference:
        found += [
            Source(content=read_text(each.text), origin="reference")
            for each in split_sentences(sample.reference)
        ]
    return list({(each.content.text, each.origin == "reference"): each for each in found}.values())


def describe_result(call: ToolCall) -> Iterator[str]:
    """A tool's result in lines of `key value, key value`, of a list one each and how many there are."""
    result = call.result
    if isinstance(result, str):
        try:
            result = json.loads(result)
        except ValueError:
            yield from (each.text for each in split_sentences(call.result))
            return
    arguments = ", ".join(_flatten(dict(call.arguments), ""))
    if isinstance(result, Mapping) and {"columns", "rows"} <= result.keys():
        result = [
            dict(zip(result["columns"], row, strict=False)) if isinstance(row, list | tuple) else row
            for row in result["rows"]
        ]
    if isinstance(result, list | tuple):
        yield f"{len(result)} results"
        for each in result:
            yield ", ".join(_flatten(each, ""))
    elif result is not None:
        yield ", ".join(filter(None, [arguments, *_flatten(result, "")]))


def _flatten(value: Any, key: str, depth: int = 0) -> Iterator[str]:
    if depth > _DEPTH:
        return
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _flatten(each, f"{key} {name}".replace("_", " ").strip(), depth + 1)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _flatten(each, key, depth + 1)
    elif value is not None and not isinstance(value, bool):
        yield f"{key} {value}".strip()


@lru_cache(maxsize=16_384)
def read_text(text: str) -> Text:
    return Text(text)


def squash(text: str) -> str:
    """Letters and digits alone, so that `MFG-E8` is `mfge8`."""
    return "".join(filter(str.isalnum, text)).casefold()


def singular(name: str) -> str:
    return name.removesuffix("s") if len(name) > _SHORT else name
