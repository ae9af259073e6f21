"""
The shop's documents behind the search pipeline that AutoRAG chose among those of `config.yaml`.

`python -m reference_app.variants.autorag` runs the trial; `answer` asks AutoRAG's own runner, in its order,
and quotes the section that it finds first. No generator is tried.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import threading
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from reference_app.variants.documents import embed, load_sections

CONFIG, GOLDEN = (Path(__file__).with_name(name) for name in ("config.yaml", "golden.yaml"))
PROJECTS = Path("build/autorag").absolute()
_running = threading.Lock()  # neither a trial nor a runner is made for several threads


def answer(question: str) -> dict[str, Any]:
    """
    Answer one question from the documents.

    Returns:
        `text`, and `passages` with `id` and `text` each, in the pipeline's order.
    """
    with _running:
        ids = list(_open_runner().run(question, result_column="retrieved_ids"))
    texts = {section.id: section.text for section in load_sections()}
    passages = [{"id": name, "text": texts[name]} for name in ids]
    return {"text": passages[0]["text"] if passages else "", "passages": passages}


def run_trial() -> Path:
    """The folder of the trial on these documents and questions, which is run at first use."""
    project = _find_project()
    if not (project / "0" / "summary.csv").exists():
        import pyarrow as pa
        from autorag.evaluator import Evaluator
        from pyarrow import parquet

        _open_autorag(project)
        project.mkdir(parents=True, exist_ok=True)
        tables = {"corpus": _corpus(), "qa": _questions()}
        for name, columns in tables.items():
            parquet.write_table(pa.table(columns), project / f"{name}.parquet")
        evaluator = Evaluator(str(project / "qa.parquet"), str(project / "corpus.parquet"), str(project))
        evaluator.start_trial(str(CONFIG), skip_validation=True)  # which would fill the same vector store
    return project / "0"


@cache
def _open_runner() -> Any:
    from autorag.deploy import Runner

    trial = run_trial()
    _open_autorag(trial.parent)
    return Runner.from_trial_folder(str(trial))


def _find_project() -> Path:
    made_of = [CONFIG.read_text(encoding="utf-8"), _corpus(), _questions()]
    return PROJECTS / sha256(repr(made_of).encode()).hexdigest()[:16]


def _corpus() -> dict[str, list[Any]]:
    sections = load_sections()
    dates = [dt.datetime.fromisoformat(section.updated) for section in sections]
    return {
        "doc_id": [section.id for section in sections],
        "contents": [section.headed for section in sections],
        "metadata": [{"last_modified_datetime": date} for date in dates],
    }


def _questions() -> dict[str, list[Any]]:
    """The golden file's own cases, so the pipeline is chosen by what it is then measured with."""
    import yaml

    cases = yaml.safe_load(GOLDEN.read_text(encoding="utf-8"))["cases"]
    return {
        "qid": [case["id"] for case in cases],
        "query": [case["input"] for case in cases],
        "retrieval_gt": [[[name] for name in case["relevant"]] for case in cases],
        "generation_gt": [[case["reference"]] for case in cases],
    }


def _open_autorag(project: Path) -> None:
    """Tell AutoRAG where the project is, and what the encoder `shop` of its configuration is."""
    os.environ |= {"PROJECT_DIR": str(project), "ANONYMIZED_TELEMETRY": "False", "HF_HUB_OFFLINE": "1"}
    from autorag.embedding.base import embedding_models
    from autorag.utils import util
    from llama_index.core.embeddings import BaseEmbedding

    class Shop(BaseEmbedding):  # type: ignore[misc]  # of a library without types
        def _get_text_embedding(self, text: str) -> list[float]:
            vector: list[float] = embed([text])[0].tolist()
            return vector

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    embedding_models["shop"] = Shop
    util.get_event_loop = cache(asyncio.new_event_loop)  # else AutoRAG opens two a question, and closes none
