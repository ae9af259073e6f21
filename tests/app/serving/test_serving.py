"""The server over HTTP: answers, events, confirmations, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time

import httpx
import pytest

from reference_app.errors import AppError
from reference_app.serving.replies import load_sections
from reference_app.serving.routes import SORRY, EventStream
from reference_app.serving.server import bind
from tests.app.serving.stand_in import CALL, SECTION, SECTIONS

EVENTS = {"Accept": "text/event-stream"}
SCRIPT = """
from contextlib import suppress
from reference_app.serving.server import serve
from tests.app.serving.stand_in import StandIn
with suppress(KeyboardInterrupt):
    serve(StandIn(), "127.0.0.1", 0, grace_s=1)
"""


def read_events(response):
    blocks = response.text.removesuffix("\n\n").split("\n\n")
    lines = [block.split("\n") for block in blocks]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in lines]


def test_a_question_is_answered_with_its_sources(client, app):
    reply = client.post("/v1/ask", json={"question": "How heavy is it?", "file": "a.csv", "customer": 7})

    record = reply.json()
    assert reply.status_code == 200
    assert record["text"] == "The Kestrel tent weighs 3.4 kg. [tents#weight]"
    assert record["sources"] == [{"id": SECTION, "title": "Tents > Weight", "text": SECTIONS[SECTION].text}]
    assert (record["pending"], record["degraded"]) == (None, None)
    assert app.asked == [("How heavy is it?", record["thread"])]
    assert (app.file, app.customer) == ("a.csv", 7)


def test_a_named_thread_is_kept_and_made_up_ones_differ(client, app):
    assert client.post("/v1/ask", json={"question": "a", "thread": "mine-1"}).json()["thread"] == "mine-1"
    assert app.asked[0][1] == "mine-1"
    assert len({client.post("/v1/ask", json={"question": "a"}).json()["thread"] for _ in range(3)}) == 3


def test_steps_come_as_events_and_the_reply_last(client):
    reply = client.post("/v1/ask", json={"question": "How heavy is it?"}, headers=EVENTS)

    assert reply.headers["content-type"].startswith("text/event-stream")
    events = read_events(reply)
    assert [name for name, _ in events] == ["step", "step", "step", "answer"]
    assert [data["text"] for name, data in events if name == "step"] == [
        "planner", "answerer", "guard output",
    ]  # fmt: skip
    assert events[-1][1]["text"] == "The Kestrel tent weighs 3.4 kg. [tents#weight]"


@pytest.mark.parametrize("headers", [{}, EVENTS])
@pytest.mark.parametrize(("approved", "decision"), [(True, "confirmed"), (False, "denied")])
def test_a_person_decides_on_the_call_that_was_shown(client, app, headers, approved, decision):
    reply = client.post("/v1/ask", json={"question": "refund"}, headers=headers)
    if headers:
        assert [name for name, _ in read_events(reply)] == ["step", "step", "confirm"]
    record = read_events(reply)[-1][1] if headers else reply.json()
    assert record["pending"] == CALL
    assert app.decided == []

    shown = {"name": CALL["name"], "arguments": record["pending"]["arguments"], "thread": record["thread"]}
    reply = client.post("/v1/confirm", json={**shown, "approved": approved}, headers=headers)

    after = read_events(reply)[-1][1] if headers else reply.json()
    assert after["text"] == f"It is {decision}."
    assert (after["pending"], after["tool_calls"][0]["decision"]) == (None, decision)
    assert app.decided == [(record["thread"], approved)]


def test_a_changed_argument_is_not_what_was_confirmed(client, app):
    thread = client.post("/v1/ask", json={"question": "refund"}).json()["thread"]
    changed = {**CALL["arguments"], "order_id": "FW-20002"}
    body = {"thread": thread, "name": CALL["name"], "arguments": changed, "approved": True}

    assert client.post("/v1/confirm", json=body).json()["text"] == "It is denied."
    assert app.decided == [(thread, False)]


ASK = {"question": "How heavy is it?"}
DECISION = {"thread": "t", "name": "request_refund", "arguments": {}, "approved": True}
BAD = [
    ("no JSON", "/v1/ask", b"{", 400, "The body is no JSON."),
    ("deep", "/v1/ask", b"[" * 60_000, 400, ""),
    ("no bytes", "/v1/ask", b"", 422, ""),
    ("no UTF-8", "/v1/ask", b'{"question": "\xff"}', 400, ""),
    ("a list", "/v1/ask", b"[]", 422, ""),
    ("no question", "/v1/ask", {}, 422, "question: Field required"),
    ("empty question", "/v1/ask", {"question": ""}, 422, "question: String should have at least 1 character"),
    ("blank question", "/v1/ask", {"question": " \n"}, 400, "The question is empty."),
    ("long question", "/v1/ask", {"question": "x" * 2001}, 422, "question: String should have at most 2000"),
    ("a number", "/v1/ask", {"question": 1}, 422, "question: Input should be a valid string"),
    ("another field", "/v1/ask", {**ASK, "role": "staff"}, 422, "role: Extra inputs are not permitted"),
    ("a customer as text", "/v1/ask", {**ASK, "customer": "7"}, 422, "customer: Input should be a valid"),
    ("a customer that is true", "/v1/ask", {**ASK, "customer": True}, 422, "customer: Input should be"),
    ("no such number", "/v1/ask", {**ASK, "customer": 0}, 422, "customer: Input should be greater than"),
    ("a thread with signs", "/v1/ask", {**ASK, "thread": "../x"}, 422, "thread: String should match"),
    ("a thread with a line", "/v1/ask", {**ASK, "thread": "x\n"}, 422, "thread: String should match"),
    ("100 kB", "/v1/ask", {"question": "x" * 100_000}, 413, "The body has more than 64000 bytes"),
    ("64 kB and one", "/v1/ask", b" " * 64_001, 413, "The body has more than 64000 bytes"),
    ("unknown thread", "/v1/confirm", DECISION, 400, "There is nothing to confirm"),
    ("no decision", "/v1/confirm", {**DECISION, "approved": "yes"}, 422, "approved: Input should be"),
    ("odd name", "/v1/confirm", {**DECISION, "name": "a b"}, 422, "name: String should match"),
    ("not a number", "/v1/confirm", json.dumps(DECISION).replace("{}", '{"a": NaN}').encode(), 422, "argum"),
    ("deep arguments", "/v1/confirm",
     json.dumps({**DECISION, "arguments": 0}).replace("0", '{"a":' * 9000 + "1" + "}" * 9000).encode(),
     400, ""),
    ("broken app", "/v1/ask", {"question": "no weights"}, 500, SORRY),
    ("bug", "/v1/ask", {"question": "bug"}, 500, SORRY),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "status", "said"), [one[1:] for one in BAD], ids=[one[0] for one in BAD]
)
def test_bad_input_is_a_clear_error(client, app, capfd, path, body, status, said):  # noqa: PLR0913, PLR0917
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    reply = client.post(path, content=content, headers={"Content-Type": "application/json"})

    assert reply.status_code == status
    error = reply.json()["error"]
    assert error["status"] == status
    assert said in error["message"]
    written = capfd.readouterr().err
    assert "Traceback" not in reply.text + written
    assert not [text for text in ("Quimby", "/secret") if text in reply.text]
    assert "Quimby" not in written
    assert app.decided == []


def test_a_body_without_a_length_is_refused(client):
    def parts():
        yield b" " * 10

    reply = client.post("/v1/ask", content=parts(), headers={"Content-Type": "application/json"})
    assert reply.status_code == 413


@pytest.mark.parametrize("question", ["bug", "no weights", " "])
def test_an_error_in_a_stream_is_its_last_event_and_the_terminal_says_why(client, capfd, question):
    ((name, data),) = read_events(client.post("/v1/ask", json={"question": question}, headers=EVENTS))

    assert (name, data["status"]) == ("error", 400 if question == " " else 500)
    written = {
        "bug": "reference_app: ValueError in run, ",
        "no weights": "reference_app: /secret/weights are not there.\n",
        " ": "",
    }
    assert capfd.readouterr().err.startswith(written[question])


def test_half_a_surrogate_pair_gets_through(client):
    assert client.post("/v1/ask", json={"question": "half a pair"}).json()["text"] == "\ud800"
    assert read_events(client.post("/v1/ask", json={"question": "half a pair"}, headers=EVENTS))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_what_a_foreign_page_can_send_unasked_is_refused(client, app, kind):
    """A page elsewhere may post these kinds without the browser asking this server first."""
    headers = {"Content-Type": kind} if kind else {}
    reply = client.post("/v1/ask", content=json.dumps(ASK).encode(), headers=headers)

    assert (reply.status_code, app.asked) == (422, [])


def test_no_other_origin_is_allowed(client):
    asked = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"}
    reply = client.options("/v1/ask", headers=asked)

    assert reply.status_code == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST", 200),
        ("10.0.0.5:80", 200),  # an address cannot be rebound
        ("[::1]:{port}", 200),
        ("rebound.example:{port}", 400),
        ("127.0.0.1.rebound.example", 400),
        ("127.0.0.1:{port}:80", 400),
        ("127.0.0.1:x", 400),
        ("user@127.0.0.1", 400),
        ("localhost/x", 400),
        ("", 400),
    ],
)
def test_no_name_but_its_own_is_served(client, host, status):
    reply = client.get("/health", headers={"Host": host.format(port=client.base_url.port)})

    assert reply.status_code == status
    assert reply.json() == (
        {"status": "ok"}
        if status == 200
        else {"error": {"status": 400, "message": "This server does not go by that host name."}}
    )


def test_two_hosts_are_none(client):
    with socket.create_connection(("127.0.0.1", client.base_url.port)) as line:
        line.sendall(
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        assert line.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("path", ["/v2", "/docs", "/redoc", "/../routes.py", "/%2e%2e/routes.py"])
def test_an_address_that_is_none_is_an_error_in_json(client, path):
    reply = client.get(path)

    assert (reply.status_code, reply.json()["error"]["status"]) == (404, 404)


def test_the_description_names_the_routes(client):
    described = client.get("/openapi.json").json()

    assert set(described["paths"]) == {"/v1/ask", "/v1/confirm", "/health"}
    question = described["components"]["schemas"]["Question"]
    assert (question["properties"]["question"]["maxLength"], question["additionalProperties"]) == (
        2000,
        False,
    )


def test_every_answer_carries_the_headers_that_keep_it_to_itself(client):
    stream = client.post("/v1/ask", json=ASK, headers=EVENTS)
    for reply in (client.get("/"), client.get("/none"), client.get("/", headers={"Host": "else"}), stream):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")


def test_the_model_stops_when_the_client_hangs_up_and_keeps_nobody_waiting(client, app):
    with client.stream("POST", "/v1/ask", json={"question": "endless"}, headers=EVENTS) as reply:
        assert "event: step" in reply.iter_lines()
        assert client.get("/health").json() == {"status": "ok"}
        assert client.post("/v1/ask", json=ASK).status_code == 200

    assert app.hung_up.wait(60)


def test_a_client_that_leaves_while_an_event_is_sent_stops_the_model_too():
    """Nobody frees the generator of events, which is left where it was."""
    stopped = threading.Event()

    def work(tell):
        try:
            while True:
                tell("step", {})
                time.sleep(0.01)
        except ConnectionAbortedError:
            stopped.set()

    async def hang_up() -> None:
        sending = asyncio.Event()

        async def receive():
            await sending.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.body":
                sending.set()
                await asyncio.Event().wait()

        await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)

    stream = EventStream(work)
    asyncio.run(asyncio.wait_for(hang_up(), 20))
    assert stopped.wait(20)


@pytest.mark.parametrize("while_it_answers", [False, True])
def test_ctrl_c_ends_it(launch, while_it_answers):
    process = launch("-c", SCRIPT)
    line = process.stderr.readline()
    assert line.startswith("reference_app: http://127.0.0.1:")
    # Ctrl-C inside an import that calls `exec` ends Python by the signal, even where the interrupt is
    # handled; what has answered imports nothing any more.
    assert httpx.get(line.removeprefix("reference_app: ").strip() + "/health").status_code == 200
    with socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2]))) as connection:
        if while_it_answers:
            body = json.dumps({"question": "endless"})
            connection.sendall(
                f"POST /v1/ask HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            assert b"200 OK" in connection.recv(1000)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "")
    assert "Traceback" not in errors


def test_an_address_that_cannot_be_bound_is_one_clear_line():
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        for host, number in (
            ("127.0.0.1", port), ("192.0.2.1", 0), ("127.0.0.1", 70_000), ("no such host", 0), ("x" * 300, 0),
        ):  # fmt: skip
            with pytest.raises(AppError, match=r"cannot be served on: .*; name another|is no port"):
                bind(host, number)


def test_the_shops_own_sections_can_be_shown():
    sections = load_sections()

    assert "Returns and exchanges > " in sections["returns#window"].name
    assert "60 days" in sections["returns#window"].text
