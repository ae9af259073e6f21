"""The examples of the variants' pages, run as a user would, with a server that plays the model."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec

import pytest

from tests.app.shop import ROOT
from tests.app.variants.pages import gate, read_files
from tests.openai_server import OpenAIServer

pytestmark = pytest.mark.timeout(240)  # a process that imports these libraries takes long on a busy machine


def use(name, arguments):
    """A message that calls a tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"content": None, "tool_calls": [{"id": f"call-{name}", "type": "function", "function": function}]}


@pytest.mark.skipif(not find_spec("autogen_agentchat"), reason="see `make variant NAME=autogen`")
def test_the_page_gates_a_team_of_ones_own(tmp_path):
    calls = [use("transfer_to_support", {}), use("order_status", {"order_id": "A-1042"})]
    said = iter([*calls, "Order A-1042 has been shipped."])
    with OpenAIServer(answer=lambda _: next(said)) as server:
        run = gate(read_files("variants/autogen.md"), tmp_path, OPENAI_BASE_URL=server.url)
    assert "= 1 passed in " in run, run


@pytest.mark.skipif(not find_spec("raganything"), reason="see `make variant NAME=raganything`")
def test_the_page_gates_a_rag_anything_of_ones_own(tmp_path):
    files = {**read_files("variants/raganything.md"), "shop/index.py": SHOP_INDEX, "shop/__init__.py": ""}
    (tmp_path / "golden").mkdir()
    shutil.copy(ROOT / "golden/multimodal/stove-display.png", tmp_path / "golden" / "display.png")
    with OpenAIServer(answer=lambda _: "The display reads EM-03: let the stove cool.") as server:
        run = gate(files, tmp_path, OPENAI_BASE_URL=server.url)
    assert "= 1 passed in " in run, run


SHOP_INDEX = """
from types import SimpleNamespace

import numpy as np
from lightrag import LightRAG
from lightrag.utils import EmbeddingFunc, Tokenizer
from openai import AsyncOpenAI
from raganything import RAGAnything

class Characters:
    def encode(self, content):
        return list(map(ord, content))
    def decode(self, tokens):
        return "".join(map(chr, tokens))

async def embed(texts):
    return np.array([[text.lower().count(word) + 0.1 for word in ("em-03", "gas", "dry")] for text in texts])

async def complete(prompt, system_prompt=None, image_data=None, **_):
    messages = [{"role": "user", "content": f"{system_prompt or ''} {prompt}"}]
    reply = await AsyncOpenAI().chat.completions.create(model="m", messages=messages)
    return reply.choices[0].message.content

async def open_rag():
    embedding = EmbeddingFunc(3, embed)
    rag = LightRAG(working_dir="rag", tokenizer=Tokenizer("c", Characters()), llm_model_func=complete,
                   embedding_func=embedding, enable_llm_cache=False)
    await rag.initialize_storages()
    texts = {"em-03.md": "EM-03: the stove is too hot.", "gas.md": "Gas costs 6.", "care.md": "Dry it."}
    chunks = [{"content": text, "source_id": name, "file_path": name} for name, text in texts.items()]
    await rag.ainsert_custom_kg({"chunks": chunks, "entities": [], "relationships": []})
    modal = RAGAnything(lightrag=rag, llm_model_func=complete, vision_model_func=complete)
    modal.doc_parser = SimpleNamespace(check_installation=lambda: True)  # no parser is installed
    return modal
"""
