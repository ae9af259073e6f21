"""What an app may return: values of the libraries that are installed here, and their look-alikes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import Output, Passage, load_golden, run_golden
from pytest_llmops.errors import AnswerError
from pytest_llmops.recorder.bodies import event_lines
from pytest_llmops.records import Usage
from pytest_llmops.runner.app.answers import read_answer
from pytest_llmops.runner.app.returned import join_pieces
from pytest_llmops.settings import Settings
from tests.provider_server import TEXT, ProviderServer


def stated(calls: int, prompt: int, completion: int) -> Usage:
    return Usage(calls=calls, prompt_tokens=prompt, completion_tokens=completion, cost_usd=None, stated=True)


def tools_of(output: Output) -> list[tuple[str, Mapping[str, Any], Any]]:
    return [(call.name, dict(call.arguments), call.result) for call in output.tool_calls]


# Records of the app's own.


@dataclass
class Answer:
    text: str
    passages: list[Any] = field(default_factory=list)
    score: float = 0.5


@dataclass
class Source:
    id: str
    text: str


@dataclass
class Named:
    answer: str | None
    confidence: float = 0.5
    day: date | None = None


class Pair(NamedTuple):
    text: str
    sources: tuple[str, ...] = ()


@dataclass
class Computed:
    parts: list[str]

    @property
    def text(self) -> str:
        return " ".join(self.parts)


@dataclass
class Invoice:
    number: str
    total: float


@dataclass
class Both:
    answer: str
    content: str


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer("Paris"), "Paris"), (Named("Paris", day=date(2026, 1, 2)), "Paris"), (Pair("Paris"), "Paris"),
        (Computed(["Paris", "it", "is"]), "Paris it is"), (Answer(""), ""),
        (Invoice("7", 3.5), '{"number": "7", "total": 3.5}'),
        (Both("Paris", "Lyon"), '{"answer": "Paris", "content": "Lyon"}'),
    ],
)  # fmt: skip
def test_records_are_read_by_their_fields(answer, text):
    assert read_answer(answer) == text


def test_a_record_may_have_what_a_mapping_has():
    output = read_answer(Answer("Paris", passages=[Source("france#capital", "Paris is"), "spain#capital"]))
    assert output.passages == (
        Passage(id="france#capital", text="Paris is"),
        Passage(id="spain#capital", text="spain#capital"),
    )
    assert read_answer(Answer("Paris", passages=[Passage(id="a")])).passages == (Passage(id="a"),)


def test_pydantic_models_are_read_by_their_fields():
    pydantic = pytest.importorskip("pydantic")

    class Reply(pydantic.BaseModel):
        answer: str | None
        when: date = date(2026, 1, 2)
        usage: dict[str, int] = pydantic.Field({"prompt_tokens": 3, "completion_tokens": 4})

    class Weather(pydantic.BaseModel):
        city: str
        day: date

    class Text(pydantic.RootModel[str]):
        pass

    class Wrong(pydantic.BaseModel):
        city: str

        @pydantic.field_serializer("city")
        def serialize(self, _):
            raise KeyError("no city")

    output = read_answer(Reply(answer="Paris"))
    assert (output.text, output.usage) == ("Paris", stated(1, 3, 4))
    assert json.loads(read_answer(Weather(city="Rome", day=date(2026, 1, 2))).text)["day"] == "2026-01-02"
    assert read_answer(Text("Paris")) == "Paris"
    with pytest.raises(
        AnswerError, match="returned a Reply whose 'answer' is None; it has: answer, when, us"
    ):
        read_answer(Reply(answer=None))
    with pytest.raises(AnswerError, match=r"returned a Wrong that cannot be read: .*no city"):
        read_answer(Wrong(city="Rome"))


# Messages and states.


def test_messages_of_langchain():
    messages = pytest.importorskip("langchain_core.messages")
    counts = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    asked = messages.AIMessage(
        "", tool_calls=[{"name": "find", "args": {"id": 7}, "id": "1"}], usage_metadata=counts
    )
    answer = messages.AIMessage(
        content=[{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "It is "}, "Paris"],
        usage_metadata=counts,
        response_metadata={"model_name": "small"},
    )

    assert read_answer(answer).text == "It is Paris"
    assert (read_answer(answer).usage, read_answer(answer).model) == (stated(1, 5, 2), "small")
    assert read_answer(messages.AIMessageChunk("Par") + messages.AIMessageChunk("is")) == "Paris"
    state = {
        "documents": [object],
        "messages": [
            messages.HumanMessage("before"),
            messages.AIMessage("", tool_calls=[{"name": "old", "args": {}, "id": "0"}]),
            messages.HumanMessage("capital of France?"), asked,
            messages.ToolMessage("found", tool_call_id="1"), answer,
        ],
    }  # fmt: skip
    output = read_answer(state)
    assert (output.text, output.usage) == ("It is Paris", stated(2, 10, 4))
    assert tools_of(output) == [("find", {"id": 7}, "found")]
    with pytest.raises(AnswerError, match="1 message, of which the last is a message of the role 'human'"):
        read_answer(messages.HumanMessage("hi"))
    with pytest.raises(AnswerError, match="5 messages, of which the last is a message of the role 'tool'"):
        read_answer({"messages": state["messages"][:5]})


def test_a_graph_of_langgraph():
    graph = pytest.importorskip("langgraph.graph")
    pydantic = pytest.importorskip("pydantic")
    messages = pytest.importorskip("langchain_core.messages")
    own = pydantic.create_model("Own", messages=(list[messages.AnyMessage], ...))

    def answer(state):
        before = state["messages"] if isinstance(state, dict) else state.messages
        return {"messages": [*before, messages.AIMessage("Paris")]}

    for schema in (graph.MessagesState, own):
        builder = graph.StateGraph(schema)
        builder.add_node("answer", answer)
        builder.add_edge(graph.START, "answer")
        state = builder.compile().invoke({"messages": [messages.HumanMessage("capital of France?")]})
        assert read_answer(state) == "Paris"
    assert read_answer(own(messages=[messages.AIMessage("Paris")])) == "Paris"


@pytest.mark.parametrize(
    ("messages", "wrong"),
    [
        ([], "0 messages, of which the last is no message of a known role"),
        (["hi"], "1 message, of which the last is no message of a known role"),
        ([{"role": "assistant", "content": "a"}, 7], "2 messages, of which the last is no message"),
        ([{"role": "user", "content": "a"}], "a message of the role 'user', and not the model's answer"),
        ([{"role": "assistant", "content": 5}], "a message whose content is an int, not text or parts"),
    ],
)
def test_a_state_without_an_answer_is_refused(messages, wrong):
    with pytest.raises(AnswerError, match=wrong):
        read_answer({"messages": messages})


# Replies of providers.


MESSAGE = {"role": "assistant", "content": "Paris"}
CALL = {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"id": 7}'}}


def completion(**message: Any) -> dict[str, Any]:
    return {
        "id": "1", "object": "chat.completion", "created": 1, "model": "small-1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {**MESSAGE, **message}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }  # fmt: skip


def response(*items: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": "1", "object": "response", "created_at": 1, "model": "small-1", "output": list(items),
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": {
            "input_tokens": 3, "output_tokens": 1, "total_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0},
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        },
    }  # fmt: skip


def item(*texts: str) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": parts}


FUNCTION = {"type": "function_call", "call_id": "1", "name": "find", "arguments": '{"id": 7}'}


def as_openai(reply: dict[str, Any]) -> Any:
    chat = pytest.importorskip("openai.types.chat")
    from openai.types.responses import Response

    kind = chat.ChatCompletion if "choices" in reply else Response
    return kind.model_validate(reply)


@pytest.mark.parametrize("make", [as_openai, dict], ids=["client", "JSON"])
@pytest.mark.parametrize(
    ("reply", "text", "tools"),
    [
        (completion(), "Paris", []),
        (completion(content=None, refusal="I cannot help"), "I cannot help", []),
        (completion(content=None, tool_calls=[CALL]), "", [("find", {"id": 7}, None)]),
        (
            completion(tool_calls=[{**CALL, "function": {"name": "find", "arguments": "7 or 8"}}]),
            "Paris",
            [("find", {"arguments": "7 or 8"}, None)],
        ),
        (response(item("Par", "is"), FUNCTION, item("!")), "Paris!", [("find", {"id": 7}, None)]),
        (response({"id": "r", "type": "reasoning", "summary": []}), "", []),
    ],
)
def test_replies_of_openai(make, reply, text, tools):
    output = read_answer(make(reply))
    assert (output.text, tools_of(output)) == (text, tools)
    assert (output.model, output.usage) == ("small-1", stated(1, 3, 1))


def test_a_message_of_openai_and_one_of_anthropic():
    chat = pytest.importorskip("openai.types.chat")
    assert read_answer(chat.ChatCompletionMessage.model_validate(MESSAGE)) == "Paris"
    anthropic = {
        "id": "1", "type": "message", "role": "assistant", "model": "large-1", "stop_reason": "tool_use",
        "content": [
            {"type": "text", "text": "Paris"},
            {"type": "tool_use", "id": "1", "name": "find", "input": {"id": 7}},
        ],
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }  # fmt: skip
    output = read_answer(anthropic)
    assert (output.text, output.model, output.usage) == ("Paris", "large-1", stated(1, 3, 1))
    assert tools_of(output) == [("find", {"id": 7}, None)]


def test_a_reply_without_a_choice_is_refused():
    with pytest.raises(AnswerError, match="a reply of a provider in which no choice holds a message"):
        read_answer({"choices": []})


# HTTP responses.


def http_response(library: str, status: int, kind: str, body: str) -> Any:
    module = pytest.importorskip(library)
    if library == "httpx":
        return module.Response(status, headers={"content-type": kind}, content=body.encode())
    made = module.Response()
    made.status_code, made._content = status, body.encode()
    made.headers["content-type"] = kind
    return made


@pytest.mark.parametrize("library", ["httpx", "requests"])
@pytest.mark.parametrize(
    ("written", "text", "wrong"),
    [
        ((200, "application/json", '{"text": "Paris"}'), "Paris", ""),
        ((200, "application/json; charset=utf-8", '"Paris"'), "Paris", ""),
        ((200, "application/problem+json", json.dumps(completion())), "Paris", ""),
        ((200, "text/plain; charset=utf-8", "Paris é"), "Paris é", ""),
        ((200, "application/json", '{"answer": "Paris"}'), "", "the output has no 'text'; it has: answer"),
        ((200, "application/json", "[1]"), "", "the app returned a list; it must return a string"),
        ((200, "application/json", "{"), "", "an HTTP response that cannot be read: JSONDecodeError"),
        ((200, "text/html", "<p>Paris"), "", "of the type text/html; JSON and text/plain are understood"),
        ((503, "text/plain", "Paris"), "", "the app returned an HTTP response of status 503"),
    ],
)
def test_http_responses(library, written, text, wrong):
    made = http_response(library, *written)
    if not wrong:
        assert read_answer(made) == text
        return
    with pytest.raises(AnswerError) as raised:
        read_answer(made)
    assert wrong in str(raised.value)


# What is not understood.


class Anything:
    def __getattr__(self, name):
        return Anything()

    def __call__(self, *_, **__):
        return Anything()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(None, "None"), (5, "an int"), (["a"], "a list"), (b"a", "a bytes"), (Anything(), "an Anything"),
     (Answer, "a type"), (SimpleNamespace(text="a"), "a SimpleNamespace"), ({"a"}, "a set")],
)  # fmt: skip
def test_what_is_not_understood_is_named_with_what_is(answer, kind):
    with pytest.raises(AnswerError) as raised:
        read_answer(answer)
    message = str(raised.value)
    assert message.startswith(
        f"the app returned {kind}; it must return a string, an Output, or a mapping with 'text'"
    )
    assert "a state of LangChain" in message or "state of LangChain" in message


def test_a_value_that_contains_itself_is_refused():
    loop: dict[str, Any] = {}
    loop["a"] = loop
    with pytest.raises(AnswerError, match="a dict that contains itself"):
        read_answer(loop)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda part: st.lists(part, max_size=3)
    | st.dictionaries(
        st.sampled_from(["text", "role", "type", "content", "messages", "choices", "message", "object",
                         "output", "tool_calls", "usage", "name", "function", "arguments", "id"])
        | st.text(max_size=3),
        part | st.sampled_from(["assistant", "user", "tool", "response", "text", "tool_use"]),
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_any_json_is_read_or_refused_in_words(value):
    try:
        assert isinstance(read_answer(value).text, str)
    except AnswerError as error:
        assert len(str(error)) > 20  # noqa: PT017 - either is right


# Streams, and the call of the app.


def generator(_):
    yield "Pa"
    yield "ris"


async def async_generator(_):
    yield "Pa"
    yield "ris"


class Streaming:
    async def __call__(self, question):
        return async_generator(question)


async def returns_generator(question):
    return generator(question)


def of_chunks(_):
    chunk = pytest.importorskip("langchain_core.messages").AIMessageChunk
    yield from (chunk("Pa"), chunk([{"type": "text", "text": "ris"}]))


def of_events(_):
    chunk = pytest.importorskip("openai.types.chat").ChatCompletionChunk
    for delta in ({"role": "assistant"}, {"content": "Pa"}, {"content": "ris"}):
        choices = [{"index": 0, "delta": delta, "finish_reason": None}]
        yield chunk.model_validate(
            {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
        )
    yield {"type": "response.output_text.delta", "delta": "!"}


def breaks(_):
    yield "Pa"
    raise ValueError("the line broke")


async def breaks_async(_):
    yield "Pa"
    raise ValueError("the line broke")


def of_numbers(_):
    yield 1


async def of_mappings(_):
    yield {"token": "Pa"}


@pytest.fixture
def run(tmp_path):
    def run(app):
        path = tmp_path / "golden.yaml"
        path.write_text("cases:\n  - {id: a, input: hi}\n")
        golden = load_golden(path, root=tmp_path)
        return run_golden(golden, app, settings=Settings(root=tmp_path, timeout_s=0.5)).results[0]

    return run


@pytest.mark.parametrize(
    ("app", "text"),
    [
        (generator, "Paris"), (async_generator, "Paris"), (Streaming(), "Paris"),
        (returns_generator, "Paris"), (lambda _: map(str, [1, 2]), "12"),
        (lambda _: iter(()), ""), (of_chunks, "Paris"), (of_events, "Paris!"),
    ],
)  # fmt: skip
def test_pieces_are_joined(run, app, text):
    (output,) = run(app).outputs
    assert output == text


@pytest.mark.parametrize(
    ("app", "wrong"),
    [
        (breaks, "the app raised ValueError: the line broke"),
        (breaks_async, "the app raised ValueError: the line broke"),
        (of_numbers, "the app's generator yielded an int; its pieces must be strings, messages or events"),
        (of_mappings, "the app's generator yielded a dict; its pieces must be strings, messages or events"),
    ],
)
def test_a_stream_that_breaks_is_an_error(run, app, wrong):
    (failure,) = run(app).failures
    assert failure.error.startswith(wrong)


def test_a_stream_that_hangs_ends_at_the_time_limit(run):
    import asyncio

    async def hangs(_):
        yield "Pa"
        await asyncio.sleep(30)

    (failure,) = run(hangs).failures
    assert "no answer within 0.5 s" in failure.error


def test_the_pieces_belong_to_the_call(run):
    """What a generator prints and whatever else it does is done inside of the case."""

    def printing(_):
        print("looking")  # noqa: T201 - as an app does
        yield "Paris"

    assert run(printing).printed == (("stdout", "looking\n"),)


@given(st.lists(st.text()))
def test_joined_pieces_are_the_text(pieces):
    assert join_pieces(iter(pieces)) == "".join(pieces)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/messages",
        "/v1beta/models/m:streamGenerateContent",
        "/api/chat",
        "/v2/chat",
    ],
)
def test_events_of_every_provider_are_pieces(path):
    _, stream = ProviderServer().answer(path, {"stream": True, "messages": []})
    events = [event for _, event in event_lines(b"".join(stream).decode()) if event is not None]
    assert join_pieces(iter(events)) == TEXT
