"""DeepEval's metrics as checks of ours, and ours as DeepEval's; the library is imported when one is made."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_llmops.hookspecs import hookimpl


@hookimpl
def llmops_metrics() -> Mapping[str, str]:
    return {"deepeval": f"{__name__}.check:DeepEval"}
