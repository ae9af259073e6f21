"""What `answers.py` knows of a language, read from `data/*.yaml`, and the language of a text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from pytest_llmops.documents.values import plain
from pytest_llmops.documents.yaml_document import read_yaml
from pytest_llmops.metrics import language as support

LANGUAGES = ("en", "de", "fr", "es", "zh")
_PATTERNS = ("unit_block", "subordinate", "asserting", "finite", "turn_off_block", "turn_on_block", "refusal")
_BEFORE_NUMBERS = ("year_before", "rising", "falling", "nearly")
_RULES = ("rates", "turn_off", "turn_on", "actors", "conditions")
_READ_AT_MOST = 4_000  # characters, to tell the language


class Rule(NamedTuple):
    r"""
    A change of wording.

    Attributes:
        find: What is replaced.
        put: What for, with groups as `\1`.
        scope: `main`: only outside subordinate clauses; `told`: only if the texts have the new word as well.
    """

    find: re.Pattern[str]
    put: str
    scope: str = ""


class Domain(NamedTuple):
    """
    Sentences that can be appended.

    Attributes:
        name: `you` for texts that speak to somebody, `told` for those that tell of the world, or a field.
        words: Of a field, in lower case; a text with some of them belongs to it.
    """

    name: str
    words: frozenset[str]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """
    The words of one language; `data/en.yaml` explains them.

    A pattern that a language has no use for matches nothing.
    """

    code: str
    words: frozenset[str]
    months: tuple[tuple[str, ...], ...]
    weekdays: tuple[str, ...]
    numbers: Mapping[int, str]
    counted: str
    range: re.Pattern[str]
    year_before: re.Pattern[str]
    rising: re.Pattern[str]
    falling: re.Pattern[str]
    nearly: re.Pattern[str]
    labels: frozenset[str]
    units: tuple[tuple[str, str], ...]
    unit_block: re.Pattern[str]
    rates: tuple[Rule, ...]
    opening: tuple[tuple[str, str], ...]
    subordinate: re.Pattern[str]
    asserting: re.Pattern[str]
    finite: re.Pattern[str]
    turn_off: tuple[Rule, ...]
    turn_off_block: re.Pattern[str]
    turn_on: tuple[Rule, ...]
    turn_on_block: re.Pattern[str]
    actors: tuple[Rule, ...]
    agents: Mapping[str, int]
    conditions: tuple[Rule, ...]
    refusal: re.Pattern[str]
    apology: str
    lies: tuple[Domain, ...]

    @property
    def is_spaced(self) -> bool:
        """Whether words have spaces between them."""
        return self.code != "zh"


@lru_cache(maxsize=len(LANGUAGES))
def read_language(code: str) -> Language:
    """Read one of `LANGUAGES`."""
    data = _read(code)
    start = "" if code == "zh" else r"(?<!\w)"
    patterns = {key: data[key] for key in _PATTERNS if key in data}
    patterns |= {key: rf"{start}(?:{data[key]})\s*\Z" for key in _BEFORE_NUMBERS if data.get(key)}
    rules = {
        key: tuple(Rule(_compile(find), put, *scope) for find, put, *scope in data[key]) for key in _RULES
    }
    compiled = dict.fromkeys((*_PATTERNS, *_BEFORE_NUMBERS), _NEVER)
    compiled |= {key: _compile(pattern) for key, pattern in patterns.items()}
    compiled["range"] = _compile(rf"\s*(?:{data['range']})\s*\Z")
    values: dict[str, Any] = {**rules, **compiled}
    return Language(
        code=code,
        words=support.known_languages()[code].function,
        months=tuple(tuple(month.split()) for month in data["months"]),
        weekdays=tuple(data["weekdays"]),
        numbers={int(number): word for number, word in data["numbers"].items()},
        counted=data.get("counted", ""),
        labels=frozenset(data["labels"].split("|")),
        units=tuple((find, put) for find, put in data["units"]),
        opening=tuple((one, other) for one, other in data["opening"]),
        agents={word: line for line, words in enumerate(data.get("agents", ())) for word in words.split()},
        apology=data["apology"],
        lies=tuple(
            Domain(lie["in"], frozenset(lie.get("when", ())), tuple(lie["say"])) for lie in data["lies"]
        ),
        **values,
    )


def detect_language(answer: str, *others: str) -> str | None:
    """
    Return one of `LANGUAGES`, or None if the answer is in another or too short to tell.

    Other texts of its case decide for an answer that has too few words.
    """
    for text in (answer, "\n".join([answer, *others])):
        if code := support.detect_language(text[:_READ_AT_MOST]):
            return code if code in LANGUAGES else None
    return None


def is_foreign(text: str) -> bool:
    """Return whether a text is in a known language that is none of `LANGUAGES`."""
    code = support.detect_language(text[:_READ_AT_MOST])
    return bool(code) and code not in LANGUAGES


def _read(name: str) -> Mapping[str, Any]:
    text = files(__package__).joinpath("data", f"{name}.yaml").read_text("utf-8")
    document, _ = read_yaml(text, file=f"{name}.yaml")
    data: Mapping[str, Any] = plain(document)
    return data


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_NEVER = re.compile(r"(?!)")


def join_words(words: Sequence[str]) -> str:
    """Return a pattern of alternatives, the longest first; one that never matches for no words."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)) or r"(?!)"
