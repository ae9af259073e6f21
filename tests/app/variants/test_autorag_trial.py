"""The AutoRAG variant with AutoRAG; runs in its own environment, by `make variant NAME=autorag`."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reference_app.documents.encoders import Encoders
from reference_app.documents.index import Store
from reference_app.errors import QuestionError
from reference_app.variants.autorag.tables import list_questions, list_texts
from reference_app.variants.autorag.trial import AutoRAGError, Trial
from tests.app.variants.test_autorag import case, section
from tests.command import main

pytest.importorskip("autorag")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

ROOT = Path(__file__).parents[3]
SECTIONS = [
    section("care-tents#dry", text="Hang the Skerry 2 up until its seams are dry."),
    section("warranty-tents#time", text="A tent has a warranty of five years."),
    section("shipping#price", text="Postage costs four pounds in Britain."),
    section("returns#window", text="Send it back within sixty days of delivery."),
    section("shops#hours", text="Shops open at nine and close at six."),
    section("gifts#cards", text="A voucher is valid for two years."),
]
ASKED = {
    "warranty-tents#time": "How long is the warranty of a tent?",
    "shipping#price": "What does postage in Britain cost?",
    "shops#hours": "When do the shops open?",
    "gifts#cards": "How long is a voucher valid?",
}
QUESTION = ASKED["warranty-tents#time"]
TEXTS = list_texts(SECTIONS)
QUESTIONS = list_questions(
    [case(id=name.partition("#")[0], input=text, relevant=[name]) for name, text in ASKED.items()], TEXTS
)


def bags(folder, dimensions=64, name="bags"):
    """Vectors by words."""

    def encode(texts):
        rows = np.full((len(texts), dimensions), 0.01, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[zlib.crc32(word.encode()) % dimensions] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return Encoders(name=name, encode=encode, ask=encode, store=Store(folder=folder))


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    return tmp_path_factory.mktemp("projects")


@pytest.fixture(scope="module")
def trial(projects):
    """Run without a network."""

    def refuse(*_):
        raise AssertionError("a connection")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        return Trial(TEXTS, QUESTIONS, bags(projects), projects)


@pytest.fixture
def copy(trial, tmp_path):
    """The same trial's files where a test may break them."""
    shutil.copytree(trial.folder.parent.parent, tmp_path / "projects")
    return tmp_path / "projects" / trial.folder.relative_to(trial.folder.parent.parent)


@pytest.mark.parametrize(("name", "question"), ASKED.items())
def test_the_chosen_pipeline_finds_the_section_by_its_id(trial, name, question):
    assert trial.search(question)[0] == name


def test_the_pipeline_answers_as_it_did_in_the_trial(trial):
    from pyarrow import parquet

    (best,) = trial.folder.glob("retrieve/passage_filter/best_*.parquet")
    rows = parquet.read_table(best).to_pylist()
    assert [trial.search(row["query"]) for row in rows] == [row["retrieved_ids"] for row in rows]


def test_a_real_trial_is_read_whole(trial, monkeypatch, capsys):
    monkeypatch.chdir(trial.folder.parent)
    assert main(["choose", "--autorag", "0", "--out", "nodes.json"]) == 2  # four questions decide nothing

    nodes = {one["node"]: one for one in json.loads(Path("nodes.json").read_text())["nodes"]}
    assert {name: len(one["choice"]["candidates"]) for name, one in nodes.items()} == {
        "retrieve/hybrid_retrieval": 5,
        "retrieve/lexical_retrieval": 2,
        "retrieve/passage_filter": 4,
        "retrieve/passage_reranker": 2,
        "retrieve/semantic_retrieval": 2,
    }
    metrics = nodes["retrieve/passage_filter"]["choice"]["metrics"]
    assert metrics == ["retrieval_recall", "retrieval_precision"]
    assert all(one["choice"]["cases"] == 4 and not one["choice"]["notes"] for one in nodes.values())
    assert "did not finish" not in capsys.readouterr().err


