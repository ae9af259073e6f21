"""
Libraries that threads of a run import at their first use, imported before the app is called.

While one thread imports a library, another may find it half made in `sys.modules`. The `openai` client looks
there for `httpx`, which Presidio imports: the app's calls under way would then raise, and it would be blamed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module

from pytest_llmops.detect.recognizers import numbers
from pytest_llmops.judges.model import EMBEDDED
from pytest_llmops.models.encoders import EncoderChoice
from pytest_llmops.protocols import Metric
from pytest_llmops.settings import RecordMode

_MASKING = ("presidio_analyzer.predefined_recognizers", "phonenumbers", "tldextract")
_OF_WEIGHTS = {
    "minilm": ("numpy", "safetensors.numpy", "tokenizers"),
    "injection": ("numpy", "onnxruntime", "tokenizers"),
}


def import_libraries(
    metrics: Iterable[Metric] = (), *, record: RecordMode = "none", scores_here: bool = True
) -> None:
    """
    Import what masking, judges and encoders of a run use; what this run does not use is left alone.

    A library that is missing or broken is reported by its first use. The one of sentence-transformers is not
    imported ahead: it takes many seconds, and a run whose vectors are cached needs none of it.

    Args:
        metrics: Of the run's cases.
        record: With `none`, judges are answered from cassettes, without their client.
        scores_here: Metrics that compute do so in this process, and not in the session's scoring service.
    """
    names = set(_MASKING if numbers.is_installed() else ())
    for metric in metrics:
        names.update(_of_judges(metric) if record != "none" else ())
        names.update(_of_encoders(metric) if scores_here else ())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries' own imports
        for name in sorted(names):
            with suppress(Exception):
                import_module(name)


def _of_judges(metric: Metric) -> Iterator[str]:
    for judge in getattr(metric, "judges", ()):
        yield "openai"
        if judge.model == EMBEDDED:
            yield "xllamacpp"


def _of_encoders(metric: Metric) -> Iterator[str]:
    for name in getattr(metric, "weights", ()):
        yield from _OF_WEIGHTS.get(name, ())
    encoder = getattr(metric, "encoder", None)
    if isinstance(encoder, EncoderChoice) and encoder.is_endpoint:
        yield from ("numpy", "openai")
