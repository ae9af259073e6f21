"""Several sessions of one process share what judges use; each has its callers."""

from __future__ import annotations

import pytest

from pytest_llmops.evaluation.session import Session
from pytest_llmops.golden import load_golden
from pytest_llmops.judges import completion
from pytest_llmops.settings import Settings

PROMPT = "---\nname: planner\nversion: {}\nkind: planner\n---\nhi\n"


@pytest.fixture
def settings(tmp_path):
    return Settings(root=tmp_path)


def test_calls_of_judges_are_cancelled_with_the_last_session(settings, monkeypatch):
    """A script that runs a golden set inside a pytest session leaves the session's own judges alone."""
    closed = []
    monkeypatch.setattr(completion, "close", lambda: closed.append("judges"))
    outer, inner = Session.open(settings, naming=""), Session.open(settings, naming="")
    inner.close()
    assert closed == []
    outer.close()
    assert closed == ["judges"]


def test_one_app_of_two_files_has_the_prompts_of_each_and_one_loop(settings, tmp_path):
    for at, version in enumerate(("1.0.0", "2.0.0")):
        (tmp_path / f"{at}.md").write_text(PROMPT.format(version))
        (tmp_path / f"{at}.yaml").write_text(f"prompts: [{at}.md]\ncases: [{{id: a, input: hi}}]\n")
    session = Session.open(settings, naming="")

    def app(question: str) -> str:
        return question

    try:
        first, second = (session.caller(app, load_golden(f"{at}.yaml", root=tmp_path)) for at in range(2))
        assert (first.prompts, second.prompts) == ({"planner": "1.0.0"}, {"planner": "2.0.0"})
        assert first.app_loop is second.app_loop
    finally:
        session.close()
