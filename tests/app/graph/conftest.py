"""Apps whose planner says what a test wants."""

from __future__ import annotations

import pytest

from reference_app.dialogue.threads import Threads
from reference_app.graph import SupportApp
from reference_app.settings import read_settings


@pytest.fixture
def server(model_server):
    return model_server


@pytest.fixture(scope="session")
def plain_app(shop, running_model_server):
    """The app of all tests that change no setting; building one takes longer than most of them."""
    app = SupportApp(read_settings(_variables(shop, running_model_server)))
    yield app
    app.close()


@pytest.fixture
def open_here(request, shop, server):
    """The app with a planner that says what the test wants; nobody has asked it anything."""
    opened = []

    def start(answer, **changed):
        server.answer = lambda _: answer
        if not changed:
            return _forget(request.getfixturevalue("plain_app"))
        opened.append(SupportApp(read_settings({**_variables(shop, server), **changed})))
        return opened[-1]

    yield start
    for app in opened:
        app.close()


def _variables(shop, server):
    return {
        **shop,
        "OPENAI_BASE_URL": server.url,
        "REFERENCE_APP_EMBEDDING_MODEL": "text-embedding-3-small",
    }


def _forget(app):
    """What a conversation leaves behind, here or with a question that waits for a person."""
    app._threads = Threads(app.parts.saver.delete_thread)
    for kept in (app.parts.saver.storage, app.parts.saver.writes, app.parts.saver.blobs):
        kept.clear()
    return app
