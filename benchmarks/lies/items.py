"""Answers with labels: lies and right answers by hand, sets that people labelled, and mutants of those."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from benchmarks.agreement.labels import read
from benchmarks.falsehoods.finding import make_sample
from benchmarks.questions.scoring import load_questions
from pytest_llmops.metrics.faithfulness.sentences import split_sentences
from pytest_llmops.metrics.support.supported import gather
from pytest_llmops.metrics.words import FUNCTION_WORDS

SEED = 11
SUPPORTED = 0.8
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """
    One answer.

    Attributes:
        source: The set.
        group: Its document; a half has whole documents.
        half: `dev`, on which weights and bound were chosen, or `held`.
        kind: Of a lie; `right` for right answers.
        supported: Whether it is.
    """

    source: str
    group: str
    half: str
    kind: str
    supported: bool
    text: str
    sources: tuple[str, ...]
    question: str = ""


def half_of(group: str) -> str:
    """Return the half of a document, by a digest of its name."""
    return "dev" if sha256(group.encode()).digest()[0] % 2 else "held"


def list_written() -> Iterator[Item]:
    """Yield lies and right answers by hand."""
    for file in sorted(_HERE.glob("*.yaml")):
        for document in yaml.safe_load(file.read_text(encoding="utf-8")):
            passages = tuple(document["passages"])
            common: dict[str, Any] = {
                "source": "written"
                if document.get("language", "en") == "en"
                else f"written-{document['language']}",
                "group": document["id"],
                "half": document["half"],
                "sources": passages,
            }
            for case in document["cases"]:
                question = case["question"]
                yield Item(**common, kind="right", supported=True, text=case["right"], question=question)
                for text in case.get("also", ()):
                    yield Item(**common, kind="right", supported=True, text=text, question=question)
                for kind, lie in case["lies"].items():
                    text = f"{case['right']} {lie}" if kind == "appended" else lie
                    yield Item(**common, kind=kind, supported=False, text=text, question=question)


def list_falsehoods() -> Iterator[Item]:
    """Yield the answers of `benchmarks/falsehoods`; the last share is held."""
    questions = {question["id"]: question for question in load_questions()}
    for share in ("first", "second", "last"):
        for item in yaml.safe_load(
            (_HERE.parent / "falsehoods" / f"{share}.yaml").read_text(encoding="utf-8")
        ):
            question = questions[item["id"]]
            sample = make_sample(question, item["right"], reference=False)
            sources = tuple(source.text for source in gather(sample, ("passages", "tool_calls")))
            for which in ("right", "wrong"):
                yield Item(
                    source="falsehoods",
                    group=item["id"],
                    half="held" if share == "last" else "dev",
                    kind="right" if which == "right" else item["kind"],
                    supported=which == "right",
                    text=item[which],
                    sources=sources,
                    question=str(question["input"]),
                )


def list_labelled() -> Iterator[Item]:
    """Yield outputs that people labelled as supported or not."""
    for row in read("begin"):
        yield _labelled(
            "BEGIN",
            row["contexts"][0],
            label=row["label"] == "Fully attributable",
            row=row,
            question=str(row["input"]),
        )
    for row in read("scifact_faithfulness"):
        yield _labelled("SciFact", row["document"], label=row["label"] == "SUPPORT", row=row)
    for row in read("mtrag"):
        rating = (row["label"]["faithfulness"] - 1) / 3
        yield _labelled(
            "MTRAG", row["conversation"], label=rating >= SUPPORTED, row=row, question=str(row["input"])
        )
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    for row in read("xquad_passages"):
        sentences = [sentence.text for sentence in split_sentences(row["text"]) if len(sentence.text) > 30]
        for sentence in chance.sample(sentences, min(2, len(sentences))):
            verbatim = {"output": sentence, "contexts": [row["text"]]}
            yield _labelled("XQuAD", row["id"], label=True, row=verbatim)
    for row in read("clapnq"):
        if row["rationale"]:
            rest = [text for at, text in enumerate(row["contexts"]) if at not in row["rationale"]]
            for contexts, label in ((row["contexts"], True), (rest, False)):
                if contexts:
                    cut = {**row, "contexts": contexts, "output": row["reference"]}
                    yield _labelled(
                        "CLAPNQ", str(row["title"]), label=label, row=cut, question=str(row["input"])
                    )


def _labelled(source: str, group: str, *, label: bool, row: Any, question: str = "") -> Item:
    return Item(
        source=source,
        group=group,
        half=half_of(f"{source}{group}"),
        kind="right" if label else "not supported",
        supported=label,
        text=row["output"],
        sources=tuple(row["contexts"]),
        question=question,
    )


COMMON = FUNCTION_WORDS

# Pairs of words that lies exchange, both ways.
_SWAPS = {
    "scope": "all|some;every|hardly any;always|sometimes;most|all;only|also;at least|at most;"
    "more than|less than;before|after;until|from;first|last;over|under;within|after;many|few;"
    "often|rarely;both|neither",
    "condition": "if|even if;unless|even if;when|even when;only if|even if;because|although;with|without;"
    "while|after;such as|except;in order to|instead of;as long as|even if",
    "negation": "is|is not;are|are not;was|was not;were|were not;can|cannot;has|has not;have|have not;"
    "will|will not;must|need not;may|may not;should|should not;did not|did;does not|does;"
    "never|always;no|every",
    "actor": "he|she;we|you;they|we;his|her;i|you;the company|the customer;men|women;children|adults;"
    "the first|the second;patients|doctors;people|experts;students|teachers;his|my;the state|the city",
}


def list_mutants(items: list[Item]) -> Iterator[Item]:
    """Yield supported outputs with one thing changed, and with a sentence of another one appended."""
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    good = [item for item in items if item.supported]
    for item in good:
        for kind, text in _mutate(item, good, chance):
            yield Item(
                source=f"mutant-{item.source}",
                group=item.group,
                half=item.half,
                kind=kind,
                supported=False,
                text=text,
                sources=item.sources,
                question=item.question,
            )


def _exchange(item: Item, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield the answer with a word of the sources in place of one, and with two words exchanged."""
    own = list(re.finditer(r"(?<=[a-z,] )[a-z]{4,}\b", item.text))
    if not own:
        return
    place = chance.choice(own)
    ending = place[0][-2:] if place[0].endswith(("s", "ed", "ng", "ly")) else ""
    words = [
        word
        for word in re.findall(r"\b[a-z]{4,}\b", " ".join(item.sources))
        if word.endswith(ending) and word not in item.text and word not in COMMON
    ]
    if words and place[0] not in COMMON:
        yield "word", item.text[: place.start()] + chance.choice(words) + item.text[place.end() :]
    plain = [match for match in own if match[0] not in COMMON and match[0][-1] == place[0][-1]]
    if len(plain) > 1:
        one, two = sorted(chance.sample(plain, 2), key=lambda match: match.start())
        if one[0] != two[0]:
            text = item.text
            yield (
                "roles",
                text[: one.start()] + two[0] + text[one.end() : two.start()] + one[0] + text[two.end() :],
            )


