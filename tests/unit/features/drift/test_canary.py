"""Canaries against a real server; the calls are recorded by the recorder and the openai client."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest

from pytest_llmops.detect.mask import stand_in
from pytest_llmops.errors import SettingsError
from pytest_llmops.features.drift.canary import Endpoint, choose_canaries, find_endpoint, send_canaries
from pytest_llmops.features.drift.causes import Drift
from pytest_llmops.recorder import Recorder
from pytest_llmops.recorder.call import note_calls
from pytest_llmops.recorder.cassettes import Recorded, cassette_path, load_calls, write_calls
from pytest_llmops.recorder.identity import key_of
from pytest_llmops.records import CaseResult, ModelCall, Output, Run
from tests.openai_server import OpenAIServer

NOTHING = Drift(outcome="none", causes=(), cases=())
FAR = "api.example.test"
WEATHER = {"content": None, "tool_calls": [{"id": "1", "type": "function"}]}


class Place:
    """A folder of cassettes and the server that they were recorded from."""

    def __init__(self, folder: Path, server: OpenAIServer) -> None:
        self.folder, self.server = folder, server
        self.calls: dict[str, tuple[ModelCall, ...]] = {}

    def record(self, cases: int, *, repeats: int = 1, **options: Any) -> None:
        recorder = Recorder(committed=self.folder / "far", local=self.folder / "near", mode="new")
        recorder.install()
        try:
            with openai.OpenAI(base_url=self.server.url, api_key="none", max_retries=0) as client:
                for case, repeat in (
                    (f"a::{case}", repeat) for case in range(cases) for repeat in range(repeats)
                ):
                    with recorder.recording(case, repeat) as log:
                        said = [{"role": "user", "content": f"question {case}"}]
                        reply = client.chat.completions.create(model="small", messages=said, **options)
                        if options.get("stream"):
                            assert list(reply)
                    self.calls[case] = note_calls(log.calls)
        finally:
            recorder.uninstall()
        self.server.requests.clear()

    def run(self) -> Run:
        results = [
            CaseResult(case=case, input_hash="", outputs=(Output(text="", model_calls=calls),))
            for case, calls in self.calls.items()
        ]
        return Run(signature={}, results=tuple(results))

    def ask(self, count: int = 20, **environment: str) -> Drift:
        endpoint = find_endpoint({"OPENAI_BASE_URL": self.server.url} | environment, timeout_s=5)
        return send_canaries(
            NOTHING, choose_canaries(self.run(), [self.folder / "near"], count), endpoint, str
        )


@pytest.fixture
def place(tmp_path):
    with OpenAIServer() as server:
        yield Place(tmp_path, server)


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_holds(place, stream):
    place.record(3, temperature=0, stream=stream)
    before = {path: path.read_bytes() for path in place.folder.rglob("*.yaml")}

    drift = place.ask()

    assert (drift.outcome, drift.causes) == ("none", ())
    assert drift.notes == ("canaries: 3 sent of 3 chosen, 3 with a recorded answer",)
    assert len(place.server.requests) == 3
    assert {path: path.read_bytes() for path in place.folder.rglob("*.yaml")} == before


@pytest.mark.parametrize("stream", [False, True])
def test_the_silent_update(place, stream):
    place.record(3, temperature=0, stream=stream)
    place.server.answer = lambda request: "updated" if "1" in str(request["messages"]) else "Echo: question"

    drift = place.ask()

    assert drift.outcome == "drift"
    [cause] = drift.causes
    assert (cause.kind, cause.shown, cause.cases) == ("model", True, ("a::0", "a::1", "a::2"))
    assert cause.evidence == ("small answers the same request otherwise, twice in one way, at temperature 0",)
    assert len(place.server.requests) == 6  # each once more, to be sure


def test_only_the_cases_whose_canary_moved_are_named(place):
    place.record(3, temperature=0)
    place.server.answer = lambda request: (
        "updated" if "::1" in str(request["messages"]) else f"Echo: {request['messages'][0]['content']}"
    )

    [cause] = place.ask().causes

    assert cause.cases == ("a::1",)


def test_other_tool_calls_are_another_answer(place):
    def call(arguments: str) -> Mapping[str, Any]:
        tool = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
        return {"content": None, "tool_calls": [tool]}

    place.server.answer = lambda _: call('{"city": "Rome"}')
    place.record(1, temperature=0)
    assert place.ask().outcome == "none"
    place.server.answer = lambda _: call('{"city": "Oslo"}')
    assert place.ask().outcome == "drift"


def test_another_mark_is_enough(place, monkeypatch):
    place.record(2)
    envelope = {"id": "x", "object": "chat.completion", "created": 2, "system_fingerprint": "fp_new"}
    monkeypatch.setattr("tests.openai_server._envelope", lambda *_: {**envelope, "model": "small-served"})

    drift = place.ask()

    [evidence] = drift.causes[0].evidence
    assert evidence.startswith("small: small-served fp_test answered before, small-served fp_new answers now")


def _in_turn(*answers: str):
    """Each request is answered by these, one after the other."""
    asked: Counter[str] = Counter()

    def answer(request: Mapping[str, Any]) -> str:
        question = str(request["messages"])
        asked[question] += 1
        return answers[(asked[question] - 1) % len(answers)]

    return answer


@pytest.mark.parametrize(
    ("options", "recorded", "now", "cases", "outcome"),
    [
        pytest.param({}, "a", "b", 5, "drift", id="5 of 5 moved: p = 3^-5"),
        pytest.param({}, "a", "b", 3, "none", id="3 of 3 moved: p = 3^-3"),
        pytest.param({"temperature": 0.7}, "a", "b", 5, "drift", id="a temperature above 0"),
        pytest.param({}, "a", "bc", 9, "none", id="answers that vary by themselves"),
        pytest.param({"temperature": 0}, "a", "bc", 9, "none", id="the same at temperature 0"),
        pytest.param({"temperature": 0}, "a", "ba", 9, "none", id="the recorded answer comes again"),
        pytest.param({"temperature": 0}, "ab", "b", 9, "none", id="one of the recorded answers"),
        pytest.param({"temperature": 0}, "ab", "c", 1, "none", id="several were recorded, so it may vary"),
    ],
)
def test_where_answers_may_vary_chance_is_asked(  # noqa: PLR0913, PLR0917
    place, options, recorded, now, cases, outcome
):
    place.server.answer = _in_turn(*recorded)
    place.record(cases, repeats=len(recorded), **options)
    place.server.answer = _in_turn(*now)

    drift = place.ask()

    assert drift.outcome == outcome
    if outcome == "drift":
        assert "which chance does with p = 0.0041" in drift.causes[0].evidence[0]
        assert len(drift.causes[0].cases) == cases


def test_canaries_are_taken_evenly_and_from_what_the_run_asked(place):
    place.record(10, temperature=0)
    folders = [place.folder / "near"]

    chosen = choose_canaries(place.run(), folders, 5)
    assert [canary.case for canary in chosen] == ["a::0", "a::2", "a::4", "a::6", "a::8"]
    assert len(choose_canaries(place.run(), folders, 99)) == 10
    place.calls["a::3"] = (ModelCall(key="no longer asked"),)
    assert "a::3" not in {canary.case for canary in choose_canaries(place.run(), folders, 99)}
    place.calls["a::3"] = ()  # an app whose calls were not seen
    assert "a::3" in {canary.case for canary in choose_canaries(place.run(), folders, 99)}


@pytest.mark.parametrize(
    ("fault", "told"), [("401", "answered 401"), ("malformed", "JSONDecodeError"), ("cut", "is not up")]
)
def test_a_provider_that_does_not_answer_leaves_the_question_open(place, fault, told):
    place.record(2, temperature=0)
    place.server.fault = fault

    drift = place.ask()

    assert (drift.outcome, drift.causes) == ("open", ())
    assert drift.notes[0] == "canaries: 0 sent of 2 chosen, 0 with a recorded answer"
    assert drift.notes[1].startswith("canaries without an answer: 2, http://127.0.0.1:")
    assert told in drift.notes[1]
    assert "sk-invalid" not in str(drift)


@pytest.mark.parametrize("fault", ["cut_stream", "error_stream"])
def test_a_stream_that_breaks_off_is_no_answer(place, fault):
    place.record(1, temperature=0, stream=True)
    place.server.fault = fault

    assert "canaries without an answer: 1" in place.ask().notes[1]


def test_an_endpoint_that_is_not_up_is_said_in_one_line(place):
    place.record(2)

    drift = place.ask(OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    assert drift.outcome == "open"
    assert "canaries without an answer: 2, http://127.0.0.1:9 is not up" in drift.notes[1]


def test_nothing_recorded_leaves_the_question_open(place):
    assert place.ask().outcome == "open"


def test_the_key_goes_only_to_the_endpoint_that_the_environment_names(place):
    place.record(2)

    drift = place.ask(OPENAI_BASE_URL="https://elsewhere.test/v1", OPENAI_API_KEY="sk-mine")

    assert drift.outcome == "open"
    assert drift.notes[1] == (
        "canaries not sent: 2, recorded at loopback: set OPENAI_BASE_URL to it, while it is up"
    )
    assert place.server.requests == []


@pytest.fixture
def far(tmp_path):
    """A cassette of a provider far away, whose part a server on this machine plays."""
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.path, self.headers["Authorization"]))
            self.send_response(302)  # which is followed with a GET, unless it is forbidden
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/stolen")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the names are http.server's

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    _write(tmp_path, {"model": "small", "messages": []})
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def _write(folder: Path, request: Any, key: str | None = None) -> None:
    call = Recorded(
        provider=FAR, path="/v1/chat/completions", request=request, repeat=0, nth=0, offset_s=0, duration_s=0,
        key=key or key_of(FAR, "/v1/chat/completions", request), content_type="application/json",
        body={"choices": [{"message": {"content": "a"}}]},
    )  # fmt: skip
    write_calls(cassette_path(folder, "a::0"), "a::0", [call])


RUN = Run(signature={}, results=(CaseResult(case="a::0", input_hash=""),))


def test_a_redirect_is_not_followed(far, tmp_path):
    origin, seen = far
    endpoint = Endpoint(origin=origin, provider=FAR, key="sk-mine", timeout_s=5)

    drift = send_canaries(NOTHING, choose_canaries(RUN, [tmp_path], 1), endpoint, str)

    assert seen == [("/v1/chat/completions", "Bearer sk-mine")]
    assert drift.notes[1] == f"canaries without an answer: 1, {origin} answered 302"


@pytest.mark.parametrize(
    ("key", "provider", "told"),
    [
        ("", FAR, f"{FAR} wants a key: set OPENAI_API_KEY"),
        ("sk-mine", "other.test", f"recorded at {FAR}: set OPENAI_BASE_URL to it, while it is up"),
    ],
)
def test_what_is_not_sent_says_why(far, tmp_path, key, provider, told):
    origin, seen = far
    endpoint = Endpoint(origin=origin, provider=provider, key=key, timeout_s=5)

    drift = send_canaries(NOTHING, choose_canaries(RUN, [tmp_path], 1), endpoint, str)

    assert drift.notes[1] == f"canaries not sent: 1, {told}"
    assert seen == []


def test_a_request_that_was_masked_is_not_sent(far, tmp_path):
    origin, seen = far
    _write(tmp_path, {"messages": ["<API_KEY>"]}, key="of the request as it was")
    endpoint = Endpoint(origin=origin, provider=FAR, key="sk-mine", timeout_s=5)

    drift = send_canaries(NOTHING, choose_canaries(RUN, [tmp_path], 1), endpoint, str)

    assert "something in the request was masked" in drift.notes[1]
    assert seen == []


def test_answers_go_through_the_redaction_of_the_recorder(place):
    """A recorded answer was masked; the new one has to be, before they are compared."""
    place.server.answer = lambda _: "ask sk-0123456789abcdefghij"
    place.record(1, temperature=0)
    path = cassette_path(place.folder / "near", "a::0")
    assert "sk-redacted-" in str(load_calls(path))
    endpoint = find_endpoint({"OPENAI_BASE_URL": place.server.url}, 5)
    canaries = choose_canaries(place.run(), [place.folder / "near"], 1)

    masked = send_canaries(NOTHING, canaries, endpoint, stand_in)

    assert masked.outcome == "none"
    assert send_canaries(NOTHING, canaries, endpoint, str).outcome == "drift"


@pytest.mark.parametrize(
    ("address", "origin", "provider"),
    [
        (None, "https://api.openai.com", "api.openai.com"),
        ("https://me:secret@llm.test/v1", "https://llm.test", "llm.test"),
        ("https://llm.test:443/v1", "https://llm.test:443", "llm.test"),
        ("https://llm.test:8443/v1", "https://llm.test:8443", "llm.test:8443"),
        ("http://localhost:1234/v1", "http://localhost:1234", "loopback"),
    ],
)
def test_the_endpoint_is_the_environments(address, origin, provider):
    endpoint = find_endpoint({"OPENAI_BASE_URL": address} if address else {}, 1)

    assert (endpoint.origin, endpoint.provider) == (origin, provider)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "llm.test/v1", "http://", "https://llm.test:x/v1"])
def test_an_address_that_is_none_is_a_users_mistake(address):
    with pytest.raises(SettingsError, match="OPENAI_BASE_URL must be an address"):
        find_endpoint({"OPENAI_BASE_URL": address}, 1)
