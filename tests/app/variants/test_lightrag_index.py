"""The LightRAG variant with LightRAG; runs in its own environment, by `make variant NAME=lightrag`."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from reference_app.documents.encoders import Encoders
from reference_app.documents.index import Store
from reference_app.errors import AppError, QuestionError
from reference_app.variants.lightrag.graph import build_graph
from reference_app.variants.lightrag.index import Index, LightRAGError
from tests.app.variants.test_lightrag import PRODUCTS, section
from tests.openai_server import OpenAIServer

pytest.importorskip("lightrag")

ROOT = Path(__file__).parents[3]
MODES = ["naive", "local", "global", "hybrid", "mix"]
SECTIONS = [
    section("care-tents#dry", text="Hang the Skerry 2 up until its seams are dry."),
    section("warranty-tents#time", text="A tent has a warranty of five years."),
    section("shipping#price", text="Postage costs four pounds in Britain."),
]
GRAPH = build_graph(SECTIONS, PRODUCTS)
QUESTION = "How long is the warranty of a tent?"
EXTRACTED = (
    "entity<|#|>Tent<|#|>product<|#|>A tent has a warranty.\n"
    "entity<|#|>Warranty<|#|>concept<|#|>It lasts five years.\n"
    "relation<|#|>Tent<|#|>Warranty<|#|>guarantee<|#|>A tent has a warranty of five years.\n"
    "<|COMPLETE|>"
)


@pytest.fixture
def bags(tmp_path):
    """Vectors by words, under the test's name: within a process LightRAG shares indexes by their name."""
    return lambda dimensions: count_words(dimensions, tmp_path.name)


def count_words(dimensions, name):
    def encode(texts):
        rows = np.full((len(texts), dimensions), 0.01, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[zlib.crc32(word.encode()) % dimensions] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return Encoders(name=name, encode=encode, ask=encode, store=Store(folder=Path("unused")))


def find(index, mode="mix", count=2, **options):
    found = index.search(QUESTION, [QUESTION, "Tents"], mode, count, **options)
    return [chunk["file_path"] for chunk in found["chunks"]]


@pytest.fixture
def variables(shop, tmp_path, monkeypatch):
    """Both models at a server of the test, no weights anywhere."""

    def answer(request):
        asked = json.dumps(request["messages"])
        if "entity_extraction" in asked or "Knowledge Graph Specialist" in asked:
            return EXTRACTED
        return (
            '{"high_level_keywords": ["weight"], "low_level_keywords": ["tent"]}'
            if "keyword" in asked
            else "3.4 kg."
        )

    with OpenAIServer(answer=answer) as server:
        given = {
            **shop,
            "REFERENCE_APP_INDEX": str(tmp_path),
            "OPENAI_BASE_URL": server.url,
            "OPENAI_API_KEY": "sk-test",
            "REFERENCE_APP_EMBEDDING_MODEL": "text-embedding-3-small",
            "REFERENCE_APP_WEIGHTS": "/nowhere",
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_finds_the_section_by_its_id(tmp_path, mode, bags):
    assert find(Index(GRAPH, bags(64), tmp_path), mode)[0] == "warranty-tents#time"


def test_nothing_is_loaded_from_the_network(tmp_path, monkeypatch, bags):
    def refuse(*_):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    assert find(Index(GRAPH, bags(64), tmp_path))


def test_an_index_is_built_once_and_found_again(tmp_path, bags):
    first = Index(GRAPH, bags(64), tmp_path)
    stamp = first.folder.joinpath("index.json").stat()
    again = Index(GRAPH, bags(64), tmp_path)

    assert again.folder == first.folder
    assert again.folder.joinpath("index.json").stat().st_mtime_ns == stamp.st_mtime_ns
    assert find(again) == find(first)


def test_an_index_that_was_broken_off_is_built_anew(tmp_path, bags):
    folder = Index(GRAPH, bags(32), tmp_path / "other").folder
    broken = tmp_path / folder.name
    broken.mkdir()
    broken.joinpath("vdb_chunks.json").write_text("{")

    assert find(Index(GRAPH, bags(32), tmp_path))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("vdb_chunks.json", lambda content: content[: len(content) // 2]),
        ("vdb_chunks.json", lambda _: b'{"embedding_dim": 64, "data": [], "matrix": ""}'),
        ("kv_store_text_chunks.json", lambda _: b"{}"),
        ("graph_chunk_entity_relation.graphml", lambda _: b""),
        ("index.json", lambda content: content[:9]),
        ("index.json", lambda _: b"[]"),
        ("vdb_entities.json", None),
    ],
)
def test_a_damaged_index_is_built_anew(tmp_path, bags, name, damage):
    first = Index(GRAPH, bags(64), tmp_path)
    found = {mode: find(first, mode) for mode in MODES}
    path = first.folder / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))

    again = Index(GRAPH, bags(64), tmp_path)

    assert {mode: find(again, mode) for mode in MODES} == found


def test_another_document_is_another_index(tmp_path, bags):
    fewer = build_graph([SECTIONS[0], SECTIONS[2]], PRODUCTS)

    assert Index(GRAPH, bags(64), tmp_path).folder != Index(fewer, bags(64), tmp_path).folder
    assert "warranty-tents#time" not in find(Index(fewer, bags(64), tmp_path))


