"""The shop's documents and products as the chunks, entities and relations that LightRAG takes as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_app.errors import KnowledgeError
from reference_app.variants.names import Names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_app.documents.knowledge import Section

SUBJECTS = ("care", "repair", "returns", "review", "shipping", "sizing", "warranty")
Graph = dict[str, list[dict[str, Any]]]


def build_graph(sections: Sequence[Section], products: Mapping[str, str]) -> Graph:
    """
    A chunk for each section, under its id; what it names, and how that hangs together.

    Raises:
        KnowledgeError: No section, or two with the same id or text, of which LightRAG would keep one.
    """
    if not sections:
        raise KnowledgeError("There is no section to index.")
    names, chunks, ids = Names(products, sections), dict[str, Any](), set[str]()
    entities, relations = dict[str, Any](), dict[tuple[str, str], Any]()
    for one in sections:
        text = f"{one.title}: {one.heading}. {one.text}"
        if one.id in ids or text in chunks:
            raise KnowledgeError(f"The section {one.id!r} is there twice, by its id or by its text.")
        ids.add(one.id)
        source = {"source_id": one.id, "file_path": one.id}
        chunks[text] = {"content": text, **source}
        subject = next((each for each in SUBJECTS if one.id.startswith(each)), "information")
        found = [(one.name, "section", one.heading), (one.title, "document", subject)]
        linked = [(one.name, one.title, f"{one.heading} is a section of {one.title}", subject)]
        for name in names.find(text):
            category = products.get(name)
            found.append((name, "product" if category else "kind", f"{name}, {category or 'what we sell'}"))
            linked.append((name, one.name, f"{name}: {one.heading}", subject))
            if category:
                found.append((category, "kind", f"{category}, what we sell"))
                linked.append((name, category, f"{name} is one of {category}", "category"))
        for name, kind, description in found:  # it belongs to the section that names it first
            made = {"entity_name": name, "entity_type": kind, "description": description, **source}
            entities.setdefault(name, made)
        for first, second, description, words in linked:
            made = {
                "src_id": first,
                "tgt_id": second,
                "description": description,
                "keywords": words,
                **source,
            }
            relations.setdefault((first, second), made)
    return {
        "chunks": list(chunks.values()),
        "entities": list(entities.values()),
        "relationships": list(relations.values()),
    }
