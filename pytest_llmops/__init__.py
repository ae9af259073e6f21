"""
pytest-llmops: one gate for LLM apps.

The public names load on first use, so that an idle plugin costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_llmops.evaluation.golden_run import run_golden as run_golden
    from pytest_llmops.evaluation.parts import merge as merge
    from pytest_llmops.features.calibrate.scoring import score as score
    from pytest_llmops.features.deepeval.wrapped import as_deepeval as as_deepeval
    from pytest_llmops.features.scan.files import scan as scan
    from pytest_llmops.gates.comparison import compare as compare
    from pytest_llmops.golden.loader import load_golden as load_golden
    from pytest_llmops.metrics.custom import metric as metric
    from pytest_llmops.records import Case as Case
    from pytest_llmops.records import Golden as Golden
    from pytest_llmops.records import Output as Output
    from pytest_llmops.records import Passage as Passage
    from pytest_llmops.records import Run as Run
    from pytest_llmops.records import Score as Score
    from pytest_llmops.records import ToolCall as ToolCall
    from pytest_llmops.reports.files.baseline_file import load_base
    from pytest_llmops.reports.files.run_file import write_run as write_run
    from pytest_llmops.settings import Settings as Settings
    from pytest_llmops.settings import load_settings as load_settings

    load_run = load_base  # a baseline can be compared with as any run can

_HOMES = {
    "Case": "records",
    "Golden": "records",
    "Output": "records",
    "Passage": "records",
    "Run": "records",
    "Score": "records",
    "Settings": "settings",
    "ToolCall": "records",
    "as_deepeval": "features.deepeval.wrapped",
    "compare": "gates.comparison",
    "load_golden": "golden.loader",
    "load_run": "reports.files.baseline_file:load_base",
    "load_settings": "settings",
    "merge": "evaluation.parts",
    "metric": "metrics.custom",
    "run_golden": "evaluation.golden_run",
    "scan": "features.scan.files",
    "score": "features.calibrate.scoring",
    "write_run": "reports.files.run_file",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - the table is the one list of public names


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute or name)