def test_an_index_of_another_size_is_refused_until_it_is_rebuilt(tmp_path, bags):
    Index(GRAPH, bags(16), tmp_path)

    with pytest.raises(LightRAGError, match=r"16 dimensions, and \w+ gives 24; run `.* --rebuild`"):
        Index(GRAPH, bags(24), tmp_path)


def test_many_threads_ask_at_once(tmp_path, bags):
    index = Index(GRAPH, bags(64), tmp_path)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: find(index), range(24)))

    assert all(each == found[0] for each in found)


def test_a_question_that_is_too_short_finds_nothing(tmp_path, bags):
    assert Index(GRAPH, bags(64), tmp_path).search("?", ["?"], "mix", 2)["chunks"] == []


@pytest.mark.parametrize("mode", MODES)
def test_lightrag_extracts_its_own_graph_with_a_chat_model(tmp_path, mode, bags):
    index = Index(GRAPH, bags(64), tmp_path, lambda _: EXTRACTED)

    assert set(find(index, mode)) <= {one.id for one in SECTIONS}
    assert find(index, mode)


def test_sections_that_the_chat_model_could_not_read_are_counted(tmp_path, bags):
    def fail(_):
        raise OSError("no answer")

    with pytest.raises(LightRAGError, match="could not read 3 of 3 sections"):
        Index(GRAPH, bags(64), tmp_path, fail)
    assert not list(tmp_path.glob("*/index.json"))


def test_a_larger_model_extracts_and_answers(variables):
    from reference_app.variants.lightrag import answer

    output = answer("How heavy is the Kestrel tent?")

    assert output["text"] == "3.4 kg."
    assert "tents#weight" in [each["id"] for each in output["passages"]]
    assert output["model"] == "gpt-4o-mini"
    assert any("Knowledge Graph Specialist" in json.dumps(request) for request in variables.requests)


def test_a_model_that_fails_is_an_error_and_no_answer(variables, monkeypatch):
    from reference_app.variants.lightrag import answer
    from reference_app.variants.lightrag.app import open_variant

    monkeypatch.setenv("REFERENCE_APP_LIGHTRAG_EXTRACT", "0")
    monkeypatch.setenv("REFERENCE_APP_LIGHTRAG_MODE", "naive")
    open_variant()
    variables.fault = "401"
    with pytest.raises(AppError, match="401"):
        answer("How heavy is the Kestrel tent?")


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("question", ["", "  ", None, ["a", "b"]])
def test_what_is_no_question_is_refused(monkeypatch, question):
    from reference_app.variants.lightrag import answer

    monkeypatch.setenv("REFERENCE_APP_LIGHTRAG_EXTRACT", "0")
    with pytest.raises(QuestionError, match="empty"):
        answer(question)


SHOP_INDEX = """
import os
import numpy as np
from lightrag import LightRAG
from lightrag.utils import EmbeddingFunc, Tokenizer
from openai import AsyncOpenAI

class Characters:
    def encode(self, content):
        return list(map(ord, content))
    def decode(self, tokens):
        return "".join(map(chr, tokens))

async def embed(texts):
    words = ("warranty", "postage", "dry")
    return np.array([[text.lower().count(word) + 0.1 for word in words] for text in texts])

async def complete(prompt, system_prompt=None, **_):
    messages = [{"role": "user", "content": f"{system_prompt or ''} {prompt}"}]
    reply = await AsyncOpenAI().chat.completions.create(model="m", messages=messages)
    return reply.choices[0].message.content

async def open_rag():
    rag = LightRAG(
        working_dir="rag",
        tokenizer=Tokenizer("characters", Characters()),
        llm_model_func=complete,
        embedding_func=EmbeddingFunc(3, embed),
        enable_llm_cache=False,
    )
    await rag.initialize_storages()
    texts = {"warranty.md": "A warranty of five years.", "posts.md": "Postage costs 4.", "care.md": "Dry it."}
    chunks = [{"content": text, "source_id": name, "file_path": name} for name, text in texts.items()]
    await rag.ainsert_custom_kg({"chunks": chunks, "entities": [], "relationships": []})
    return rag
"""


def test_the_example_of_the_page_gates_a_lightrag(tmp_path, monkeypatch):
    page = (ROOT / "docs/variants/lightrag.md").read_text(encoding="utf-8")
    bot, golden = re.findall(r"```(?:python|yaml)\n(.*?)```", page, re.DOTALL)
    more = "  - {id: care, input: Must the tent dry?, relevant: [care.md]}\n"
    for name, text in {
        "shop/__init__.py": "",
        "shop/index.py": SHOP_INDEX,
        "shop/bot.py": bot,
        "golden/docs.yaml": golden + more,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def answer(request):
        asked = json.dumps(request["messages"])
        if "low_level_keywords" in asked:
            return '{"high_level_keywords": ["warranty"], "low_level_keywords": ["tent"]}'
        return "It lasts five years."

    with OpenAIServer(answer=answer, latency_s=0.3) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "--llm-golden", "--llm-out", "run.json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    assert run.returncode == 0, run.stdout + run.stderr
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    assert {one["case"]: one["outputs"][0]["usage"]["calls"] for one in results} == {
        "golden/docs.yaml::warranty": 2,
        "golden/docs.yaml::care": 2,
    }
