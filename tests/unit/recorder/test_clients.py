"""Every client that apps use: recorded, replayed without a connection, counted, limited, masked and read."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import wraps

import pytest

from pytest_llmops import run_golden
from pytest_llmops.errors import BudgetError, CassetteError
from pytest_llmops.features.mutate.replies import REFUSAL, Replies
from pytest_llmops.recorder.limits.gate import Limits
from pytest_llmops.records import Case, Check, Golden
from pytest_llmops.runner.budget import Budget
from pytest_llmops.settings import Settings
from tests.extras import needs_pii
from tests.provider_server import COMPLETION, PROMPT, TEXT, ProviderServer
from tests.unit.recorder.asking import CASE, LOCAL_FILE
from tests.unit.recorder.client_shapes import SHAPES, Shape

CARD = "4111 1111 1111 1111"
QUESTION = f"How long may I keep it? My card is {CARD}."
# google-genai inherits from aiohttp's session; clients leave the response of a refused call open.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def _or_skip(ask: Shape) -> Shape:
    """The same shape, skipped where its library is not installed, unless all have to be."""

    @wraps(ask)
    def call(url: str, question: str) -> str:
        try:
            return ask(url, question)
        except ImportError as error:
            if os.environ.get("CLIENTS") == "all":
                raise
            pytest.skip(f"needs {error.name}: make interop")

    return call


each_client = pytest.mark.parametrize("ask", [*map(_or_skip, SHAPES)], ids=lambda shape: shape.__name__)


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def no_connection(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Refuse connections from now on; their addresses."""
    tried: list[object] = []

    def connect(_: socket.socket, address: object) -> None:
        tried.append(address)
        raise ConnectionRefusedError(address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


@each_client
def test_it_is_recorded_and_replayed_without_a_connection(
    ask: Shape, recorder, provider: ProviderServer, request: pytest.FixtureRequest
):
    with recorder().recording(CASE, 0) as log:
        assert ask(provider.url, QUESTION) == TEXT
    (made,) = log.calls
    assert (made.outcome, made.text) == ("made", TEXT)
    assert made.model

    tried = request.getfixturevalue("no_connection")
    with recorder("none").recording(CASE, 0) as log:
        assert ask(provider.url, QUESTION) == TEXT
    (replayed,) = log.calls
    assert (replayed.outcome, replayed.text, replayed.key) == ("replayed", TEXT, made.key)
    assert len(provider.asked) == 1
    assert tried == []


@each_client
def test_a_limit_is_waited_for(ask: Shape, recorder, provider: ProviderServer):
    """What is kept, counted and replayed is the answer alone."""
    provider.refusals = [(429, {"Retry-After": "0.05"}), (503, {"Retry-After": "0.05"}), (429, {})]
    limits, run = Limits(), recorder()
    run.obey(limits)
    with run.recording(CASE, 0) as log:
        assert ask(provider.url, QUESTION) == TEXT

    assert [(call.outcome, call.status, call.text) for call in log.calls] == [("made", 200, TEXT)]
    assert log.calls[0].duration_s < log.pauses.total_s() + 5
    assert len(provider.asked) == 4
    assert len(set(provider.bodies)) == 1
    ((waited_s, calls),) = limits.costs().values()
    assert waited_s > 0
    assert calls == 3
    with recorder("none").recording(CASE, 0) as log:
        assert ask(provider.url, QUESTION) == TEXT
    assert len(provider.asked) == 4


@each_client
def test_a_limit_without_end_reaches_it(ask: Shape, recorder, provider: ProviderServer):
    if ask.__name__ == "cohere_sync":
        pytest.skip("its client sleeps for a day by itself")
    provider.refusals = [(429, {"Retry-After": "86400"})] * 40
    run = recorder()
    run.obey(Limits())
    with run.recording(CASE, 0) as log, suppress(Exception):
        assert not ask(provider.url, QUESTION)

    place = provider.url.removeprefix("http://")
    assert log.limited == f"limited by {place} for 86,400 s, as it says itself (Retry-After)"
    assert {(call.outcome, call.status) for call in log.calls} == {("failed", 429)}
    assert {call.reason.partition(": ")[0] for call in log.calls} == {log.limited}


@each_client
def test_its_tokens_are_counted(ask: Shape, recorder, provider: ProviderServer):
    for mode in ("new", "none"):
        with recorder(mode).recording(CASE, 0) as log:
            ask(provider.url, QUESTION)
        assert [(call.prompt_tokens, call.completion_tokens) for call in log.calls] == [(PROMPT, COMPLETION)]


@each_client
def test_it_is_refused_where_no_call_may_be_made(ask: Shape, recorder, provider: ProviderServer):
    with recorder("none").recording(CASE, 0) as log, suppress(Exception):
        assert not ask(provider.url, QUESTION)

    assert isinstance(log.error, CassetteError)
    assert {call.outcome for call in log.calls} == {"refused"}
    assert provider.asked == []


@each_client
def test_a_budget_holds(ask: Shape, recorder, provider: ProviderServer):
    run = recorder(budget=Budget(calls=1))
    with run.recording(CASE, 0) as log:
        ask(provider.url, "One?")
        with suppress(Exception):
            assert not ask(provider.url, "Two?")

    assert isinstance(log.error, BudgetError)
    assert len(provider.asked) == 1


@each_client
def test_what_is_kept_is_masked(ask: Shape, recorder, provider: ProviderServer, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with recorder().recording(CASE, 0):
        ask(provider.url, QUESTION)

    kept = LOCAL_FILE.read_text(encoding="utf-8")
    assert "How long may I keep it" in kept
    assert CARD not in kept
    assert "sk-test" not in kept


@each_client
def test_a_failed_call_is_seen(ask: Shape, recorder, provider: ProviderServer):
    provider.status = 401
    with recorder().recording(CASE, 0) as log, suppress(Exception):
        ask(provider.url, QUESTION)

    assert {(call.outcome, call.status) for call in log.calls} == {("failed", 401)}


@each_client
def test_an_answer_that_cannot_be_decoded_is_a_failed_call(ask: Shape, recorder, provider: ProviderServer):
    provider.coding = "gzip"
    with recorder().recording(CASE, 0) as log, suppress(Exception):
        ask(provider.url, QUESTION)

    assert log.calls
    assert {call.outcome for call in log.calls} == {"failed"}


@needs_pii
@each_client
def test_what_it_sends_is_read_by_the_leak_check(ask: Shape, provider: ProviderServer, tmp_path):
    leak = Check(metric="pii_leak", comparison="<=", threshold=0.0)
    golden = Golden(path="golden.yaml", cases=(Case(id="a", input="How long?", checks=(leak,)),))

    def app(_: str) -> str:
        return ask(provider.url, QUESTION)

    (result,) = run_golden(golden, app, settings=Settings(root=tmp_path)).results

    if any("make interop" in failure.error for failure in result.failures):
        pytest.skip("make interop")
    (score,) = result.scores
    assert score.value == 1
    assert "CREDIT_CARD" in score.reason


@each_client
def test_its_replies_can_be_mutated(ask: Shape, recorder, provider: ProviderServer):
    run = recorder()
    run.replies = replies = Replies()
    with run.recording(CASE, 0):
        assert ask(provider.url, QUESTION) == TEXT
    for kind, said in (("refusal", REFUSAL), ("truncated", TEXT[: len(TEXT) // 2])):
        replies.begin(kind)
        with run.recording(CASE, 0):
            assert ask(provider.url, QUESTION) == said
        assert replies.changed == {CASE}
    assert len(provider.asked) == 1
