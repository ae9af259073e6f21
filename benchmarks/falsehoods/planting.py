"""
Falsehoods planted in answers and sentences of public sets: one fact of each is changed, of eight kinds.

Answers are CLAPNQ's, which people wrote and which stand in their passage, sentences of XQuAD's passages, and
supported answers of MTRAG and claims of SciFact. The sets are read from the folder that `agreement.labels`
names. Rules were developed on the documents of the half `dev`; the half `held` is for reports.
"""

from __future__ import annotations

import random
import re
from calendar import month_name
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from typing import Literal

from benchmarks.agreement.labels import read, sample
from pytest_llmops.metrics.faithfulness.sentences import split_sentences
from pytest_llmops.records import Sample

SEED = 11
OF_A_KIND = 25
SUPPORTED = 0.8  # of MTRAG's labels, a mean of people's marks
LONG = 2  # sentences of a long answer

Half = Literal["dev", "held"]
Kind = Literal["number", "date", "name", "unit", "negation", "quantifier", "comparative", "swap"]
KINDS: tuple[Kind, ...] = (
    "number", "date", "name", "unit", "negation", "quantifier", "comparative", "swap",
)  # fmt: skip

OF_A_DOCUMENT = defaultdict(lambda: 1, unit=3)
"""How many falsehoods of a kind one document gets at most: few have a unit."""

