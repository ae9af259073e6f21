"""Weights of this package that are missing or broken are named, whichever metric reads them."""

from __future__ import annotations

import pytest

from pytest_llmops.errors import WeightsError
from pytest_llmops.metrics import packaged
from pytest_llmops.metrics.faithfulness.model import load_model as load_faithfulness
from pytest_llmops.metrics.injection.classifier import load_head
from pytest_llmops.metrics.support.model import load_model as load_supported
from pytest_llmops.records import Output, Passage, Sample
from pytest_llmops.registry import create_metric

MESSAGES = {
    "faithfulness": (load_faithfulness, r"model\.json of the faithfulness scorer is broken"),
    "supported": (load_supported, r"model\.json of the metric supported is broken"),
    "injection": (load_head, r"head\.json of the injection metric is broken"),
}


@pytest.mark.parametrize("metric", MESSAGES)
@pytest.mark.parametrize("written", [None, "{", "[]", "{}", '{"support": {"features": {"x": {}}}}', "\udcff"])
def test_broken_weights_are_named(metric, written, monkeypatch, tmp_path):
    load, message = MESSAGES[metric]
    if written is not None:
        for name in ("model.json", "head.json"):
            (tmp_path / name).write_bytes(written.encode("utf-8", "surrogateescape"))
    output = Output(
        text="The old boots are sold for £5.", passages=(Passage(id="p", text="The old boots are free."),)
    )
    monkeypatch.setattr(packaged, "files", lambda _package: tmp_path)
    load.cache_clear()
    try:
        with pytest.raises(WeightsError, match=message):
            create_metric(metric, {}).score([Sample(output=output)])
    finally:
        load.cache_clear()
