"""`keywords`: words that an answer must contain, may choose among, or must not contain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pytest_llmops.documents.reading import BrokenValueError, Reader, list_of
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.metrics.words import quote
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Sample, Score
from pytest_llmops.text.characters import fold
from pytest_llmops.text.phrases import PlainText


def _read_word(value: Any) -> str:
    if not isinstance(value, str):
        raise BrokenValueError(f'is {value!r}; write it in quotes: "{value}"')
    if not fold(value):
        raise BrokenValueError("is a blank word, which any text would match")
    return value


def _or_several(reader: Reader) -> Reader:
    """A word, or a list of words of which one is enough."""

    def read(value: Any) -> str | tuple[str, ...]:
        if not isinstance(value, list | tuple):
            return str(reader(value))
        words: tuple[str, ...] = list_of(reader)(value)
        if not words:
            raise BrokenValueError("is an empty list, which no text would match")
        return words

    return read


Words = Annotated[tuple[str, ...], list_of(_read_word)]
Requirements = Annotated[tuple[str | tuple[str, ...], ...], list_of(_or_several(_read_word))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords(DeclaredMetric):
    """
    The share of requirements that the output meets.

    Each entry of `all` and of `none` is a requirement, `any` together is one. A keyword is found as
    whole words, whatever its case, white space, quotes and dashes, and whatever markup is around or in it;
    `5` is not found in `3.5` or `15`, and `photo*` is found in `photos`. Where a script has no spaces it is
    found anywhere, and in Korean with its particles.

    Attributes:
        all: Each must occur. An entry may be a list of words, of which one must occur.
        any: One at least must occur.
        none: None may occur.
    """

    all: Requirements = ()
    any: Words = ()
    none: Words = ()

    traits = MetricTraits(
        name="keywords",
        family="lexical",
        basis="reference",
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if not (self.all or self.any or self.none):
            raise MetricOptionError(
                'keywords needs at least one of all, any or none, for example {all: ["60 days"]}'
            )

    def measure(self, sample: Sample) -> Score:
        text = PlainText(sample.output.text)
        missing = [word for word in self.all if not _contains_any(text, word)]
        forbidden = [word for word in self.none if _contains_any(text, word)]
        lacking = () if not self.any or _contains_any(text, self.any) else self.any
        broken = len(missing) + len(forbidden) + bool(lacking)
        total = len(self.all) + len(self.none) + bool(self.any)
        reasons = (
            ("missing: ", _show(missing)),
            ("none of: ", quote(lacking)),
            ("must not contain: ", quote(forbidden)),
        )
        return self.give(
            sample,
            (total - broken) / total,
            "; ".join(f"{label}{words}" for label, words in reasons if words),
            evidence=(
                {
                    "missing": [word if isinstance(word, str) else list(word) for word in missing],
                    "none_of": list(lacking),
                    "forbidden": forbidden,
                },
            )
            if broken
            else (),
        )


def _contains_any(text: PlainText, phrases: str | Sequence[str]) -> bool:
    """Return whether the text contains the phrase, or one of the phrases."""
    return any(map(text.contains, [phrases] if isinstance(phrases, str) else phrases))


def _show(missing: Sequence[str | tuple[str, ...]]) -> str:
    """`'free', one of '60 days', 'sixty days'`: words first, then the lists."""
    words = [word for word in missing if isinstance(word, str)]
    lists = [f"one of {quote(word)}" for word in missing if not isinstance(word, str)]
    return ", ".join([*([quote(words)] if words else []), *lists])
