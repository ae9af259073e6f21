"""Sentences of a passage with one fact changed: a number, a month, a name, a negation, a direction."""

from __future__ import annotations

import random
import re
from calendar import month_name
from collections.abc import Iterator

from benchmarks.agreement.labels import Labelled, read, sample
from pytest_llmops.metrics.faithfulness.sentences import oppose, split_sentences

SEED = 7
_SENTENCES = 4  # of a passage
_MONTHS = month_name[1:]
_NAME = r"[A-Z][\w'-]+(?: (?:of |the |de )?[A-Z][\w'-]+)*"
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?!\w)")
_FIRST_YEAR, _LAST_YEAR = 1000, 2100


def altered_sentences() -> list[Labelled]:
    """Sentences of XQuAD's passages as they stand (label 1) and altered (label 0, `kind` says how)."""
    chance = random.Random(SEED)  # noqa: S311  # repeatable, not secret
    passages = [(row["id"], row["text"]) for row in read("xquad_passages")]
    found: list[Labelled] = []
    for name, text in passages:
        sentences = [each.text for each in split_sentences(text)]
        if len(sentences) < 3:
            continue
        for sentence in chance.sample(sentences, min(_SENTENCES, len(sentences))):
            others = " ".join(other for _, other in chance.sample(passages, 3))
            variants = {"same": sentence, **dict(_alter(sentence, text, others, chance))}
            found.extend(
                Labelled(
                    source="altered",
                    group=name,
                    sample=sample(each, [text]),
                    label=float(kind == "same"),
                    kind=kind,
                )
                for kind, each in variants.items()
            )
    return found


def _alter(sentence: str, passage: str, others: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    if numbers := list(_NUMBER.finditer(sentence)):
        match = chance.choice(numbers)
        yield "number", _put(sentence, match, _another_number(match[0], chance))
    if months := list(re.finditer("|".join(_MONTHS), sentence)):
        match = chance.choice(months)
        yield "month", _put(sentence, match, chance.choice([month for month in _MONTHS if month != match[0]]))
    inside = [match for match in re.finditer(_NAME, sentence) if match.start() and match[0] not in _MONTHS]
    for kind, text in (("name of the passage", passage), ("name of another", others)):
        names = [each for each in re.findall(rf"(?<=[a-z,] ){_NAME}", text) if each not in sentence]
        names = [name for name in names if kind.endswith("passage") or name not in passage]
        if inside and names:
            yield kind, _put(sentence, chance.choice(inside), chance.choice(names))
    *directions, negated = oppose(sentence)
    if not negated.startswith("It is not true"):
        yield "negation", negated
    if directions:
        yield "direction", chance.choice(directions)


def _another_number(written: str, chance: random.Random) -> str:
    value = float(written.replace(",", ""))
    if value.is_integer() and _FIRST_YEAR < value < _LAST_YEAR:
        return str(int(value) + chance.choice([-30, -11, -7, -3, 3, 5, 12, 40]))
    changed = value * chance.choice([0.5, 0.7, 1.3, 2, 3])
    return f"{changed:.1f}" if "." in written else str(max(1, round(changed)) + (round(changed) == value))


def _put(sentence: str, match: re.Match[str], instead: str) -> str:
    return sentence[: match.start()] + instead + sentence[match.end() :]
