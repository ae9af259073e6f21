"""
The shop's documents, tables, pictures and equations in RAG-Anything over LightRAG, in their order.

RAG-Anything has each item described by a model. None that is small sees pictures, so here a table is its
rows, an equation its text, and a picture what an OCR reads in it. The answer quotes what is found first.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from reference_app.variants.documents import load_sections
from reference_app.variants.lightrag import build_graph, open_rag

CONTENT = Path(__file__).with_name("content")
WORKING = Path(__file__).parents[3] / "build" / "raganything"
FOUND = 5  # passages for an answer
MAX_ROWS, MAX_CHARACTERS = 20, 1000  # of what a customer sends along
_reading = threading.Lock()  # the OCR keeps the picture that it works on
_opening: asyncio.Task[Any] | None = None


async def answer(question: str | Mapping[str, str]) -> dict[str, Any]:
    """
    Answer one question from what is indexed.

    Args:
        question: A text, or a mapping of `text`, `image` (path of a picture) and `table` (of a CSV file), in
            which case what they say is searched for, too.

    Returns:
        `text`, and `passages` with `id` and `text` each.
    """
    from lightrag import QueryParam

    global _opening  # noqa: PLW0603 - one index for all questions of the loop
    _opening = _opening or asyncio.ensure_future(_open())
    rag = await asyncio.shield(_opening)
    asked = await asyncio.to_thread(_read_question, question)
    query = QueryParam(mode="mix", chunk_top_k=FOUND, enable_rerank=False, hl_keywords=[asked], ll_keywords=[asked])
    found = await rag.aquery_data(asked, query)
    texts = {section.id: section.text for section in load_sections()} | _describe_items()
    ids = dict.fromkeys(chunk["file_path"] for chunk in found["data"].get("chunks", []))
    passages = [{"id": name, "text": texts[name]} for name in ids]
    return {"text": passages[0]["text"] if passages else "", "passages": passages}


async def _open() -> Any:
    """The LightRAG in which documents and items are indexed, built at first use."""
    described = await asyncio.to_thread(_describe_items)
    graph = build_graph()
    rag, built = await open_rag(WORKING, sha256(repr([graph, described]).encode()).hexdigest()[:16], _extract)
    if built.exists():
        return rag
    from raganything import RAGAnything, RAGAnythingConfig

    await rag.ainsert_custom_kg(graph)
    items = {item["id"]: item for kind in _load_items().values() for item in kind}
    for name, text in described.items():

        async def describe(*_: Any, title: str = items[name]["title"], text: str = text, **__: Any) -> str:
            about = {"entity_name": title, "entity_type": "item", "summary": text}
            return json.dumps({"detailed_description": text, "entity_info": about})

        config = RAGAnythingConfig(working_dir=str(WORKING), use_full_path=False, display_content_stats=False)
        modal = RAGAnything(lightrag=rag, llm_model_func=describe, vision_model_func=describe, config=config)
        modal.doc_parser = SimpleNamespace(check_installation=lambda: True)  # no document is parsed
        await modal.insert_content_list([_as_content(items[name])], file_path=name, doc_id=name)
    built.touch()
    return rag


async def _extract(*_: Any, **__: Any) -> str:
    """No entities beside those of the shop's graph and the items."""
    return "<|COMPLETE|>"


def _as_content(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as RAG-Anything's content lists have it."""
    caption = [f"{item['title']}: {item.get('caption', 'Formula')}"]
    if "rows" in item:
        return {"type": "table", "table_body": [item["header"], *item["rows"]], "table_caption": caption, "page_idx": 0}
    if "picture" in item:
        return {"type": "image", "img_path": str(CONTENT / item["picture"]), "image_caption": caption, "page_idx": 0}
    return {"type": "equation", "latex": item["latex"], "text": item["text"], "page_idx": 0}


@cache
def _load_items() -> dict[str, list[dict[str, Any]]]:
    import yaml

    items: dict[str, list[dict[str, Any]]] = yaml.safe_load((CONTENT / "items.yaml").read_text(encoding="utf-8"))
    return items


@cache
def _describe_items() -> dict[str, str]:
    """By its id what each item says."""
    items = _load_items()
    described = {
        item["id"]: " ".join(
            f"{first} ({', '.join(f'{head} {cell}' for head, cell in zip(item['header'][1:], cells, strict=True))})."
            for first, *cells in item["rows"]
        )
        for item in items["tables"]
    }
    described |= {item["id"]: _read_picture(CONTENT / item["picture"]) for item in items["images"]}
    return described | {item["id"]: f"{item['text']} Formula: {item['latex']}." for item in items["equations"]}


def _read_question(question: str | Mapping[str, str]) -> str:
    """Its text, and what its picture or table says."""
    if isinstance(question, str):
        return question
    parts = [question.get("text", "")]
    if "image" in question:
        parts.append(_read_picture(Path(question["image"])))
    if "table" in question:
        rows = csv.reader(io.StringIO(Path(question["table"]).read_text(encoding="utf-8-sig")))
        parts += [", ".join(row) + "." for row, _ in zip(rows, range(MAX_ROWS), strict=False)]
    return " ".join(filter(None, parts))[:MAX_CHARACTERS]


def _read_picture(path: Path) -> str:
    """The lines of text in a picture, as sentences."""
    with _reading:
        found, _ = _open_ocr()(str(path))
    return " ".join(line if line[-1] in ".!?" else f"{line}." for _, line, _ in found or ())


@cache
def _open_ocr() -> Any:
    from rapidocr_onnxruntime import RapidOCR

    return RapidOCR()  # its models are files of the package
