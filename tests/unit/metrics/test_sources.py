from __future__ import annotations

import sys

from pytest_llmops.metrics.sources import sign_source
from pytest_llmops.records import Score

METRIC = """
class Short:
    name = "short"

    def score(self, batch):
        return []
"""


def test_a_score_is_signed_once_however_often(tmp_path, monkeypatch):
    """A run scores within a time limit, and both see to it that a score says how it was made."""
    (tmp_path / "own_short.py").write_text(METRIC)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_short", raising=False)
    from own_short import Short

    once = sign_source(Short(), Score(metric="short", value=1.0, signature="short|v1"))

    assert once.signature.startswith("short|v1|code:")
    assert sign_source(Short(), once) == once
