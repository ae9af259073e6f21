from __future__ import annotations

import json
import signal
import socket

import pytest

from reference_app.serving import ServingError
from reference_app.serving.door import Door
from reference_app.serving.routes import SORRY
from reference_app.serving.server import bind
from tests.app.serving.stand_in import BROKEN_TOOL, CALL, SECTION

EVENTS = {"Accept": "text/event-stream"}
SCRIPT = """
from contextlib import suppress
from reference_app.serving import serve, server
from tests.app.serving.stand_in import StandIn
server.GRACE_S = 0.3
with suppress(KeyboardInterrupt):
    serve(StandIn(), "127.0.0.1", 0)
"""


def read_events(response):
    blocks = response.text.removesuffix("\n\n").split("\n\n")
    lines = [block.split("\n") for block in blocks]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in lines]


def test_a_question_is_answered_with_its_sources(client, app):
    reply = client.post("/v1/ask", json={"question": "How heavy is it?"})

    assert reply.status_code == 200
    record = reply.json()
    assert record["text"] == "The Kestrel tent weighs 3.4 kg."
    assert (record["sources"], record["titles"]) == ([SECTION], {SECTION: "Tents > Weight"})
    assert [passage["id"] for passage in record["passages"]] == [SECTION]
    assert (record["pending"], record["model"]) == (None, "stand-in")
    assert app.asked == [("How heavy is it?", record["thread"])]


def test_a_named_thread_is_kept(client, app):
    reply = client.post("/v1/ask", json={"question": "How heavy is it?", "thread": "mine-1"})

    assert reply.json()["thread"] == "mine-1"
    assert app.asked[0][1] == "mine-1"


def test_a_file_goes_with_a_question(client, app):
    client.post("/v1/ask", json={"question": "How heavy is it?", "file": "a.csv"})

    assert app.file == "a.csv"


@pytest.mark.parametrize("customer", [None, 7])
def test_a_customer_goes_with_a_question(client, app, customer):
    client.post("/v1/ask", json={"question": "How heavy is it?", "customer": customer})

    assert app.customer == customer


def test_threads_that_are_made_up_differ(client):
    threads = {client.post("/v1/ask", json={"question": "a"}).json()["thread"] for _ in range(3)}

    assert len(threads) == 3


def test_steps_and_pieces_come_as_events_and_the_record_last(client):
    reply = client.post("/v1/ask", json={"question": "How heavy is it?"}, headers=EVENTS)

    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = read_events(reply)
    assert [name for name, _ in events] == ["step", "step", "piece", "piece", "step", "answer"]
    plan = {"route": "documents", "calls": [], "search": False, "missing": ""}
    assert events[0][1] == {"node": "planner", "plan": plan}
    assert events[1][1]["passages"] == [{"id": SECTION, "score": 0.5123, "status": "current"}]
    assert "".join(data["text"] for name, data in events if name == "piece") == events[-1][1]["text"]


@pytest.mark.parametrize("headers", [{}, EVENTS])
@pytest.mark.parametrize(("approved", "decision"), [(True, "confirmed"), (False, "denied")])
def test_a_person_decides_on_the_call_that_was_shown(client, app, headers, approved, decision):
    reply = client.post("/v1/ask", json={"question": "refund"}, headers=headers)
    record = read_events(reply)[-1][1] if headers else reply.json()
    assert record["pending"] == {
        "name": CALL.name,
        "arguments": CALL.arguments,
        "decision": "pending",
        "result": None,
        "reason": CALL.reason,
    }
    assert app.decided == []

    shown = {"name": CALL.name, "arguments": record["pending"]["arguments"], "thread": record["thread"]}
    reply = client.post("/v1/confirm", json={**shown, "approved": approved}, headers=headers)

    after = read_events(reply)[-1][1] if headers else reply.json()
    assert after["text"] == f"It is {decision}."
    assert (after["pending"], after["tool_calls"][0]["decision"]) == (None, decision)
    assert app.decided == [(record["thread"], approved)]


def test_a_changed_argument_is_not_what_was_confirmed(client, app):
    thread = client.post("/v1/ask", json={"question": "refund"}).json()["thread"]
    changed = {**CALL.arguments, "order_id": "FW-20002"}
    body = {"thread": thread, "name": CALL.name, "arguments": changed, "approved": True}

    assert client.post("/v1/confirm", json=body).json()["text"] == "It is denied."
    assert app.decided == [(thread, False)]


