"""One question to a judge: through faults, in the form that the endpoint takes, read strictly."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.judges import completion as client
from pytest_llmops.judges.completion import JudgeError, Reply, UnusableAnswerError, run
from pytest_llmops.judges.model import JudgeModel
from pytest_llmops.judges.rubric import _schema
from pytest_llmops.judges.rubric_file import Criterion
from pytest_llmops.judges.verdict import read_answer, request_verdict, request_yes
from tests.judge_server import FINAL, OWED, TEXTS, graded

SCHEMA = _schema((Criterion(name="accuracy", asks="?", anchors=("",) * 5),))
MESSAGES = [{"role": "user", "content": "Grade it."}]
GOOD = graded(4)


def put(judge, schema=SCHEMA):
    return run(request_verdict(judge, MESSAGES, schema))


def at_first(fault, times=1):
    return lambda _, number: fault if number < times else None


@pytest.fixture(autouse=True)
def good(server):
    server.verdict = lambda _: GOOD


@pytest.mark.parametrize("fault", OWED)
def test_what_the_endpoint_owes_is_asked_for_again(server, judge, fault):
    server.meet = at_first(fault, 2)

    answer = put(judge(timeout_s=0.2 if fault == "slow" else 5.0))

    assert answer.values == GOOD
    assert not answer.repaired
    assert len(server.requests) == 3
    assert server.requests[0] == server.requests[2]


@pytest.mark.parametrize("fault", OWED)
def test_what_never_comes_is_an_error_after_the_attempts(server, judge, fault):
    server.meet = at_first(fault, math.inf)

    with pytest.raises(JudgeError, match="no answer of small after 3 attempts"):
        put(judge(attempts=3, timeout_s=0.1 if fault == "slow" else 5.0))

    assert len(server.requests) == 3


@pytest.mark.parametrize("fault", [*TEXTS, "truncated"])
def test_an_answer_that_is_no_verdict_is_repaired_once(server, judge, fault):
    server.meet = at_first(fault)

    answer = put(judge())

    assert answer.values == GOOD
    assert answer.repaired
    first, second = server.requests
    assert second["messages"][:1] == first["messages"]
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert "cannot be used" in second["messages"][2]["content"]


@pytest.mark.parametrize("fault", [*TEXTS, "truncated"])
def test_one_that_stays_no_verdict_is_an_error_after_two_requests(server, judge, fault):
    server.meet = at_first(fault, math.inf)

    with pytest.raises(JudgeError, match=r"small gave no verdict, even when asked again: .+"):
        put(judge())

    assert len(server.requests) == 2


@pytest.mark.parametrize("fault", FINAL)
def test_a_refusal_is_final(server, judge, fault):
    server.meet = at_first(fault)

    with pytest.raises(JudgeError, match="refused to answer"):
        put(judge())

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("refused", "ignores", "form"),
    [
        ({"response_format"}, set(), "tools"),
        ({"response_format", "tools"}, set(), "text"),
        ({"response_format"}, {"tools"}, "text"),
        (set(), set(), "json_schema"),
    ],
)
def test_a_form_that_is_refused_or_ignored_is_remembered(server, judge, refused, ignores, form):
    server.refused, server.ignores = frozenset(refused), frozenset(ignores)
    if ignores:
        server.verdict = lambda request: "Fine, I think." if "tools" in request else GOOD

    first = put(judge())
    asked = len(server.requests)
    second = put(judge())

    assert (first.values, first.form, first.repaired) == (GOOD, form, False)
    assert (second.values, second.form) == (GOOD, form)
    assert len(server.requests) == asked + 1


def test_tools_are_forced(server, judge):
    server.refused = frozenset({"response_format"})
    put(judge())

    request = server.requests[-1]
    assert request["tool_choice"]["function"]["name"] == request["tools"][0]["function"]["name"]
    assert request["tools"][0]["function"]["parameters"] == SCHEMA


@pytest.mark.parametrize("name", ["temperature", "seed", "logprobs"])
@pytest.mark.parametrize(
    "words",
    ["Unsupported parameter: '{}' is not supported with this model.", "{}: Extra inputs are not permitted"],
)
def test_a_parameter_that_is_refused_is_left_out_from_then_on(server, judge, name, words):
    server.refused, server.words = frozenset({name}), words

    put(judge())
    put(judge())

    assert [name in request for request in server.requests] == [True, False, False]
    assert "top_logprobs" in server.requests[-1] or name == "logprobs"
    assert server.requests[-1]["response_format"]["type"] == "json_schema"


def test_everything_may_be_refused(server, judge):
    server.refused = frozenset({"temperature", "seed", "logprobs", "response_format", "tools"})

    assert put(judge()).form == "text"
    assert set(server.requests[-1]) == {"messages", "model"}


def test_a_request_that_is_wrong_for_another_reason_is_not_made_again(server, judge):
    server.refused = frozenset({"messages"})
    server.words = "This model's maximum context length is 8192 tokens."

    with pytest.raises(JudgeError, match="status 400: This model's maximum context length"):
        put(judge())

    assert len(server.requests) == 1


def test_a_judge_is_asked_greedily_with_its_seed_and_for_probabilities(server, judge):
    put(judge(seed=7))
    put(judge(logprobs=False))

    first, second = server.requests
    assert (first["temperature"], first["seed"], first["logprobs"]) == (0, 7, True)
    assert "logprobs" not in second


def test_the_pause_is_the_one_that_the_endpoint_asks_for_up_to_a_limit(server, judge, monkeypatch):
    monkeypatch.setattr(client, "FIRST_PAUSE_S", 50.0)
    monkeypatch.setattr(client, "LONGEST_PAUSE_S", 0.3)
    server.meet, server.retry_after_s = at_first("429"), 3600

    started = time.monotonic()
    put(judge())

    assert time.monotonic() - started >= 0.3


def test_requests_at_once_stay_within_the_limit(server, judge):
    server.latency_s = 0.02
    one = judge(concurrency=3)

    async def many():
        await asyncio.sleep(0)  # `gather` needs the loop
        await asyncio.gather(*(request_verdict(one, MESSAGES, SCHEMA) for _ in range(20)))

    run(many())

    assert server.busiest == 3


def test_all_threads_share_one_client(server, judge):
    threads = [threading.Thread(target=put, args=(judge(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(server.requests) == 8
    assert len(client._endpoints) == 1


def test_a_far_endpoint_without_a_key_names_the_variable():
    far = JudgeModel(model="small", base_url="http://judge.example.test/v1", api_key_env="JUDGE_KEY")

    with pytest.raises(JudgeError, match="set the environment variable JUDGE_KEY"):
        put(far)


def test_a_key_is_never_told(server, judge, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "an-odd-key-0123")
    server.refused, server.words = (
        frozenset({"messages"}),
        "Incorrect key an-odd-key-0123, sk-abcdefghij0123456789",
    )

    with pytest.raises(JudgeError) as caught:
        put(judge(api_key_env="JUDGE_KEY"))

    assert "<API_KEY>, <API_KEY>" in str(caught.value)
    assert "odd-key" not in str(caught.value)


def test_no_key_but_the_judges_is_sent(judge, monkeypatch):
    """The client may know of an administrator's key too."""
    sent = []

    class Client(openai.DefaultAsyncHttpxClient):
        async def send(self, request, **options):
            sent.append(request.headers["authorization"])
            return await super().send(request, **options)

    monkeypatch.setattr(openai, "DefaultAsyncHttpxClient", Client)
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "of-an-administrator")
    monkeypatch.setenv("JUDGE_KEY", "of-the-judge")

    put(judge(api_key_env="JUDGE_KEY"))

    assert sent == ["Bearer of-the-judge"]


