"""`llmops cassettes check`: recordings of somebody else, a sample of which is made again."""

from __future__ import annotations

import itertools

import pytest

from pytest_llmops.recorder.cassettes import Recorded, write_calls
from pytest_llmops.recorder.identity import LOOPBACK, key_of
from tests.command import main
from tests.openai_server import OpenAIServer, last_user_text

PATH = "/v1/chat/completions"


def recorded(question: str, answer: str, *, provider: str = LOOPBACK, key: str = "") -> Recorded:
    request = {"model": "m", "messages": [{"role": "user", "content": question}], "stream": False}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}
    return Recorded(
        provider=provider,
        path=PATH,
        request=request,
        key=key or key_of(provider, PATH, request),
        repeat=0,
        nth=0,
        offset_s=0.0,
        duration_s=1.0,
        content_type="application/json",
        body={"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]},
    )


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    def check(calls, *arguments, answer=lambda request: f"Echo: {last_user_text(request)}"):
        folder = tmp_path / "new" / "shop"
        for number, call in enumerate(calls):
            write_calls(folder / f"case-{number}.yaml", f"case-{number}", [call])
        with OpenAIServer(answer=answer) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            monkeypatch.setenv("OPENAI_API_KEY", "none")
            code = main(["cassettes", "check", str(tmp_path / "new"), *arguments])
            return code, capsys.readouterr().out, server.requests

    return check


def honest(count: int) -> list[Recorded]:
    return [recorded(f"question {number}", f"Echo: question {number}") for number in range(count)]


def test_recordings_of_the_model_are_held(check):
    code, out, requests = check(honest(9))
    assert "5 of 9 new calls made again: 0 of the recorded answers are the least like the others" in out
    assert (code, len(requests)) == (0, 15)
    assert all("stream" not in request for request in requests)


def test_recordings_that_the_model_never_gave_are_red(check):
    code, out, _ = check([recorded(f"question {number}", "Everything is free.") for number in range(5)])
    assert "shop/case-0.yaml, call 1: differs from 3 further answers\n  recorded Everything is free." in out
    assert "5 of the recorded answers are the least like the others, by chance with p = 0.000977" in out
    assert code == 1


def test_one_recording_is_asked_often_enough_to_be_red(check):
    code, _, requests = check([recorded("question", "Everything is free.")])
    assert (code, len(requests)) == (1, 19)


def test_answers_that_vary_are_no_forgery(check):
    words = itertools.cycle(
        ["one two three four", "one two three five", "one two six four", "one seven three four"]
    )
    calls = [recorded(f"question {number}", "one two three four") for number in range(5)]
    code, _, _ = check(calls, answer=lambda _: next(words))
    assert code == 0


def test_known_recordings_are_left_out(check, tmp_path):
    known = tmp_path / "known" / "shop"
    for number, call in enumerate(honest(2)):
        write_calls(known / f"case-{number}.yaml", f"case-{number}", [call])
    forged = recorded("question 1", "Everything is free.")
    code, out, requests = check([honest(1)[0], forged], "--known", str(tmp_path / "known"))
    assert "1 of 1 new call made again" in out
    assert "case-0" not in out
    assert code == 1
    assert {request["messages"][0]["content"] for request in requests} == {"question 1"}


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (recorded("question", "x", provider="evil.example"), "it went to evil.example, and not to loopback"),
        (
            recorded("question", "x", key="0" * 64),
            "its key is of another request, or personal data in it was masked",
        ),
    ],
)
def test_what_cannot_be_made_again_is_unknown_and_the_key_goes_nowhere_else(check, call, why):
    code, out, requests = check([call])
    assert f"shop/case-0.yaml, call 1: not made again: {why}" in out
    assert (code, requests) == (2, [])


def test_a_failed_call_is_an_error(check):
    code, out, _ = check(honest(1), "--base-url", "http://127.0.0.1:9/v1")
    assert "could not be made again: URLError" in out
    assert code == 3
