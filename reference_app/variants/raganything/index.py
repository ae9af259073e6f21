"""RAG-Anything over the shop's graph: tables, pictures and equations by its modal processors."""

from __future__ import annotations

import asyncio
import atexit
import base64
import json
import re
from dataclasses import asdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from reference_app.variants.lightrag.index import Index, LightRAGError, check_package
from reference_app.variants.raganything.pictures import read_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from reference_app.documents.encoders import Encoders
    from reference_app.variants.lightrag.graph import Graph
    from reference_app.variants.raganything.content import Item

FORMAT = 3  # raised when the same items would be described otherwise
PACKAGES = {"lightrag-hku": "1.4.", "raganything": "1.4.", "rapidocr-onnxruntime": "1."}
INSTALL = "make variant NAME=raganything"
REBUILD = ".venv-raganything/bin/python -m reference_app.variants.raganything --rebuild"
_CHUNK = re.compile(
    r"\s*(?:Image Content|Table|Mathematical Equation) Analysis:\n"
    r"(?:.*?\nCaptions?: (?P<caption>[^\n]*)\n)?.*?\n\n(?:Visual |Mathematical )?Analysis: (?P<text>.*)",
    re.DOTALL,
)  # RAG-Anything's templates


def check_packages() -> str:
    """The versions that are installed; LightRAGError where one is missing, or another than is needed."""
    return " ".join(check_package(name, needed, INSTALL) for name, needed in PACKAGES.items())


class ModalIndex(Index):
    """
    Sections as in `Index`, and items that RAG-Anything takes in; may be asked from many threads.

    Args:
        find_names: The products and materials that a text names, to which an item belongs.
        vision: Whether the chat model sees the pictures, besides the text that the OCR reads in them.
    """

    rebuild_command = REBUILD
    options: ClassVar[dict[str, Any]] = {
        "entity_extract_max_gleaning": 0,
        "force_llm_summary_on_merge": 1000,
        "enable_llm_cache_for_entity_extract": False,
    }

    def __init__(  # noqa: PLR0913 - what an index is made of
        self,
        graph: Graph,
        encoders: Encoders,
        folder: Path,
        complete: Callable[[Any], str] | None = None,
        *,
        items: Sequence[Item],
        find_names: Callable[[str], list[str]],
        vision: bool = False,
        rebuild: bool = False,
    ) -> None:
        self._items, self._find_names, self._vision = items, find_names, vision
        self._item, self._said = items[0], ""
        self._error: Exception | None = None
        made_of = [{**asdict(item), "vision": vision, "format": FORMAT} for item in items]
        super().__init__({**graph, "items": made_of}, encoders, folder, complete, rebuild=rebuild)

    def check(self) -> str:
        return check_packages()

    @property
    def described(self) -> dict[str, str]:
        """By an item's id the text in which it is found."""
        described: dict[str, str] = self.stamp["described"]
        return described

    async def _insert(self, rag: Any) -> dict[str, Any]:
        await super()._insert(rag)
        from raganything import RAGAnything, RAGAnythingConfig

        config = RAGAnythingConfig(
            working_dir=str(self.folder), use_full_path=False, display_content_stats=False
        )
        modal = RAGAnything(
            lightrag=rag, llm_model_func=self._describe, vision_model_func=self._describe, config=config
        )
        atexit.unregister(modal.close)
        modal.doc_parser = SimpleNamespace(check_installation=lambda: True)  # no document is parsed
        described = {}
        for item in self._items:
            self._item, self._error, name = item, None, item.id
            parts = [dict(part.entry) for part in item.parts]
            await modal.insert_content_list(parts, file_path=name, doc_id=name)
            if self._error is not None:  # RAG-Anything has logged it, and went on without a description
                raise self._error
            chunks = ((await rag.doc_status.get_by_id(name)) or {}).get("chunks_list") or []
            contents = [one["content"] for one in await rag.text_chunks.get_by_ids(chunks) if one]
            if len(contents) != len(parts) or not (found := _CHUNK.fullmatch(contents[0])):
                raise LightRAGError(f"RAG-Anything could not read {name!r}; see its log.")
            described[name] = found["text"]
        return {"described": described}

    async def _embed(self, texts: list[str], context: str = "document", **given: Any) -> Any:
        """Without RAG-Anything's templates, whose words and paths of pictures make all items alike."""
        found = [_CHUNK.fullmatch(text) for text in texts]
        bare = [
            ". ".join(filter(None, match.groups())) if match else text
            for match, text in zip(found, texts, strict=True)
        ]
        return await super()._embed(bare, context, **given)

    async def _describe(self, prompt: str, image_data: str = "", **_: Any) -> str:
        """What is being read, as the JSON that RAG-Anything's processors want."""
        try:
            return await asyncio.to_thread(self._say, prompt, image_data)
        except Exception as error:
            self._error = error
            raise

    def _say(self, prompt: str, image_data: str) -> str:
        item = self._item
        part = next(each for each in item.parts if each.is_asked_for(prompt))  # the whole is the first
        read = read_picture(base64.b64decode(image_data), part.entry["img_path"]) if image_data else ""
        said = f"{part.text} {read}".strip() or item.caption
        if part is item.parts[0]:
            self._said = said
        if self._complete is not None:
            text = f"{prompt}\n\nTitle: {part.name}\nKnown content: {said}"
            return self._complete([as_message(text, image_data if self._vision else "")])
        info = {"entity_name": part.name, "entity_type": item.kind, "summary": said}
        return json.dumps({"detailed_description": said, "entity_info": info})

    async def _chat(self, prompt: str, *args: Any, **given: Any) -> str:
        """Entities of the item that is being read: without a chat model the names in it."""
        if self._complete is not None:
            return await super()._chat(prompt, *args, **given)
        item = self._item
        lines: list[tuple[str, ...]] = [("entity", item.title, item.kind, self._said)]
        for name in self._find_names(f"{item.title}. {self._said}"):
            lines.append(("entity", name, "product", f"{name}, what we sell"))
            lines.append(("relation", name, item.title, item.kind, f"{name}: {item.title}"))
        return "\n".join("<|#|>".join(line) for line in lines) + "\n<|COMPLETE|>"


def as_message(text: str, image_data: str) -> dict[str, Any]:
    """A message to the chat model, with a picture in base64 if there is one."""
    if not image_data:
        return {"role": "user", "content": text}
    kind = "jpeg" if image_data.startswith("/9j/") else "webp" if image_data.startswith("UklG") else "png"
    picture = {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{image_data}"}}
    return {"role": "user", "content": [{"type": "text", "text": text}, picture]}