def test_the_last_event_of_a_question_that_waits_is_confirm(client):
    events = read_events(client.post("/v1/ask", json={"question": "refund"}, headers=EVENTS))

    assert [name for name, _ in events] == ["step", "step", "confirm"]


ASK = {"question": "How heavy is it?"}
DECISION = {"thread": "t", "name": "request_refund", "arguments": {}, "approved": True}
BAD = [
    ("no JSON", "/v1/ask", b"{", 400, "The body is no JSON."),
    ("deep", "/v1/ask", b"[" * 60_000, 400, ""),
    ("deep arguments", "/v1/confirm",
     json.dumps({**DECISION, "arguments": 0}).replace("0", '{"a":' * 900 + "1" + "}" * 900).encode(), 400,
     "There is nothing to confirm"),
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
    ("a long number", "/v1/ask", {**ASK, "customer": 2**31}, 422, "customer: Input should be less than"),
    ("a thread with signs", "/v1/ask", {**ASK, "thread": "../x"}, 422, "thread: String should match"),
    ("a thread with a line", "/v1/ask", {**ASK, "thread": "x\n"}, 422, "thread: String should match"),
    ("100 kB", "/v1/ask", {"question": "x" * 100_000}, 413, "The body has more than 64000 bytes."),
    ("64 kB and one", "/v1/ask", b" " * 64_001, 413, "The body has more than 64000 bytes."),
    ("2 MB", "/v1/ask", b" " * 2_000_000, 413, ""),
    ("unknown thread", "/v1/confirm", DECISION, 400, "There is nothing to confirm"),
    ("no decision", "/v1/confirm", {**DECISION, "approved": "yes"}, 422, "approved: Input should be"),
    ("odd name", "/v1/confirm", {**DECISION, "name": "a b"}, 422, "name: String should match"),
    ("not a number", "/v1/confirm", json.dumps(DECISION).replace("{}", '{"a": NaN}').encode(), 422,
     "not JSON compliant"),
    ("broken app", "/v1/ask", {"question": "no weights"}, 500, SORRY),
    ("bug", "/v1/ask", {"question": "bug"}, 500, SORRY),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "status", "said"), [one[1:] for one in BAD], ids=[one[0] for one in BAD]
)
def test_bad_input_is_a_clear_error(client, app, capfd, path, body, status, said):  # noqa: PLR0913, PLR0917
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    try:
        reply = client.post(path, content=content, headers={"Content-Type": "application/json"})
    except OSError:
        pytest.fail("the line was cut before the answer")

    assert reply.status_code == status
    error = reply.json()["error"]
    assert error["status"] == status
    assert said in error["message"]
    written = capfd.readouterr().err
    assert "Traceback" not in reply.text + written
    assert not [text for text in ("Quimby", "/secret") if text in reply.text]
    assert "Quimby" not in written
    assert app.decided == []


@pytest.mark.parametrize("question", ["bug", "no weights", " "])
def test_an_error_in_a_stream_is_its_last_event(client, question):
    events = read_events(client.post("/v1/ask", json={"question": question}, headers=EVENTS))

    ((name, data),) = events
    assert name == "error"
    assert data["status"] == (400 if question == " " else 500)
    assert "Quimby" not in data["message"]


def test_what_went_wrong_is_told_at_the_terminal(client, capfd):
    client.post("/v1/ask", json={"question": "no weights"})
    client.post("/v1/ask", json={"question": "bug"})

    weights, bug = capfd.readouterr().err.splitlines()
    assert weights == "reference_app: /secret/weights are not there."
    assert bug.startswith("reference_app: ValueError in run, ")


@pytest.mark.parametrize("headers", [{}, EVENTS])
def test_a_broken_tool_is_an_apology_to_the_customer_and_named_at_the_terminal(client, capfd, headers):
    reply = client.post("/v1/ask", json={"question": "broken tool"}, headers=headers)
    said = read_events(reply)[-1][1] if headers else reply.json()["error"]

    assert said == {"status": 500, "message": SORRY}
    assert capfd.readouterr().err == f"reference_app: {BROKEN_TOOL}\n"


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
        ("rebound.example:{port}", 400),
        ("127.0.0.1.rebound.example", 400),
        ("127.0.0.1:{port}:80", 400),
        ("127.0.0.1:x", 400),
        ("127.0.0.2:{port}", 400),
        ("[::1]:{port}", 400),
        ("user@127.0.0.1", 400),
        ("", 400),
    ],
)
def test_only_the_host_it_is_bound_to_is_served(client, host, status):
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


