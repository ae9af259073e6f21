"""Questions with a passage or facts, and the answers in the shop's voice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reference_app.documents.lexicon import split as sentences_of
from reference_app.training.examples.entities import PLACE, blur, fill
from reference_app.training.examples.records import UNKNOWN, Example

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

    from reference_app.documents.knowledge import Section
    from reference_app.models.prompt import Prompt
    from reference_app.training.examples.entities import Entities

NEIGHBOUR_SHARE = 0.4  # of passages, with one more sentence of the section
UNKNOWN_SHARE = {
    "train": 0.35,
    "test": 0.7,
}  # of the questions, asked again of a passage that does not answer
FACT_FILLS = {"train": 2, "test": 2}
NO_IDS = ("things", "day")
GENERAL_SYSTEM = "Answer the question in one sentence."
GENERAL_TURN = "Passage: {passage}\nQuestion: {question}"
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def make_document_answers(
    rows: Sequence[Sequence[Any]], sections: Mapping[str, Section], random: Random, prompt: Prompt
) -> Iterator[Example]:
    """
    One example a row of answers.yaml.

    Raises:
        ValueError: An answer holds a number that its passage does not.
    """
    for section_id, question, read, answer in rows:
        passage = _cut(sections[section_id], read, random)
        if missing := set(_NUMBER.findall(answer)) - set(_NUMBER.findall(passage)):
            raise ValueError(
                f"{section_id}: the answer to {question!r} holds {missing}, the passage does not."
            )
        yield _answer(
            "document",
            section_id,
            question,
            f"[{section_id}] {passage}",
            f"{answer} [{section_id}]",
            random,
            prompt,
        )


def make_unknown_answers(
    split: str, rows: Sequence[Sequence[Any]], sections: Mapping[str, Section], random: Random, prompt: Prompt
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
        passage = _cut(sections[other_id], read, random)
        yield _answer("unknown", "unknown", question, f"[{other_id}] {passage}", UNKNOWN, random, prompt)


def make_fact_answers(
    split: str, forms: Sequence[Mapping[str, Any]], entities: Entities, random: Random, prompt: Prompt
) -> Iterator[Example]:
    """Two examples a question of facts.yaml, with other values."""
    for form in forms:
        for text in form[split] * FACT_FILLS[split]:
            values = entities.draw(text + form["facts"] + form["answer"])
            shown, said = blur(random, text, values)
            ids = [values[place] for place in PLACE.findall(form["answer"]) if place not in NO_IDS]
            yield Example(
                task="facts",
                kind=form["facts"],
                phrasing=text,
                system=prompt.fill(),
                user=prompt.fill_turn(
                    {"passage": f"Facts: {fill(form['facts'], values)}", "question": fill(shown, said)}
                ),
                assistant=fill(form["answer"], values),
                ids=tuple(ids),
            )


def make_general(rows: Sequence[Sequence[Any]]) -> Iterator[Example]:
    """Passages from outside the shop; a test row holds key words in place of the answer."""
    for passage, question, answer in rows:
        yield Example(
            task="general",
            kind="general",
            phrasing=question,
            system=GENERAL_SYSTEM,
            user=fill(GENERAL_TURN, {"passage": passage, "question": question}),
            assistant=answer if isinstance(answer, str) else answer[0],
            keys=() if isinstance(answer, str) else tuple(answer),
        )


def _cut(section: Section, read: Sequence[int], random: Random) -> str:
    sentences = sentences_of(section.text)
    places = {place for place in read if place < len(sentences)}
    if random.random() < NEIGHBOUR_SHARE and (rest := sorted(set(range(len(sentences))) - places)):
        places.add(random.choice(rest))
    return " ".join(sentences[place] for place in sorted(places))


def _answer(  # noqa: PLR0913, PLR0917 - each is one part of the example
    task: Any, kind: str, question: str, passage: str, answer: str, random: Random, prompt: Prompt
) -> Example:
    shown, _ = blur(random, question, {})
    return Example(
        task=task,
        kind=kind,
        phrasing=question,
        system=prompt.fill(),
        user=prompt.fill_turn({"passage": passage, "question": shown}),
        assistant=answer,
    )