_JOINING = (
    "if",
    "unless",
    "even if",
    "but only if",
    "as long as",
    "and",
    "because",
    "but not if",
    "except when",
)


def _add_clause(item: Item, other: Item, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield the answer with a clause of another sentence, of the same sources and of others."""
    sentences = [sentence.text for text in item.sources for sentence in split_sentences(text)]
    strange = [sentence.text for text in other.sources[:5] for sentence in split_sentences(text)]
    for kind, written in (("condition", sentences), ("clause", strange)):
        added = chance.choice(written).rstrip(" .!?").split()[: chance.randint(4, 9)] if written else []
        if len(added) > 2:
            words = " ".join([added[0].lower(), *added[1:]])
            yield kind, f"{item.text.rstrip(' .')}, {chance.choice(_JOINING)} {words}."


def _mutate(item: Item, good: list[Item], chance: random.Random) -> Iterator[tuple[str, str]]:
    for kind, written in _SWAPS.items():
        pairs = [tuple(pair.split("|")) for pair in written.split(";")]
        swaps = [(one, other) for one, other in [*pairs, *((b, a) for a, b in pairs)]]
        chance.shuffle(swaps)
        for one, other in swaps:
            pattern = re.compile(rf"\b{one}\b(?! not)", re.IGNORECASE)
            if places := list(pattern.finditer(item.text)):
                place = chance.choice(places)
                instead = other.capitalize() if place[0][0].isupper() else other
                yield kind, item.text[: place.start()] + instead + item.text[place.end() :]
                break
    if numbers := list(re.finditer(r"(?<![\w.])\d[\d,]*(?!\w)", item.text)):
        place = chance.choice(numbers)
        value = int(place[0].replace(",", "")) + chance.choice([-2, -1, 1, 2, 3, 7, 10, 30])
        yield "number", item.text[: place.start()] + str(abs(value)) + item.text[place.end() :]
    names = list(re.finditer(r"(?<=[a-z,] )[A-Z][a-z]+(?: [A-Z][a-z]+)*", item.text))
    yield from _exchange(item, chance)
    other = chance.choice(good)
    yield from _add_clause(item, other, chance)
    others = re.findall(r"(?<=[a-z,] )[A-Z][a-z]+(?: [A-Z][a-z]+)*", " ".join(other.sources))
    others = [name for name in others if name not in " ".join(item.sources)]
    if names and others:
        place = chance.choice(names)
        yield "name", item.text[: place.start()] + chance.choice(others) + item.text[place.end() :]
    if other.group != item.group:
        yield "appended", f"{item.text.rstrip()} {other.text}"
