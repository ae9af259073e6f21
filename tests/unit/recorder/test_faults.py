"""What is not an answer is passed on, told, and never kept."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest

from tests.openai_server import BAD_ANSWERS, OpenAIServer
from tests.unit.recorder.asking import CASE, LOCAL_FILE, ask, ask_streamed


class EmptyError(Exception):
    """What an app makes of an empty answer."""


def ask_hopefully(client: openai.OpenAI) -> str:
    if not (answer := ask(client)):
        raise EmptyError
    return answer


@pytest.mark.parametrize(
    ("fault", "use", "raises", "reason"),
    [
        ("401", ask, openai.AuthenticationError, "status 401: Incorrect API key provided: sk-redacted-"),
        ("429", ask, openai.RateLimitError, "status 429: Slow down."),
        ("500", ask, openai.InternalServerError, "status 500: Something broke."),
        ("500", ask_streamed, openai.InternalServerError, "status 500"),
        ("cut", ask, openai.APIConnectionError, "RemoteProtocolError|ReadError"),
        ("cut", ask_streamed, openai.APIConnectionError, "RemoteProtocolError|ReadError"),
        ("malformed", ask, Exception, "the answer is not JSON"),
        ("cut_stream", ask_streamed, openai.APIConnectionError, "RemoteProtocolError|ReadError"),
        ("cut_body", ask, openai.APIConnectionError, "RemoteProtocolError"),
        ("error_body", ask, TypeError, "the provider answered with an error: Quota exceeded."),
        ("choice_error", ask_hopefully, EmptyError, "the provider answered with an error: Upstream died."),
        ("failed_response", ask, TypeError, "the provider answered with an error: It broke in the middle."),
        ("no_choices", ask, IndexError, "the provider answered with an error: it holds no choice"),
        (
            "error_stream",
            ask_streamed,
            openai.APIError,
            "the provider answered with an error: The model is overloaded.",
        ),
    ],
)
def test_a_failed_call_is_told_and_not_kept(  # noqa: PLR0913, PLR0917
    recorder, server: OpenAIServer, client: openai.OpenAI, tmp_path: Path, fault, use, raises, reason
):
    server.fault = fault
    with recorder().recording(CASE, 0) as log, pytest.raises(raises):
        use(client)

    assert [call.outcome for call in log.calls] == ["failed"]
    assert (log.calls[0].status == 200) == (fault in {*BAD_ANSWERS, "cut_body", "cut_stream", "error_stream"})
    assert any(part in log.calls[0].reason for part in reason.split("|")), log.calls[0].reason
    assert not (tmp_path / LOCAL_FILE).exists()


@pytest.mark.parametrize("use", [ask, ask_streamed])
def test_a_call_that_succeeds_when_tried_again_counts_once(
    recorder, server: OpenAIServer, far_client: openai.OpenAI, use
):
    server.faults.extend(["429", "429"])
    with recorder().recording(CASE, 0) as log:
        use(far_client)
    with recorder("none").recording(CASE, 0):
        use(far_client)

    assert [(call.outcome, call.nth) for call in log.calls] == [("failed", 0), ("failed", 0), ("made", 0)]
    assert server.calls.total() == 3


def test_a_stream_that_the_app_leaves_is_logged_and_not_kept(
    recorder, server: OpenAIServer, client: openai.OpenAI, tmp_path: Path
):
    server.pause_s = 0.01
    server.answer = lambda _: "A long answer that nobody reads to its end, whatever it may say."
    with recorder().recording(CASE, 0) as log:
        with client.chat.completions.create(model="small", messages=[], stream=True) as stream:
            next(iter(stream))
        left = client.chat.completions.create(model="small", messages=[], stream=True)
        next(iter(left))
        assert len(log.calls) == 1
    left.close()

    assert [call.outcome for call in log.calls] == ["made", "made"]
    assert all("left the stream unread" in call.reason for call in log.calls)
    assert not (tmp_path / LOCAL_FILE).exists()


def test_a_stream_reaches_the_app_while_it_comes(recorder, server: OpenAIServer, client: openai.OpenAI):
    server.pause_s = 0.05
    with recorder().recording(CASE, 0) as log:
        stream = client.chat.completions.create(model="small", messages=[], stream=True)
        next(iter(stream))
        assert not log.calls  # the first piece is here and the call is not over
        for _ in stream:
            pass
        assert log.calls[0].outcome == "made"


def test_a_folder_that_cannot_be_written_breaks_no_case(recorder, client: openai.OpenAI, tmp_path: Path):
    (tmp_path / ".llmops").write_text("a file where a folder should be")
    run = recorder()
    for _ in range(2):
        with run.recording(CASE, 0):
            assert ask(client) == "Echo: How long?"

    assert len(run.problems) == 2  # one for the cassette, one for the log
    assert any("returns-window" in problem and "not kept" in problem for problem in run.problems)


def test_a_call_nested_too_deeply_for_a_cassette_is_made_and_not_kept(
    recorder, client: openai.OpenAI, tmp_path: Path
):
    deep: dict[str, object] = {}
    for _ in range(220):
        deep = {"a": deep}
    run = recorder()
    with run.recording(CASE, 0):
        assert ask(client, extra_body={"metadata": deep}) == "Echo: How long?"

    assert len(run.problems) == 1
    assert "not kept" in run.problems[0]
    assert run.problems[0].endswith("a cassette holds fewer than 200 levels of lists and mappings")
    assert not (tmp_path / LOCAL_FILE).exists()
