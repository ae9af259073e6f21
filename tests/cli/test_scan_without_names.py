"""`llmops scan --names` where the model of names is not installed."""

from __future__ import annotations

from pytest_llmops.detect.recognizers import entities
from tests.command import main


def test_without_the_model_names_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "clean.txt").write_text("Within 60 days.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(entities, "is_installed", lambda: False)

    assert main(["scan", "clean.txt", "--names"]) == 4
    assert 'pip install "pytest-llmops[pii-names]"' in capsys.readouterr().err
