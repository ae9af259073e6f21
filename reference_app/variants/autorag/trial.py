"""A trial of AutoRAG with the app's encoder: run once, and then asked by AutoRAG's own runner."""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError
from reference_app.variants.documents import lock_index
from reference_app.whole_file import replacing

if TYPE_CHECKING:
    from reference_app.documents.encoders import Encoders
    from reference_app.variants.autorag.tables import Rows

PACKAGE, NEEDED, TIMEOUT_S = "AutoRAG", (0, 3, 27), 900.0
INSTALL = "make variant NAME=autorag"
REBUILD = ".venv-autorag/bin/python -m reference_app.variants.autorag --rebuild"
CONFIG = Path(__file__).parent / "config.yaml"
OFFLINE = {
    "ANONYMIZED_TELEMETRY": "False",  # chromadb
    "DO_NOT_TRACK": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",  # that torch is missing
}


class AutoRAGError(AppError):
    """AutoRAG is not there, or a trial could not be run or does not fit."""


def check_package() -> str:
    """The version that is installed; AutoRAGError where there is none, or another than is needed."""
    try:
        found = version(PACKAGE)
    except PackageNotFoundError:
        raise AutoRAGError(f"{PACKAGE} is not installed; run `{INSTALL}`.") from None
    numbers = tuple(int(each) for each in found.split(".")[:3] if each.isdecimal())
    if numbers[:2] != NEEDED[:2] or numbers < NEEDED:
        raise AutoRAGError(f"{PACKAGE} {found} is installed, and 0.3.27 is needed; run `{INSTALL}`.")
    return found


class Trial:
    """
    AutoRAG's choice among the modules of `config.yaml`; may be asked from many threads.

    Attributes:
        folder: Of the trial, which `llmops choose --autorag` reads.

    Raises:
        AutoRAGError: Not the package that is needed, a run that failed, or vectors of another size.
    """

    def __init__(
        self, texts: Rows, questions: Rows, encoders: Encoders, projects: Path, *, rebuild: bool = False
    ) -> None:
        config = CONFIG.read_text(encoding="utf-8")
        made_of = json.dumps([check_package(), encoders.name, texts, questions, config], default=str)
        self._project = projects / hashlib.sha256(made_of.encode()).hexdigest()[:24]
        self.folder, self._stamp = self._project / "0", self._project / "vectors.json"
        self._texts, self._questions, self._encoders = texts, questions, encoders
        self._runner: Any = None
        dimensions = len(encoders.ask(["?"])[0])
        projects.mkdir(parents=True, exist_ok=True)
        with lock_index(self._project):
            if rebuild:
                self._stamp.unlink(missing_ok=True)
            if not self._stamp.is_file():  # what is there was broken off
                self._call(self._run)
                with replacing(self._stamp) as part:
                    part.write_text(json.dumps({"dimensions": dimensions, "encoder": encoders.name}))
        kept = json.loads(self._stamp.read_bytes())["dimensions"]
        if kept != dimensions:
            wrong = f"has vectors of {kept} dimensions, and {encoders.name} gives {dimensions}"
            raise AutoRAGError(f"The trial {self.folder} {wrong}; run `{REBUILD}`.")

    def search(self, question: str) -> list[str]:
        """The ids of the sections that the chosen pipeline finds, best first."""
        ids: list[str] = self._call(self._ask, question)
        return ids

    def _call(self, work: Callable[..., Any], *given: Any) -> Any:
        """In AutoRAG's thread; the caller's context, such as its open span, goes along."""
        try:
            return _thread().submit(copy_context().run, _quietly, work, *given).result(TIMEOUT_S)
        except AppError:
            raise
        except TimeoutError:
            raise AutoRAGError(f"AutoRAG took longer than {TIMEOUT_S:g} s.") from None
        except Exception as error:  # AutoRAG raises what its libraries do, and AssertionError
            first = next(iter(str(error).splitlines()), "")
            raise AutoRAGError(f"AutoRAG failed: {type(error).__name__}: {first}") from error

    def _run(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._open()
        from autorag.evaluator import Evaluator

        shutil.rmtree(self._project, ignore_errors=True)
        self._project.mkdir(parents=True)
        paths = {name: str(self._project / f"{name}.parquet") for name in ("qa", "corpus")}
        for name, rows in (("qa", self._questions), ("corpus", self._texts)):
            parquet.write_table(pa.table(rows), paths[name])
        evaluator = Evaluator(paths["qa"], paths["corpus"], str(self._project))
        evaluator.start_trial(str(CONFIG), skip_validation=True)  # which would fill the same vector store

    def _ask(self, question: str) -> Any:
        if self._runner is None:
            self._open()
            from autorag.deploy import Runner

            self._runner = Runner.from_trial_folder(str(self.folder))
        return self._runner.run(question, result_column="retrieved_ids")

    def _open(self) -> None:
        """AutoRAG without its log, and with the encoder under the names that the configuration has."""
        os.environ.update(OFFLINE, PROJECT_DIR=str(self._project))
        logging.basicConfig(level=logging.WARNING)  # else AutoRAG logs everything
        hook = sys.excepthook
        from autorag.embedding import base, vllm
        from autorag.utils import util

        sys.excepthook = hook  # AutoRAG sets its own
        atexit.unregister(vllm.VllmEmbedding.close)  # which fails without torch
        util.get_event_loop = asyncio.get_event_loop  # else AutoRAG opens two a question, and closes none
        logging.getLogger("AutoRAG").setLevel(logging.ERROR)
        texts = [util.preprocess_text(text) for text in self._texts["contents"]]  # as AutoRAG encodes them
        passages = dict(zip(texts, self._encoders.of_passages(texts).matrix, strict=True))
        for name, encode in (("shop", self._encoders.ask), ("shop_texts", self._encoders.encode)):
            base.embedding_models[name] = _embedding(passages, encode)


@cache
def _thread() -> ThreadPoolExecutor:
    """One, with a loop of its own: AutoRAG's modules are not made for several."""
    return ThreadPoolExecutor(1, "autorag", lambda: asyncio.set_event_loop(asyncio.new_event_loop()))


def _quietly(work: Callable[..., Any], *given: Any) -> Any:
    """Where BM25 finds no word of a question, AutoRAG divides zero by zero, and goes by the vectors alone."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return work(*given)


def _embedding(passages: dict[str, Any], encode: Callable[[list[str]], Any]) -> Callable[[], Any]:
    """For LlamaIndex: the vectors of known texts, and `encode` for others, which are questions."""
    from llama_index.core.embeddings import BaseEmbedding

    class Known(BaseEmbedding):  # type: ignore[misc] # of a library without types
        def _get_text_embedding(self, text: str) -> list[float]:
            vector = passages[text] if text in passages else encode([text])[0]
            found: list[float] = vector.tolist()
            return found

        _get_query_embedding = _get_text_embedding

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    return lambda: Known(model_name="shop")