def test_a_question_is_encoded_as_one_or_as_a_text(copy):
    from autorag.embedding import base

    sound = bags(copy.parents[1])
    Trial(TEXTS, QUESTIONS, replace(sound, ask=lambda texts: -sound.encode(texts)), copy.parents[1])._open()
    asked, read = (base.embedding_models[name]() for name in ("shop", "shop_texts"))

    assert asked.get_text_embedding(QUESTION) == (-sound.encode([QUESTION])[0]).tolist()
    assert read.get_text_embedding(QUESTION) == sound.encode([QUESTION])[0].tolist()
    passage = TEXTS["contents"][0]
    assert asked.get_text_embedding(passage) == read.get_text_embedding(passage)
    assert asked.get_text_embedding(passage) == sound.encode([passage])[0].tolist()


def test_many_threads_ask_at_once(trial):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(trial.search, [*ASKED.values()] * 6))

    assert [ids[0] for ids in found] == [*ASKED] * 6


def test_a_trial_that_was_killed_is_run_anew(copy, monkeypatch, capsys):
    (copy.parent / "vectors.json").unlink()
    for path in ("summary.csv", "retrieve/summary.csv", "retrieve/passage_reranker/summary.csv"):
        (copy / path).unlink()
    shutil.rmtree(copy / "retrieve/passage_filter")
    monkeypatch.chdir(copy.parent)
    assert main(["choose", "--autorag", "0"]) == 3
    assert "AutoRAG did not finish it" in capsys.readouterr().err

    monkeypatch.undo()
    folder = Trial(TEXTS, QUESTIONS, bags(copy.parents[1]), copy.parents[1]).folder
    assert folder == copy
    assert (copy / "retrieve/passage_filter/summary.csv").is_file()


def test_vectors_of_another_size_are_refused(copy):
    with pytest.raises(AutoRAGError, match=r"64 dimensions, and bags gives 24; run `.* --rebuild`"):
        Trial(TEXTS, QUESTIONS, bags(copy.parents[1], 24), copy.parents[1])


def test_a_vector_store_that_others_made_is_one_line(copy):
    (copy.parent / "vectors.json").write_text('{"dimensions": 24}')

    with pytest.raises(AutoRAGError, match=r"^AutoRAG failed: \w+: [^\n]*dimension of 64, got 24$"):
        Trial(TEXTS, QUESTIONS, bags(copy.parents[1], 24), copy.parents[1]).search(QUESTION)


@pytest.mark.parametrize("files", ["data/corpus.parquet", "resources/bm25_*.pkl", "0/summary.csv"])
def test_files_of_a_trial_that_are_damaged_are_one_line(copy, files):
    for path in copy.parent.glob(files):
        path.write_bytes(b"PAR1 is no parquet")

    with pytest.raises(AutoRAGError, match=r"^AutoRAG failed: \w+: [^\n]*$"):
        Trial(TEXTS, QUESTIONS, bags(copy.parents[1]), copy.parents[1]).search(QUESTION)


def test_autorag_refuses_what_the_tables_do_not_let_through(tmp_path):
    """A need that no section has; `list_questions` names it."""
    wrong = {**QUESTIONS, "retrieval_gt": [[["nowhere#at-all"]]] * len(ASKED)}

    with pytest.raises(AutoRAGError, match=r"^AutoRAG failed: AssertionError: 4 doc_ids in retrieval_gt do"):
        Trial(TEXTS, wrong, bags(tmp_path), tmp_path)


@pytest.mark.parametrize("question", ["", "  ", None, ["a", "b"]])
def test_what_is_no_question_is_refused(small_shop, tmp_path, monkeypatch, question):
    from reference_app.variants.autorag import app

    monkeypatch.setattr(app, "load_cases", lambda _: [case(relevant=["tents#weight"])])
    with pytest.raises(QuestionError, match="empty"):
        app.AutoRAGApp(small_shop(), tmp_path).answer(question)