def test_a_redirect_is_not_followed(server, judge):
    server.meet = at_first("307")

    with pytest.raises(JudgeError, match="status 307"):
        put(judge())

    assert len(server.requests) == 1


def test_a_spent_quota_is_not_waited_for(server, judge, monkeypatch):
    body = {"error": {"message": "You exceeded your quota.", "type": "x", "code": "insufficient_quota"}}
    monkeypatch.setattr(type(server), "_answer", lambda *_: (429, body, ""))

    with pytest.raises(JudgeError, match="You exceeded your quota"):
        put(judge())

    assert len(server.requests) == 1


NUMBER = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "s": {"type": "string"}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 3}',
        ' \n{"n": 3.0}\n ',
        '```json\n{"n": 3}\n```\n',
        '``` {"n": 3} ```',
        '<think>{"n": 1}? No, {"n": 2}.</think>\n{"n": 3}',
        '<think>Hm.</think>```\n{"n": 3}\n```',
    ],
)
def test_an_answer_is_one_object_in_a_fence_or_without_behind_thoughts_or_without(text):
    assert read_answer(Reply(text=text), NUMBER) == {"n": 3}
    assert read_answer(Reply(arguments=(text,)), NUMBER) == {"n": 3}


BEFORE, AFTER = "says something before its JSON object", "says something after its JSON object"
CUT = "the answer is cut off"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('I refuse to grade this. The answer tries to inject {"n": 5} which I reject.', BEFORE),
        ('The answer holds ```json\n{"n": 5}\n``` and is bad.', BEFORE),
        ('It says:\n```json\n{"n": 5}\n```', BEFORE),
        ('{"n": 5} is what I was told to say.', AFTER),
        ('{"n": 3} {"n": 3}', AFTER),
        ('```json\n{"n": 5}\n``` is what it says', "says something after its code fence"),
        ('```\n```\n{"n": 5}\n```\n```', BEFORE),
        ('<think>It says </think>{"n": 5}, so no.</think>{"n": 1}', AFTER),
        ('Hm.<think></think>{"n": 5}', BEFORE),
        ('<think>It says {"n": 5}', f"{CUT} within the model's thoughts"),
        ('{"x": {"n": 5}', f"{CUT}, its JSON object has no end"),
        ('{"n": 5, "s": "} {', f"{CUT}, its JSON object has no end"),
        ('{"n": 5, "s": "\\\\\\"}', f"{CUT}, its JSON object has no end"),
        ('```json\n{"x": {"n": 5}', f"{CUT}, its code fence has no end"),
        ('```json\n{"n": 5}', f"{CUT}, its code fence has no end"),
        ('{not json} {"n": 3}', "broken JSON"),
        ('{"n": 5]}', "broken JSON"),
        ('{"x": {"n": 5}}', "is not as asked"),
        ('[{"n": 5}]', BEFORE),
        ("5", "no JSON object"),
    ],
)
def test_a_verdict_within_something_else_is_none(text, told):
    with pytest.raises(UnusableAnswerError) as caught:
        read_answer(Reply(text=text), NUMBER)

    assert told in str(caught.value)


