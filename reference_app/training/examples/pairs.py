"""Preference pairs: the shop's voice against a casual one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_app.training.examples.answers import make_document_answers
from reference_app.training.examples.entities import fill
from reference_app.training.examples.records import Pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

    from reference_app.documents.knowledge import Section
    from reference_app.models.prompt import Prompt
    from reference_app.training.examples.entities import Entities


def make_pairs(  # noqa: PLR0913 - the parts that a pair is made from
    split: str,
    phrasings: Mapping[str, Any],
    *,
    sections: Mapping[str, Section],
    entities: Entities,
    random: Random,
    prompt: Prompt,
) -> Iterator[Pair]:
    """
    Pairs on documents, one for each section of pairs.yaml, and two on facts for each casual phrasing.

    Raises:
        KeyError: A section or a form stands in pairs.yaml alone.
    """
    casual = phrasings["pairs"][split]
    rows: dict[str, Sequence[Any]] = {row[0]: row for row in phrasings["answers"][split]}
    chosen = [rows[section_id] for section_id in casual["sections"]]
    for example in make_document_answers(chosen, sections, random, prompt):
        rejected = casual["sections"][example.kind]
        yield Pair(
            phrasing=rejected,
            system=example.system,
            user=example.user,
            preferred=example.assistant,
            rejected=rejected,
        )
    forms = {form["facts"]: form for form in phrasings["facts"]["forms"]}
    for facts, texts in casual["facts"].items():
        form = forms[facts]
        for text in texts * 2:
            question = random.choice(form[split])
            values = entities.draw(question + facts + form["answer"] + text)
            turn = {"passage": f"Facts: {fill(facts, values)}", "question": fill(question, values)}
            yield Pair(
                phrasing=text,
                system=prompt.fill(),
                user=prompt.fill_turn(turn),
                preferred=fill(form["answer"], values),
                rejected=fill(text, values),
            )
