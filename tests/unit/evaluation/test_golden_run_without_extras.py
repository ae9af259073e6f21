"""A golden run where personal data cannot be found, since the extra is not installed."""

# ruff: noqa: F811 - fixtures are imported, and named again by the test that takes them

from __future__ import annotations

from pytest_llmops import run_golden
from pytest_llmops.detect.recognizers import numbers
from tests.unit.evaluation.test_golden_run import (  # noqa: F401 - fixtures
    ask,
    client_of,
    golden,
    server,
    settings,
)


def test_secrets_never_reach_a_cassette_without_the_extra(golden, settings, server, tmp_path, monkeypatch):
    monkeypatch.setattr(numbers, "is_installed", lambda: False)
    key = "sk-" + "a1b2" * 8
    client = client_of(server)
    run_golden(golden(f"{{id: a, input: my key is {key}}}"), lambda q: ask(client, q), settings=settings())
    written = [path.read_text(errors="replace") for path in tmp_path.rglob(".llmops/**/*") if path.is_file()]
    assert any("sk-redacted" in text for text in written)
    assert not any(key in text for text in written)