def test_an_answer_has_the_passages_of_the_pipeline_and_a_retrieval_span(small_shop, tmp_path, monkeypatch):
    from reference_app.variants.autorag import app

    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)  # once in a process

    monkeypatch.setattr(app, "load_cases", lambda _: [case(relevant=["tents#weight"])])
    variant = app.AutoRAGApp(small_shop(), tmp_path)
    monkeypatch.setattr(variant.trial, "search", lambda _: ["tents#weight"])

    output = variant.answer("How heavy is the Kestrel tent?")

    assert [one["id"] for one in output["passages"]] == ["tents#weight"]
    assert output["text"]
    by_name = {span.name: span for span in spans.get_finished_spans()}
    retrieval, root = by_name["retrieval knowledge"], by_name["autorag"]
    (document,) = json.loads(retrieval.attributes["gen_ai.retrieval.documents"])
    assert document["id"] == "tents#weight"
    assert retrieval.context.trace_id == root.context.trace_id


PIPELINE = """
vectordb:
  - {name: mock, db_type: chroma, client_type: persistent, embedding_model: mock, collection_name: mock,
     path: "${PROJECT_DIR}/chroma"}
node_lines:
  - node_line_name: retrieve
    nodes:
      - {node_type: lexical_retrieval, strategy: {metrics: [retrieval_recall]}, top_k: 5,
         modules: [{module_type: bm25}]}
      - {node_type: semantic_retrieval, strategy: {metrics: [retrieval_recall]}, top_k: 5,
         modules: [{module_type: vectordb, vectordb: mock}]}
      - {node_type: hybrid_retrieval, strategy: {metrics: [retrieval_recall]}, top_k: 3,
         modules: [{module_type: hybrid_cc, weight_range: "(0.0, 0.0)", test_weight_size: 1}]}
"""
RUN = """
import datetime as dt
import pyarrow as pa
from pyarrow import parquet
from autorag.evaluator import Evaluator

texts = {"warranty.md": "A tent has a warranty of five years.", "posts.md": "Postage costs four pounds.",
         "care.md": "Hang it up to dry.", "hours.md": "We open at nine."}
day = {"last_modified_datetime": dt.datetime(2026, 1, 1)}
corpus = {"doc_id": list(texts), "contents": list(texts.values()), "metadata": [day] * len(texts)}
questions = {"qid": ["a"], "query": ["How long is the warranty of a tent?"],
             "retrieval_gt": [[["warranty.md"]]], "generation_gt": [["Five years."]]}
parquet.write_table(pa.table(corpus), "corpus.parquet")
parquet.write_table(pa.table(questions), "qa.parquet")
Evaluator("qa.parquet", "corpus.parquet", "project").start_trial("pipeline.yaml", skip_validation=True)
"""


@pytest.mark.timeout(180)  # AutoRAG is imported twice
def test_the_example_of_the_page_gates_a_pipeline(tmp_path):
    page = (ROOT / "docs/variants/autorag.md").read_text(encoding="utf-8")
    bot, golden = re.findall(r"```(?:python|yaml)\n(.*?)```", page, re.DOTALL)
    more = "  - {id: care, input: How do I dry it?, relevant: [care.md]}\n"
    for name, text in {
        "shop/__init__.py": "",
        "shop/model.py": "def write(question, passages):\n    return passages[0]['text']\n",
        "shop/bot.py": bot,
        "golden/docs.yaml": golden + more,
        "shop/worse.py": bot.replace('"retrieved_ids")', '"retrieved_ids")[1:]'),
        "golden/worse.yaml": golden.replace("shop.bot", "shop.worse"),
        "pipeline.yaml": PIPELINE,
        "run.py": RUN,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def start(*arguments):
        return subprocess.run(  # noqa: S603 - files of this test
            [sys.executable, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    made = start("run.py")
    assert made.returncode == 0, made.stdout + made.stderr
    run = start("-m", "pytest", "--llm-golden", "--llm-out", "run.json", "-p", "no:asyncio")
    assert run.returncode == 1, run.stdout + run.stderr
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    assert {one["case"] for one in results} == {
        "golden/docs.yaml::warranty",
        "golden/docs.yaml::care",
        "golden/worse.yaml::warranty",
    }
    failed = set(re.findall(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE))
    assert failed == {"golden/worse.yaml::warranty", "golden/worse.yaml::suite[recall@3]"}, run.stdout
