"""Questions with passages or facts, and the answers in the shop's voice; and casual ones to avoid."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_app.documents.words import split_sentences as sentences_of
from reference_app.training.entities import PLACE, blur, fill
from reference_app.training.example import Example, as_user, read_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

    from reference_app.documents.knowledge import Section
    from reference_app.training.entities import Entities

UNKNOWN = "I am sorry, I could not find any information about that."
CUT_SHARE, WHOLE_SHARE = (
    0.45,
    0.3,
)  # of passages: the sentences with the answer, the section; the rest are two
UNKNOWN_SHARE = {"train": 0.3, "test": 0.6}  # of questions, asked again of a passage that does not answer
EARLIER_SHARE = 0.08  # of questions, with an earlier turn before them
FACT_FILLS = {"train": 1, "test": 1}
NO_IDS = ("things", "day", "day2", "category", "colour")
STARTS = {"+": "Yes, ", "~": "No, "}
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def answer_documents(
    rows: Sequence[Sequence[Any]], sections: Mapping[str, Section], random: Random
) -> Iterator[Example]:
    """
    One example a row of answers.yaml.

    Raises:
        ValueError: An answer holds a number that its passage does not.
    """
    for section_id, question, read, answer in rows:
        section = sections[section_id]
        if missing := set(_NUMBER.findall(answer)) - set(_NUMBER.findall(section.text)):
            raise ValueError(
                f"{section_id}: the answer to {question!r} holds {missing}, the section does not."
            )
        material, asked = _show(section, sections, read, random), _ask(question, rows, random)
        yield _answer("document", section_id, question, (material, asked), f"{answer} [{section_id}]")


def answer_nothing(
    split: str, rows: Sequence[Sequence[Any]], sections: Mapping[str, Section], random: Random
) -> Iterator[Example]:
    """Questions asked of a passage of another section, every third time of the same document."""
    chosen = random.sample(list(rows), round(len(rows) * UNKNOWN_SHARE[split]))
    for place, (section_id, question, _, _) in enumerate(chosen):
        document = section_id.partition("#")[0]
        others = [
            row
            for row in rows
            if row[0] != section_id and (row[0].partition("#")[0] == document) == (place % 3 == 0)
        ] or [row for row in rows if row[0].partition("#")[0] != document]
        other_id, _, read, _ = random.choice(others)
        others_alone = {name: one for name, one in sections.items() if name != section_id}
        material = _show(sections[other_id], others_alone, read, random)
        yield _answer("unknown", "unknown", question, (material, _ask(question, rows, random)), UNKNOWN)


def answer_facts(
    split: str, forms: Sequence[Mapping[str, Any]], entities: Entities, random: Random
) -> Iterator[Example]:
    """What a tool found, put into a sentence, for each question of facts.yaml."""
    for form in forms:
        for text in form[split] * FACT_FILLS[split]:
            yield _tell(form, text, entities, random)


def pair_answers(
    split: str,
    phrasings: Mapping[str, Any],
    sections: Mapping[str, Section],
    entities: Entities,
    random: Random,
) -> Iterator[Example]:
    """
    Good answers with a casual one each: for sections of pairs.yaml, and for each casual phrasing of facts.

    Raises:
        KeyError: A section or a form stands in pairs.yaml alone.
    """
    casual = phrasings["pairs"][split]
    rows: dict[str, Sequence[Any]] = {}
    for row in phrasings["answers"][split]:
        rows.setdefault(row[0], row)
    chosen = [rows[section_id] for section_id in casual["sections"]]
    for good in answer_documents(chosen, sections, random):
        yield replace(good, rejected=casual["sections"][good.kind])
    forms = {form["facts"]: form for form in phrasings["facts"]["forms"]}
    for facts, texts in casual["facts"].items():
        for text in texts:
            yield _tell(forms[facts], random.choice(forms[facts][split]), entities, random, text)


def _tell(
    form: Mapping[str, Any], text: str, entities: Entities, random: Random, casual: str = ""
) -> Example:
    values = entities.draw(text + form["facts"] + form["answer"])
    start, asked = STARTS.get(text[0], ""), text.lstrip("+~")
    said = form["answer"]
    if start and not said.startswith("{"):
        said = said[0].lower() + said[1:]
    shown, typed = blur(random, asked, values)
    given = f"Facts: {fill(form['facts'], values)}", fill(shown, typed)
    good = _answer("facts", form["facts"], asked, given, start + fill(said, values))
    ids = tuple(values[place] for place in PLACE.findall(form["answer"]) if place not in NO_IDS)
    return replace(good, ids=ids, rejected=fill(casual, values))


def _answer(task: Any, kind: str, phrasing: str, given: tuple[str, str], answer: str) -> Example:
    return Example(task, kind, phrasing, read_prompt("adapter-answerer"), as_user(*given), answer)


def _show(section: Section, sections: Mapping[str, Section], read: Sequence[int], random: Random) -> str:
    """The sentences with the answer and perhaps a neighbour, the whole section, or two sections."""
    sentences, chance = sentences_of(section.text), random.random()
    places = {place for place in read if place < len(sentences)}
    if rest := sorted(set(range(len(sentences))) - places):
        places |= {random.choice(rest)} if random.random() < CUT_SHARE else set()
    cut = f"[{section.id}] {' '.join(sentences[place] for place in sorted(places))}"
    if chance < CUT_SHARE:
        return cut
    if chance < CUT_SHARE + WHOLE_SHARE:
        return f"[{section.id}] {' '.join(sentences)}"
    document = section.id.partition("#")[0]
    near = [one for one in sections.values() if one.id.startswith(f"{document}#") and one.id != section.id]
    other = random.choice(near or [one for one in sections.values() if one.id != section.id])
    both = [cut, f"[{other.id}] {' '.join(sentences_of(other.text)[:2])}"]
    random.shuffle(both)
    return "\n".join(both)


def _ask(question: str, rows: Sequence[Sequence[Any]], random: Random) -> str:
    shown, _ = blur(random, question, {})
    return f"{random.choice(rows)[1]}\n{shown}" if random.random() < EARLIER_SHARE else shown
