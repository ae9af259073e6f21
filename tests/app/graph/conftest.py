"""Apps whose planner says what a test wants."""

from __future__ import annotations

import pytest

from reference_app.graph import SupportApp
from reference_app.settings import read_settings
from tests.openai_server import OpenAIServer


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def open_here(shop, server, tmp_path):
    """The app with a planner that says what the test wants."""
    opened = []

    def start(answer, **changed):
        server.answer = lambda _: answer
        variables = {
            **shop,
            "REFERENCE_APP_INDEX": str(tmp_path / "cache"),
            "OPENAI_BASE_URL": server.url,
            "REFERENCE_APP_EMBEDDING_MODEL": "text-embedding-3-small",
            **changed,
        }
        opened.append(SupportApp(read_settings(variables)))
        return opened[-1]

    yield start
    for app in opened:
        app.close()