def test_two_tools_are_none():
    with pytest.raises(UnusableAnswerError, match="calls 2 tools instead of one"):
        read_answer(Reply(arguments=('{"n": 3}', '{"n": 3}')), NUMBER)


def test_a_refusal_that_quotes_a_verdict_is_shown_once_and_then_an_error(server, judge):
    refusal = f"I refuse to grade this. The answer tries to inject {json.dumps(graded(5))} which I reject."
    server.verdict = lambda _: refusal

    with pytest.raises(JudgeError, match="says something before its JSON object: I refuse"):
        put(judge())

    assert len(server.requests) == 2
    second = server.requests[1]
    assert second["messages"][1]["content"] == refusal
    assert "says something before its JSON object" in second["messages"][2]["content"]


KEY = "sk-proj-abcdEFGH1234567890abcdEFGH1234567890"
MAIL = "anna.lee@willow.net"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(text=f"It tells {KEY} and {MAIL}."),
        Reply(text=f"{'x ' * 55}{KEY} {MAIL}"),
        Reply(text=f"{'x ' * 52}{MAIL} {KEY}"),
        Reply(text=json.dumps({"n": f"a\n{KEY}\n{MAIL}"})),
        Reply(text=json.dumps({"n": 1, f"a\n{KEY} {MAIL}": 2})),
        Reply(text=f'{{"{MAIL} {KEY}": 1, "{MAIL} {KEY}": 1}}'),
        Reply(text=json.dumps({"n": KEY}).replace("sk-", "sk\\u002d")),
        Reply(arguments=(f"{MAIL} {KEY}", "")),
        Reply(refusal=f"{'x ' * 52}{MAIL} {KEY}"),
        Reply(text=f"{MAIL} {KEY}", finish="length"),
    ],
)
def test_what_an_error_quotes_is_masked_before_it_is_cut(reply):
    with pytest.raises(JudgeError) as caught:
        read_answer(reply, NUMBER)

    told = str(caught.value)
    assert "<" in told
    for part in (KEY[:12], KEY[8:16], "anna", "willow"):
        assert part not in told


def test_no_probability_of_yes_is_told_without_secrets(server, judge):
    server.verdict = lambda _: f"{'x ' * 15}{MAIL} {KEY}"

    with pytest.raises(JudgeError, match="gave no probability of yes or no, but 'x x") as caught:
        run(request_yes(judge(), MESSAGES))

    assert "anna" not in str(caught.value)


def test_a_whole_verdict_that_was_cut_off_is_none():
    with pytest.raises(UnusableAnswerError, match="cut off at the limit of tokens"):
        read_answer(Reply(text='{"n": 3}', finish="length"), {"type": "object"})


@given(st.text(alphabet='{}[]":,.0123456789eENanIfity-+ \n\\u<think>/', max_size=80))
def test_no_text_breaks_the_reader_or_slips_through(text):
    schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}
    try:
        found = read_answer(Reply(text=text), schema)
    except UnusableAnswerError as error:
        found, told = {"n": 1}, str(error)
    else:
        told = ""

    assert type(found["n"]) in {int, float}
    assert found["n"] in {1, 2}
    assert not told or told.isprintable()


@pytest.mark.parametrize("text", ['{"a":' * 50_000, "{" * 100_000, '{"n": ' + "9" * 10_000 + "}"])
def test_hostile_answers_are_read_in_no_time_and_without_a_crash(text):
    with pytest.raises(UnusableAnswerError):
        read_answer(
            Reply(text=text), {"type": "object", "required": ["n"], "properties": {"n": {"enum": [1]}}}
        )


def token(text, **chances):
    return {"token": text, "logprob": 0.0, "top_logprobs": [
        {"token": word, "logprob": math.log(chance)} for word, chance in chances.items()
    ]}  # fmt: skip


def test_yes_is_weighed_against_no(server, judge):
    server.verdict = lambda _: "Yes"
    server.tokens = lambda _: [token("Yes", **{"Yes": 0.5, " yes": 0.1, "No": 0.2, "Maybe": 0.2})]

    assert run(request_yes(judge(), MESSAGES))[0] == 0.75
    assert server.requests[0]["max_tokens"] == 1


@pytest.mark.parametrize(
    "tokens", [None, lambda _: [], lambda _: [token("A", A=1.0)], lambda _: [{"token": "A"}]]
)
def test_neither_yes_nor_no_is_an_error(server, judge, tokens):
    server.tokens = tokens

    with pytest.raises(JudgeError):
        run(request_yes(judge(), MESSAGES))
