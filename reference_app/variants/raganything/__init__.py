"""
The shop's documents, tables, pictures and equations in RAG-Anything over LightRAG, in their order.

RAG-Anything has a model describe each item. None that is small sees pictures, so here a table is its rows, an
equation its text, and a picture what an OCR reads in it. The answer quotes what is found first.
"""

from __future__ import annotations

import asyncio
import csv
import json
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from reference_app.variants.lightrag import build_graph, open_rag, read_found

CONTENT = Path(__file__).with_name("content")
MAX_ROWS, MAX_CHARACTERS = 20, 1000  # of what a customer sends along
_reading = threading.Lock()  # the OCR keeps the picture that it works on
_opening: asyncio.Task[Any] | None = None


async def answer(question: str | Mapping[str, str]) -> dict[str, Any]:
    """
    Answer one question from what is indexed; `text`, and `passages` with `id` and `text` each.

    Args:
        question: A text, or a mapping of `text`, `image` (path of a picture) and `table` (of a CSV file), in
            which case what they say is searched for, too.
    """
    from lightrag import QueryParam

    global _opening  # noqa: PLW0603 - one index for all questions of the loop
    _opening = _opening or asyncio.ensure_future(_open())
    rag = await asyncio.shield(_opening)
    asked = await asyncio.to_thread(_read_question, question)
    query = QueryParam(chunk_top_k=5, enable_rerank=False, hl_keywords=[asked], ll_keywords=[asked])
    items = {name: text for name, (_, text) in _load_items().items()}
    passages = read_found(await rag.aquery_data(asked, query), items)
    return {"text": passages[0]["text"] if passages else "", "passages": passages}


async def _open() -> Any:
    """The LightRAG in which documents and items are indexed, built at first use."""
    items, graph = await asyncio.to_thread(_load_items), build_graph()
    rag, built = await open_rag("raganything", [graph, items], _extract)
    if built.exists():
        return rag
    from raganything import RAGAnything, RAGAnythingConfig

    await rag.ainsert_custom_kg(graph)
    for name, (item, text) in items.items():

        async def describe(*_: Any, name: str = name, text: str = text, **__: Any) -> str:
            about = {"entity_name": name, "entity_type": "item", "summary": text}
            return json.dumps({"detailed_description": text, "entity_info": about})

        config = RAGAnythingConfig(use_full_path=False, display_content_stats=False)
        modal = RAGAnything(lightrag=rag, llm_model_func=describe, vision_model_func=describe, config=config)
        modal.doc_parser = SimpleNamespace(check_installation=lambda: True)  # no document is parsed
        await modal.insert_content_list([{**item, "page_idx": 0}], file_path=name, doc_id=name)
    built.touch()
    return rag


async def _extract(*_: Any, **__: Any) -> str:
    """No entities beside those of the shop's graph and the items."""
    return "<|COMPLETE|>"


@cache
def _load_items() -> dict[str, tuple[dict[str, Any], str]]:
    """By its id each item of the content list, and what it says."""
    import yaml

    items = {}
    for item in yaml.safe_load((CONTENT / "items.yaml").read_text(encoding="utf-8")):
        if item["type"] == "table":
            heads, *rows = item["table_body"]
            cells = [", ".join(map(" ".join, zip(heads[1:], row[1:], strict=True))) for row in rows]
            text = " ".join(f"{row[0]} ({rest})." for row, rest in zip(rows, cells, strict=True))
        elif item["type"] == "image":
            item["img_path"] = str(CONTENT / item["img_path"])
            text = _read_picture(Path(item["img_path"]))
        else:
            text = f"{item['text']} Formula: {item['latex']}."
        items[item.pop("id")] = item, text
    return items


def _read_question(question: str | Mapping[str, str]) -> str:
    """Its text, and what its picture or table says."""
    if isinstance(question, str):
        return question
    parts = [question.get("text", "")]
    if "image" in question:
        parts.append(_read_picture(Path(question["image"])))
    if "table" in question:
        with Path(question["table"]).open(encoding="utf-8-sig", newline="") as file:
            parts += [", ".join(row) + "." for row, _ in zip(csv.reader(file), range(MAX_ROWS), strict=False)]
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