@pytest.mark.parametrize(
    ("path", "status"), [("/v2", 404), ("/v1/ask", 405), ("/docs", 404), ("/redoc", 404)]
)
def test_an_address_that_is_none_is_an_error_in_json(client, path, status):
    reply = client.get(path)

    assert (reply.status_code, reply.json()["error"]["status"]) == (status, status)


def test_the_description_names_bodies_and_errors(client):
    described = client.get("/openapi.json").json()

    assert set(described["paths"]) == {"/v1/ask", "/v1/confirm", "/health"}
    answers = described["paths"]["/v1/ask"]["post"]["responses"]
    assert set(answers) == {"200", "400", "413", "422", "500"}
    assert set(answers["200"]["content"]) == {"application/json", "text/event-stream"}
    record = described["components"]["schemas"]["Record"]
    assert "titles" in record["required"]
    assert "Escape" in record["properties"]["titles"]["description"]
    question = described["components"]["schemas"]["Question"]
    assert (question["properties"]["question"]["maxLength"], question["additionalProperties"]) == (
        2000,
        False,
    )


def test_every_answer_carries_the_headers_that_keep_it_to_itself(client):
    for reply in (client.get("/"), client.get("/none"), client.get("/", headers={"Host": "else"})):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert reply.headers["cache-control"] == "no-store"


def test_the_model_stops_when_the_client_hangs_up(client, app):
    with client.stream("POST", "/v1/ask", json={"question": "endless"}, headers=EVENTS) as reply:
        assert "event: piece" in reply.iter_lines()  # read until the model writes: before, nothing need stop

    assert app.hung_up.wait(60)
    assert app.pieces < 1_000_000


def test_the_model_waits_for_a_slow_reader_and_stops_when_it_goes(client, app):
    with client.stream("POST", "/v1/ask", json={"question": "endless"}, headers=EVENTS):
        before = 0
        while not before or before != app.pieces:  # until the buffers of the line are full
            before = app.pieces
            assert not app.hung_up.wait(0.2)

    assert app.hung_up.wait(60)
    assert app.pieces < 1_000_000


def test_a_question_in_work_keeps_nobody_waiting(client, app):
    with client.stream("POST", "/v1/ask", json={"question": "endless"}, headers=EVENTS) as reply:
        assert "event: piece" in reply.iter_lines()
        assert client.get("/health").json() == {"status": "ok"}
        assert client.post("/v1/ask", json=ASK).status_code == 200
    assert app.hung_up.wait(60)


@pytest.mark.parametrize("while_it_answers", [False, True])
def test_ctrl_c_ends_it(launch, while_it_answers):
    process = launch("-c", SCRIPT)
    line = process.stderr.readline()
    assert line.startswith("reference_app: http://127.0.0.1:")
    port = int(line.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
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


def test_a_taken_port_is_one_clear_line():
    with bind("127.0.0.1", 0) as taken, pytest.raises(ServingError, match="name another --port"):
        bind("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "port"), [("192.0.2.1", 0), ("127.0.0.1", 70_000), ("no such host", 0), ("x" * 300, 0)]
)
def test_an_address_that_cannot_be_bound_is_one_clear_line(host, port):
    with pytest.raises(ServingError, match=r"cannot be served on|is no port"):
        bind(host, port)


@pytest.mark.parametrize(
    ("bound", "named", "served"),
    [
        ("0.0.0.0", b"10.0.0.5:80", True),  # noqa: S104 - nothing is bound here
        ("0.0.0.0", b"[fe80::1]:80", True),  # noqa: S104
        ("0.0.0.0", b"localhost:80", True),  # noqa: S104
        ("0.0.0.0", b"rebound.example:80", False),  # noqa: S104
        ("::", b"rebound.example", False),
        ("::1", b"[::1]:80", True),
        ("::1", b"[::1]", True),
        ("::1", b"127.0.0.1", False),
        ("shop.example", b"Shop.Example:80", True),
        ("shop.example", b"localhost", False),
    ],
)
def test_which_hosts_an_address_goes_by(bound, named, served):
    assert Door(None, bound, ())._is_addressed([named]) is served
