"""The small shop, with a model that says what a test wants."""

from __future__ import annotations

import pytest

from reference_app.graph import open_app
from reference_app.settings import read_settings
from tests.openai_server import OpenAIServer


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def small_shop(shop, server, tmp_path):
    """Settings of the small shop, whose models are the server's; the apps opened on them are closed."""
    opened = []

    def read(**changed):
        variables = {
            **shop,
            "REFERENCE_APP_INDEX": str(tmp_path / "cache"),
            "OPENAI_BASE_URL": server.url,
            "REFERENCE_APP_EMBEDDING_MODEL": "text-embedding-3-small",
            **changed,
        }
        opened.append(read_settings(variables))
        return opened[-1]

    yield read
    for settings in opened:
        open_app(settings).close()