_MONTHS = month_name[1:]
_YEAR = r"(?<![\w.,$£€])(?:1[0-9]|20)\d\d(?![\w.%])"
_DATE = re.compile(rf"{_YEAR}|\b(?:{'|'.join(month for month in _MONTHS if month != 'May')})\b")
_WORDS = re.findall(
    r"\w+", "two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty"
)
_NUMBER = re.compile(rf"(?<![\w.,/-])\d[\d,]*(?:\.\d+)?(?![\w/-])|(?i:\b(?:{'|'.join(_WORDS)})\b)")
_NAME = re.compile(r"\b[A-Z][a-z][\w'-]+(?: (?:of |the |de )?[A-Z][\w'-]+)*")
_UNITS = (
    "million billion", "thousand million", "km miles", "kilometres miles", "kilometers miles", "miles km",
    "metres feet", "meters feet", "feet metres", "m ft", "ft m", "years months", "year month", "months years",
    "month week", "months weeks", "days weeks", "day week", "weeks days", "week day", "hours minutes",
    "hour minute", "minutes hours", "minutes seconds", "seconds minutes", "kg lbs", "kg g", "g kg", "mg g",
    "mm cm", "cm mm", "acres hectares", "hectares acres", "percent million", "per&cent degrees", "% kg",
    "$ €", "£ $", "€ £", "decades centuries", "centuries decades", "century decade", "inches feet",
    "tons kilograms", "tonnes kilograms", "nm mm", "MB GB", "GB MB", "kW MW", "MW kW", "°C °F", "mph km/h",
)  # fmt: skip
_QUANTIFIERS = (
    "all some", "all few", "some all", "many few", "most few", "few many", "every no", "each no",
    "always rarely", "usually rarely", "often never", "sometimes always", "several no", "both neither",
    "only also", "mostly rarely", "mainly rarely", "any no", "some no", "all none", "never always",
)  # fmt: skip
_COMPARATIVES = (
    "more less", "more fewer", "less more", "fewer more", "before after", "after before",
    "higher lower", "lower higher", "larger smaller", "smaller larger", "greater smaller", "longer shorter",
    "at&least at&most", "at&most at&least", "above below", "below above", "over under", "earlier later",
    "later earlier", "increase decrease", "increases decreases", "increased decreased",
    "reduces increases", "reduced increased", "decreases increases", "decreased increased",
    "highest lowest", "largest smallest", "most&of little&of", "oldest youngest", "first last",
    "best worst", "better worse", "faster slower", "until after",
)  # fmt: skip
_JOINING = frozenset({"and", "or", "the", "a", "in", "of", "to", "as", "well"})
_NEGATIONS = (
    "is is&not", "are are&not", "was was&not", "were were&not", "can cannot", "has has&not", "had had&not",
    "have have&not", "will will&not", "could could&not", "may may&not", "should should&not",
    "is&not is", "was&not was", "not ", "cannot can", "does&not does", "did&not did",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that its contexts support."""

    source: str
    document: str
    text: str
    contexts: tuple[str, ...]
    turns: tuple[str, ...] = ()

    @property
    def half(self) -> Half:
        return "held" if sha256(self.document.encode()).digest()[0] % 2 else "dev"

    @property
    def is_long(self) -> bool:
        return self.source != "XQuAD" and len(split_sentences(self.text)) >= LONG

    def as_sample(self, text: str = "") -> Sample:
        return sample(text or self.text, list(self.contexts), input=list(self.turns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A falsehood, and the answer that it was planted in."""

    kind: Kind
    answer: Answer
    text: str


def list_answers(half: Half) -> list[Answer]:
    """Answers and sentences of one half of the documents, each supported by its contexts."""
    answers = [
        Answer(
            source="CLAPNQ",
            document=row["title"],
            text=row["reference"],
            contexts=(" ".join(row["contexts"]),),
            turns=(row["input"],),
        )
        for row in read("clapnq")
        if row["rationale"]
    ]
    answers += [
        Answer(
            source="MTRAG",
            document=row["conversation"],
            text=row["output"],
            contexts=tuple(row["contexts"]),
            turns=(*(text for _, text in row["history"]), row["input"]),
        )
        for row in read("mtrag")
        if (row["label"]["faithfulness"] - 1) / 3 >= SUPPORTED
    ]
    answers += [
        Answer(
            source="SciFact", document=row["document"], text=row["output"], contexts=tuple(row["contexts"])
        )
        for row in read("scifact_faithfulness")
        if row["label"] == "SUPPORT"
    ]
    for row in read("xquad_passages"):
        answers += [
            Answer(source="XQuAD", document=row["id"], text=sentence.text, contexts=(row["text"],))
            for sentence in split_sentences(row["text"])
        ]
    return [answer for answer in answers if answer.half == half and answer.contexts]


def plant(half: Half) -> list[Planted]:
    """`OF_A_KIND` falsehoods of each kind, at most one of a kind in each document, sets in turn."""
    chance = random.Random(SEED)  # noqa: S311  # repeatable, not secret
    answers = list_answers(half)
    chance.shuffle(answers)
    names = sorted({name for answer in answers for name in _names_in(answer.text) if _is_name(name, answer)})
    planted: list[Planted] = []
    for kind in KINDS:
        own: dict[str, list[Planted]] = {}
        documents: Counter[str] = Counter()
        for answer in answers:
            changed = list(_CHANGES[kind](answer, names, chance))
            changed = [
                text for text in changed if text != answer.text and text not in " ".join(answer.contexts)
            ]
            if changed and documents[answer.document] < OF_A_DOCUMENT[kind]:
                documents[answer.document] += 1
                made = Planted(kind=kind, answer=answer, text=chance.choice(changed))
                own.setdefault(answer.source, []).append(made)
        turns = [made for row in _transpose(list(own.values())) for made in row]
        planted += turns[:OF_A_KIND]
    return planted


def _transpose(lists: Sequence[Sequence[Planted]]) -> Iterator[list[Planted]]:
    for at in range(max(map(len, lists), default=0)):
        yield [own[at] for own in lists if at < len(own)]


def _names_in(text: str) -> Iterator[str]:
    for match in _NAME.finditer(text):
        if match.start() and match[0] not in _MONTHS:
            yield match[0]


def _put(text: str, match: re.Match[str], instead: str) -> str:
    return text[: match.start()] + instead + text[match.end() :]


def _change_numbers(answer: Answer, _: Sequence[str], chance: random.Random) -> Iterator[str]:
    for match in _NUMBER.finditer(answer.text):
        written = match[0]
        if re.fullmatch(_YEAR, written):
            continue
        if written[0].isalpha():
            other = chance.choice([word for word in _WORDS if word != written.lower()])
        else:
            value = float(written.replace(",", ""))
            changed = value * chance.choice([0.5, 0.7, 1.3, 2, 3])
            other = (
                f"{changed:.1f}"
                if "." in written
                else str(max(1, round(changed)) + (round(changed) == value))
            )
        if not re.search(rf"(?<!\d){re.escape(other)}(?!\d)", " ".join(answer.contexts)):
            yield _put(answer.text, match, other)


def _change_dates(answer: Answer, _: Sequence[str], chance: random.Random) -> Iterator[str]:
    for match in _DATE.finditer(answer.text):
        if match[0][0].isdigit():
            other = str(int(match[0]) + chance.choice([-30, -11, -7, -3, -1, 2, 3, 5, 12]))
        else:
            other = chance.choice([month for month in _MONTHS if month != match[0]])
        if other not in " ".join(answer.contexts):
            yield _put(answer.text, match, other)


def _change_names(answer: Answer, names: Sequence[str], chance: random.Random) -> Iterator[str]:
    for match in _NAME.finditer(answer.text):
        if match[0] in _MONTHS or not _is_name(match[0], answer):
            continue
        other = chance.choice(names)
        if not set(other.split()) & set(" ".join([answer.text, *answer.contexts]).split()):
            yield _put(answer.text, match, other)


def _swapper(pairs: Sequence[str], before: str = r"\b", after: str = r"\b") -> Callable[..., Iterator[str]]:
    def change(answer: Answer, _: Sequence[str], __: random.Random) -> Iterator[str]:
        for pair in pairs:
            one, other = (word.replace("&", " ") for word in pair.split(" "))
            for match in re.finditer(rf"{before}{re.escape(one)}{after}", answer.text, re.IGNORECASE):
                instead = other.capitalize() if match[0][0].isupper() and match.start() == 0 else other
                yield re.sub(r"  +", " ", _put(answer.text, match, instead))

    return change


def _change_units(answer: Answer, _: Sequence[str], __: random.Random) -> Iterator[str]:
    for pair in _UNITS:
        one, other = (word.replace("&", " ") for word in pair.split(" "))
        is_sign = one in "$£€"
        pattern = rf"{re.escape(one)}(?=\s?\d)" if is_sign else rf"(?<=\d)(?: |-)?{re.escape(one)}(?!\w)"
        for match in re.finditer(pattern, answer.text):
            gap = match[0][: len(match[0]) - len(one)]
            yield _put(answer.text, match, f"{gap}{other}")


def _is_name(written: str, answer: Answer) -> bool:
    """Return whether it stands inside a sentence too, so that it is no word that only begins one."""
    return re.search(rf"[a-z,] {re.escape(written)}\b", " ".join([answer.text, *answer.contexts])) is not None


def _change_swaps(answer: Answer, _: Sequence[str], __: random.Random) -> Iterator[str]:
    """Two names, or two numbers, of one sentence change places, but for those that `and` joins."""
    for sentence in split_sentences(answer.text):
        for pattern in (_NAME, _NUMBER):
            for one, other in combinations(pattern.finditer(sentence.text), 2):
                between = sentence.text[one.end() : other.start()]
                words = re.findall(r"[a-z]+", between)
                if (
                    one[0].lower() == other[0].lower()
                    or not [word for word in words if word not in _JOINING]
                    or (pattern is _NAME and not all(_is_name(match[0], answer) for match in (one, other)))
                ):
                    continue
                text = sentence.text
                changed = text[: one.start()] + other[0] + between + one[0] + text[other.end() :]
                yield answer.text[: sentence.start] + changed + answer.text[sentence.end :]


_CHANGES: dict[Kind, Callable[..., Iterator[str]]] = {
    "number": _change_numbers,
    "date": _change_dates,
    "name": _change_names,
    "unit": _change_units,
    "negation": _swapper(_NEGATIONS),
    "quantifier": _swapper(_QUANTIFIERS),
    "comparative": _swapper(_COMPARATIVES),
    "swap": _change_swaps,
}
