"""
The shop's documents in LightRAG: its index, its search, its order.

With OPENAI_BASE_URL or OPENAI_API_KEY LightRAG's own chat model finds the words to search by and writes the
answer. Without them the answer quotes the section that LightRAG finds first.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from reference_app.variants.documents import DATA, DIMENSIONS, embed, load_sections

MODE = os.environ.get("LIGHTRAG_MODE") or "mix"
MODEL = os.environ.get("LIGHTRAG_MODEL") or "gpt-4o-mini"
CHATS = bool(os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_KEY"))
_opening: asyncio.Task[Any] | None = None


async def answer(question: str) -> dict[str, Any]:
    """
    Answer one question from the documents; `text`, and `passages` with `id` and `text` each.

    Raises:
        RuntimeError: LightRAG failed, which returns an apology and no exception.
    """
    from lightrag import QueryParam

    global _opening  # noqa: PLW0603 - one index for all questions of the loop
    _opening = _opening or asyncio.ensure_future(_open())
    rag = await asyncio.shield(_opening)
    query = QueryParam(mode=MODE, chunk_top_k=5, enable_rerank=False)  # type: ignore[arg-type] # a checked word
    if not CHATS:
        query.hl_keywords = query.ll_keywords = [question]  # what is looked for in the graph
    found = await (rag.aquery_llm if CHATS else rag.aquery_data)(question, query)
    passages = read_found(found)
    text = found["llm_response"]["content"] if CHATS else passages[0]["text"] if passages else ""
    return {"text": text, "passages": passages}


def read_found(found: Mapping[str, Any], others: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """The sections, or `others`, that LightRAG found, in its order; RuntimeError where it failed."""
    if found["status"] != "success" and found["metadata"].get("failure_reason") != "no_results":
        raise RuntimeError(f"LightRAG: {found['message']}")
    texts = {section.id: section.text for section in load_sections()} | dict(others or {})
    ids = dict.fromkeys(chunk["file_path"] for chunk in found["data"].get("chunks", []))
    return [{"id": name, "text": texts[name]} for name in ids]


def build_graph() -> dict[str, list[dict[str, Any]]]:
    """
    Each section as a chunk and an entity, related to its document and to the products that it names.

    A chat model that is large enough would extract a graph by `ainsert`; this one is the shop's own.
    """
    import yaml

    categories = yaml.safe_load((DATA / "catalogue.yaml").read_text(encoding="utf-8"))["categories"]
    products = {row[0]: kind for kind, rows in categories.items() for row in rows}
    chunks, entities, relations = [], dict[str, Any](), []
    for section in load_sections():
        source = {"source_id": section.id, "file_path": section.id}
        chunks.append({"content": section.headed, **source})
        name = f"{section.title} > {section.heading}"
        named = [product for product in products if re.search(rf"\b{re.escape(product)}\b", section.headed)]
        linked = {section.title: "document"} | {product: products[product] for product in named}
        for each, kind in {name: "section", **linked}.items():
            about = section.heading if each == name else kind
            entity = {"entity_name": each, "entity_type": kind, "description": about}
            entities.setdefault(each, {**entity, **source})
        for each, kind in linked.items():
            relation = {"src_id": name, "tgt_id": each, "description": section.heading, "keywords": kind}
            relations.append({**relation, **source})
    return {"chunks": chunks, "entities": list(entities.values()), "relationships": relations}


async def _open() -> Any:
    graph = build_graph()
    rag, built = await open_rag("lightrag", graph, _complete)
    if not built.exists():
        await rag.ainsert_custom_kg(graph)
        built.touch()
    return rag


async def open_rag(name: str, content: Any, complete: Callable[..., Awaitable[str]]) -> tuple[Any, Path]:
    """LightRAG over an index of this content; and the file that is there once the index is whole."""
    os.environ.setdefault("PYTHON_DOTENV_DISABLED", "1")  # else LightRAG reads any `.env`
    from lightrag import LightRAG
    from lightrag.utils import EmbeddingFunc, Tokenizer

    logging.getLogger("lightrag").setLevel(logging.ERROR)
    working, workspace = Path("build") / name, sha256(repr(content).encode()).hexdigest()[:16]
    built = working / workspace / "built"
    if not built.exists():  # what is there was broken off
        shutil.rmtree(built.parent, ignore_errors=True)
    rag = LightRAG(
        working_dir=str(working),
        workspace=workspace,
        tokenizer=Tokenizer("characters", _Characters()),  # its own tokenizer downloads a table
        embedding_func=EmbeddingFunc(DIMENSIONS, _embed),
        llm_model_func=complete,
        llm_model_name=MODEL,
        enable_llm_cache=False,  # the gate records calls, and knows when not to replay them
        cosine_better_than_threshold=-1.0,  # the nearest are found, however far
    )
    await rag.initialize_storages()
    return rag, built


async def _embed(texts: list[str], **_: Any) -> Any:
    return await asyncio.to_thread(embed, texts)


async def _complete(prompt: str, system_prompt: str | None = None, **given: Any) -> Any:
    from lightrag.llm.openai import openai_complete_if_cache

    return await openai_complete_if_cache(MODEL, prompt, system_prompt=system_prompt, **given)


class _Characters:
    """A token is a character."""

    def encode(self, content: str) -> list[int]:
        return list(map(ord, content))

    def decode(self, tokens: list[int]) -> str:
        return "".join(map(chr, tokens))
