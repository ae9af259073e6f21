"""The app with a model that says what a test wants, served over the real protocol."""

from __future__ import annotations

import json

import pytest

from reference_app.app import SupportApp
from reference_app.settings import read_settings

PARTS = {
    "planner": "You plan",
    "answerer": "You get material",
    "rewriter": "A search of the rules",
    "sql": "SELECT",
}


def plan(*calls):
    """The planner's reply that makes these calls, each a name with its arguments."""
    return json.dumps({"calls": [{"name": name, "arguments": arguments} for name, arguments in calls]})


def search(query="weight of the tent"):
    return plan(("search_documents", {"query": query}))


@pytest.fixture
def server(model_server):
    return model_server


@pytest.fixture
def script(server):
    """
    Say what the model replies to each part of the app; returns what each part was asked, in its order.

    A list of replies is used up from the left, and the last one stays.
    """

    def start(**replies):
        asked = {name: [] for name in PARTS}

        def answer(request):
            system = request["messages"][0]["content"]
            part = next(name for name, words in PARTS.items() if words in system)
            asked[part].append(request)
            said = replies.get(part, "")
            return (said.pop(0) if len(said) > 1 else said[0]) if isinstance(said, list) else said

        server.answer = answer
        return asked

    return start


@pytest.fixture(scope="session")
def plain_app(shop, running_model_server):
    """The app of all tests that change no setting; building one takes longer than most of them."""
    app = SupportApp(read_settings(_variables(shop, running_model_server)))
    yield app
    app.close()


@pytest.fixture
def open_app(request, shop, server):
    """The app; with variables of the environment, one of its own."""
    opened = []

    def start(**changed):
        if not changed:
            return request.getfixturevalue("plain_app")
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
