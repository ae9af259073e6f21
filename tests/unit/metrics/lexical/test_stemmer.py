from __future__ import annotations

import sys

from pytest_llmops.metrics.lexical import rouge
from tests.scoring import refuse


def test_a_stemmer_that_is_not_installed_is_told_before_the_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "nltk.stem.porter", None)
    rouge._stem.cache_clear()

    refuse("rouge_1", 'pip install "pytest-llmops[rouge]"', stemmer=True)
