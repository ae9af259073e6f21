"""LightRAG over a graph: the app's encoder, a tokenizer that downloads nothing, files in a cache."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import shutil
import threading
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar

from reference_app.errors import AppError, EndpointError
from reference_app.variants.documents import lock_index
from reference_app.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from reference_app.documents.encoders import Encoders
    from reference_app.variants.lightrag.graph import Graph

PACKAGE, NEEDED, TIMEOUT_S = "lightrag-hku", "1.5.", 900.0
MIN_CHARACTERS = 3  # of a question; LightRAG raises an error for fewer
INSTALL = "make variant NAME=lightrag"
REBUILD = ".venv-lightrag/bin/python -m reference_app.variants.lightrag --rebuild"
BUDGETS = {"max_entity_tokens": 24_000, "max_relation_tokens": 32_000, "max_total_tokens": 120_000}


class LightRAGError(AppError):
    """LightRAG is not there, or its index does not fit."""


class Characters:
    """A token is a character: that needs no table from the network, and changes no text."""

    def encode(self, content: str) -> list[int]:
        return list(map(ord, content))

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))


def check_package(package: str = PACKAGE, needed: str = NEEDED, install: str = INSTALL) -> str:
    """The version that is installed; LightRAGError where there is none, or another than is needed."""
    try:
        found = version(package)
    except PackageNotFoundError:
        raise LightRAGError(f"{package} is not installed; run `{install}`.") from None
    if not found.startswith(needed):
        raise LightRAGError(f"{package} {found} is installed, and {needed}x is needed; run `{install}`.")
    return found


class Index:
    """
    A graph in LightRAG, built at first use; may be asked from many threads.

    Args:
        complete: A chat model, by which LightRAG finds entities and relations itself; None takes the graph's.

    Raises:
        LightRAGError: Not the package that is needed, an index of another encoder, or a build that failed.
    """

    rebuild_command = REBUILD
    options: ClassVar[dict[str, Any]] = {}  # further ones of LightRAG

    def __init__(
        self,
        graph: Graph,
        encoders: Encoders,
        folder: Path,
        complete: Callable[[Any], str] | None = None,
        *,
        rebuild: bool = False,
    ) -> None:
        made_of = [self.check(), encoders.name, complete is not None, graph]
        self.folder = folder / hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:24]
        self._graph, self._encoders, self._complete = graph, encoders, complete
        self._stamp, dimensions = self.folder / "index.json", len(encoders.ask(["?"])[0])
        folder.mkdir(parents=True, exist_ok=True)
        with lock_index(self.folder):
            if rebuild:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.stamp = self._read_stamp()
            kept = self.stamp.get("dimensions")
            if kept not in {None, dimensions}:
                wrong = f"has vectors of {kept} dimensions, and {encoders.name} gives {dimensions}"
                raise LightRAGError(f"The index {self.folder} {wrong}; run `{self.rebuild_command}`.")
            self._rag = _wait(self._open(dimensions, built=kept is not None))

    def check(self) -> str:
        """The versions of what is needed."""
        return check_package()

    def __deepcopy__(self, _: Any) -> Index:
        return self  # LightRAG copies what its settings name, and so whose methods they are

    def search(
        self, question: str, words: list[str], mode: str, count: int, *, write: bool = False
    ) -> dict[str, Any]:
        """
        The `chunks` that LightRAG finds, best first, and its `llm_response` where it is to `write` one.

        Args:
            words: What entities and relations are searched by; its chat model finds some if there are none.
        """
        from lightrag import QueryParam

        if len(question) < MIN_CHARACTERS:
            return {"chunks": [], "llm_response": {"content": ""}}
        given = {"hl_keywords": words, "ll_keywords": words, "enable_rerank": False, "chunk_top_k": count}
        ask = self._rag.aquery_llm if write else self._rag.aquery_data
        found = _wait(ask(question, QueryParam(mode=mode, **given, **BUDGETS)))
        if found["status"] != "success" and found.get("metadata", {}).get("failure_reason") != "no_results":
            raise EndpointError(f"LightRAG: {found['message']}")
        return {"chunks": [], **found["data"], "llm_response": found.get("llm_response")}

    async def _open(self, dimensions: int, *, built: bool) -> Any:
        logging.basicConfig(
            level=logging.WARNING
        )  # else nano_vectordb sets the level of every logger to INFO
        os.environ.setdefault("PYTHON_DOTENV_DISABLED", "1")  # settings come from the environment alone
        from lightrag import LightRAG
        from lightrag.utils import EmbeddingFunc, Tokenizer

        logging.getLogger("lightrag").setLevel(logging.ERROR)
        if not built:  # what is there was broken off, or is damaged
            shutil.rmtree(self.folder, ignore_errors=True)
        rag = LightRAG(
            working_dir=str(self.folder.parent),
            workspace=self.folder.name,  # within a process LightRAG tells indexes apart by this alone
            tokenizer=Tokenizer("characters", Characters()),
            embedding_func=EmbeddingFunc(dimensions, self._embed, supports_asymmetric=True),
            llm_model_func=self._chat,
            enable_llm_cache=False,  # the gate records calls, and knows when not to replay them
            chunk_token_size=4000,
            cosine_better_than_threshold=-1.0,  # the nearest are found, however far
            **self.options,
        )
        await rag.initialize_storages()
        if not built:
            more = await self._insert(rag)
            self.stamp = {
                "dimensions": dimensions,
                "files": self._digest_files(),
                **(more or {}),
            }
            with replacing(self._stamp) as part:
                part.write_text(json.dumps(self.stamp))
        return rag

    def _read_stamp(self) -> dict[str, Any]:
        """What was noted of the index when it was built; empty if it is not there as it was built."""
        try:
            stamp = json.loads(self._stamp.read_bytes())
            sound = stamp.get("files", {}) == self._digest_files()
        except (OSError, ValueError, AttributeError):
            return {}
        return stamp if sound else {}

    def _digest_files(self) -> dict[str, str]:
        """Of the files that LightRAG wrote; it takes one that it cannot read for an empty one."""
        paths = [path for path in sorted(self.folder.iterdir()) if path != self._stamp]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:24] for path in paths}

    async def _insert(self, rag: Any) -> dict[str, Any] | None:
        """What else is noted of the index."""
        if self._complete is None:
            await rag.ainsert_custom_kg(self._graph)
            return None
        texts, ids = zip(*((one["content"], one["source_id"]) for one in self._graph["chunks"]), strict=True)
        await rag.ainsert(list(texts), ids=list(ids), file_paths=list(ids))
        if failed := (await rag.get_processing_status()).get("failed"):
            raise LightRAGError(f"LightRAG could not read {failed} of {len(ids)} sections; see its log.")
        return None

    async def _embed(self, texts: list[str], context: str = "document", **_: Any) -> Any:
        return await asyncio.to_thread(
            self._encoders.ask if context == "query" else self._encoders.encode, texts
        )

    async def _chat(
        self, prompt: str, system_prompt: str = "", history_messages: Sequence[Any] = (), **_: Any
    ) -> str:
        if self._complete is None:
            raise LightRAGError("LightRAG has no chat model here.")
        system = [{"role": "system", "content": system_prompt}] if system_prompt else []
        return await asyncio.to_thread(
            self._complete, [*system, *history_messages, {"role": "user", "content": prompt}]
        )


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="lightrag").start()
    return loop


def _wait(work: Coroutine[Any, Any, Any]) -> Any:
    """LightRAG's locks belong to one loop; the caller's context, such as its open span, goes along."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result(TIMEOUT_S)
