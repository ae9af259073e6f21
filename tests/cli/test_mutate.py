"""`llmops mutate`: scores, survivors with checks that kill them, replies, bounds, and a stored strength."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import main
from tests.extras import needs_proxy
from tests.git_settings import forget_git_settings
from tests.judge_server import JudgeServer

pytestmark = pytest.mark.usefixtures("warm")

SHOP = """
PASSAGES = {
    "boots": {"id": "returns#boots", "text": "Boots can be sent back within 60 days of delivery."},
    "tents": {"id": "warranty#tents", "text": "Tents have a warranty of 5 years on fabric and poles."},
    "gifts": {"id": "gifts#valid", "text": "A gift card is valid for 24 months from purchase."},
}

def answer(question):
    key = next(name for name in PASSAGES if name in question)
    others = [passage for name, passage in PASSAGES.items() if name != key]
    return {"text": PASSAGES[key]["text"], "passages": [PASSAGES[key], others[0]]}

def bare(question):
    return answer(question)["text"]

def private(question):
    return answer(question)["text"] + " Ask tobias.merrivale@example.com about the 60 days."
"""
SERVED = """
import json, os, threading, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import openai

class Service(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = self.rfile.read(int(self.headers["content-length"])).decode()
        with openai.OpenAI(api_key="k", base_url=os.environ["MODEL_URL"], max_retries=0) as client:
            messages = [{"role": "user", "content": asked}]
            reply = client.chat.completions.create(model="small", messages=messages)
        body = (reply.choices[0].message.content or "").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

started, answered = [], []
lock = threading.Lock()

def answer(question):
    if question == "hello":
        return "Good morning."
    with lock:
        is_first = not started
        if is_first:
            server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            started.append(server)
    url = f"http://127.0.0.1:{started[0].server_port}/"
    with urllib.request.urlopen(url, question.encode(), timeout=20) as response:
        text = response.read().decode()
    answered.append(text)
    while is_first and len(answered) < 4:  # while it is open, all calls are its own
        time.sleep(0.01)
    return text
"""
COMMAND = """
import subprocess, sys

CHILD = '''
import openai, sys
with openai.OpenAI(api_key="k", max_retries=0) as client:
    messages = [{"role": "user", "content": sys.argv[1]}]
    reply = client.chat.completions.create(model="small", messages=messages)
print(reply.choices[0].message.content)
'''

def answer(question):
    done = subprocess.run([sys.executable, "-c", CHILD, question], capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or done.stderr[-300:]
"""
CASES = """
cases:
  - {id: boots, input: How long for boots?, reference: Within 60 days of delivery., relevant: [returns#boots]}
  - {id: tents, input: What of tents?, reference: A warranty of 5 years., relevant: [warranty#tents]}
  - {id: gifts, input: And gifts?, reference: 24 months from purchase., relevant: [gifts#valid]}
"""
WEAK = "app: mutant_shop:answer\nchecks: {keywords: {any: [days, warranty, card]}}\n" + CASES
STRONG = 'app: mutant_shop:answer\nchecks: {facts: true, rouge_l: ">= 0.3", recall@1: ">= 1"}\n' + CASES

BOT = """
import asyncio, json, httpx, openai, os, time
from pathlib import Path

CALLS, ERRORS = [], []

def reply(request):
    body = json.loads(request.content)
    CALLS.append(body)
    asked = [message["content"] for message in body["messages"] if message["role"] == "user"][0]
    message = {"role": "assistant", "content": "yes" if "relevant" in asked else "60 days, at most."}
    if body.get("tools") and body["messages"][-1]["role"] != "tool":
        call = {"name": "order", "arguments": json.dumps({"id": "A-1042"})}
        message = {"role": "assistant", "content": None,
                   "tool_calls": [{"id": "c1", "type": "function", "function": call}]}
    elif body.get("tools"):
        message["content"] = "Order A-1042 is on its way."
    whole = {"id": "r1", "object": "chat.completion", "created": 1, "model": "paid-1",
             "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
             "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}}
    if not body.get("stream"):
        return httpx.Response(200, json=whole)
    head = {"id": "r1", "object": "chat.completion.chunk", "created": 1, "model": "paid-1"}
    events = [{**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": piece}}]}
              for piece in ("60 days", ", at most.")]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    text = "".join(f"data: {json.dumps(event)}\\n\\n" for event in events) + "data: [DONE]\\n\\n"
    return httpx.Response(200, headers={"content-type": "text/event-stream"},
                          stream=httpx.ByteStream(text.encode()))

def client():
    return openai.OpenAI(api_key="k", base_url="https://api.paid.example/v1", max_retries=0,
                         http_client=httpx.Client(transport=httpx.MockTransport(reply)))

def ask(content, **more):
    return client().chat.completions.create(
        model="paid-1", messages=[{"role": "user", "content": content}], **more)

def answer(question):
    return ask(question).choices[0].message.content

async def later(question):
    transport = httpx.MockTransport(reply)
    async with openai.AsyncOpenAI(api_key="k", base_url="https://api.paid.example/v1",
                                  http_client=httpx.AsyncClient(transport=transport)) as client:
        whole = await client.chat.completions.create(
            model="paid-1", messages=[{"role": "user", "content": question}])
    return whole.choices[0].message.content

KEPT = {}

def kept(question):
    if question not in KEPT:
        KEPT[question] = ask(question).choices[0].message.content
    return KEPT[question]

def muted(question):
    ask(question)
    return "60 days, at most."

def stream(question):
    return "".join(chunk.choices[0].delta.content or "" for chunk in ask(question, stream=True))

def graph(question):
    from typing import TypedDict
    from langgraph.graph import END, START, StateGraph
    State = TypedDict("State", {"question": str, "text": str})
    flow = StateGraph(State)
    flow.add_node("answerer", lambda state: {"text": ask(state["question"]).choices[0].message.content})
    flow.add_edge(START, "answerer")
    flow.add_edge("answerer", END)
    return flow.compile().invoke({"question": question})["text"]

def graded(question):
    grade = ask(f"Is the passage relevant? {question}").choices[0].message.content
    return "60 days, at most." if grade.strip() == "yes" else "I cannot tell."

TOOLS = [{"type": "function", "function": {"name": "order", "parameters": {"type": "object"}}}]

def agent(question):
    messages = [{"role": "user", "content": question}]
    used = []
    while True:
        message = client().chat.completions.create(
            model="paid-1", messages=messages, tools=TOOLS).choices[0].message
        if not message.tool_calls:
            return {"text": message.content or "", "tool_calls": used}
        call = message.tool_calls[0]
        arguments = json.loads(call.function.arguments)
        used.append({"name": call.function.name, "arguments": arguments})
        result = "on its way" if arguments["id"] == "A-1042" else "no such order"
        messages.append({"role": "assistant", "content": None, "tool_calls": [call.model_dump()]})
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

def ruled(question):
    rules = (Path(__file__).resolve().parent / "prompts" / "shop.md").read_text()
    answer = client().chat.completions.create(model="paid-1", messages=[
        {"role": "system", "content": rules}, {"role": "user", "content": question}])
    return rules if "polite" in rules else answer.choices[0].message.content

def patient(question):
    while True:
        text = ask(question).choices[0].message.content
        if "60 days" in text:
            return text

def stubborn(question):
    while True:
        try:
            text = ask(question).choices[0].message.content
        except Exception as error:
            ERRORS.append(error)
            continue
        if "60 days" in text:
            return text

async def stubborn_task(question):
    return await asyncio.to_thread(stubborn, question)

def slow(question):
    text = ask(question).choices[0].message.content
    if "60 days" not in text:
        time.sleep(3)
    return text

def linked(question):
    answer(question)
    return Path(__file__).with_name("answers.txt").read_text()

def elsewhere(question):
    assert Path(__file__).with_name("pyproject.toml").exists() and "llmops-" not in __file__
    return ruled(question)

def writing(question):
    with (Path(__file__).parent / "linked" / "log.txt").open("a") as log:
        log.write("asked\\n")
    return ruled(question)

HALVES = []

def halves(question):
    HALVES.append(question)
    return "60 days, at most." if len(HALVES) % 2 else "two months, at most."

def fragile(question):
    text = ask(question).choices[0].message.content
    return text.split("60 days")[1] and text
"""
BOT_CASES = """
cases:
  - {id: boots, input: How long for boots?, checks: {keywords: {all: ["60 days"]}}}
  - {id: shoes, input: And for shoes?, checks: {keywords: {all: ["60 days"]}}}
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "mutant_shop.py").write_text(SHOP)
    (tmp_path / "mutant_bot.py").write_text(BOT)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "golden").mkdir()
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("mutant_shop", "mutant_bot"):
        sys.modules.pop(name, None)


def golden(text: str) -> None:
    Path("golden/shop.yaml").write_text(text)


def bot(app: str, *, suite: str = "", cases: str = BOT_CASES) -> None:
    golden(f"app: mutant_bot:{app}\n{suite}{cases}")


def record() -> list:
    """Record the model calls of the app, as an ordinary run does; returns the log of its provider."""
    main(["run"])
    calls = sys.modules["mutant_bot"].CALLS
    del calls[:]
    return calls


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:
    capsys.readouterr()
    code = main(["mutate", *arguments, "--format", "json"])
    shown, problems = capsys.readouterr()
    assert shown, problems
    return code, json.loads(shown)


def kinds(shown: dict) -> dict[str, dict]:
    return {row["kind"]: row for row in shown["kinds"]}


def test_a_weak_golden_set_lets_lies_pass_and_is_given_checks_that_kill_them(capsys):
    golden(WEAK)
    code, shown = report(capsys)
    assert (code, shown["outcome"]) == (0, "passed")
    assert kinds(shown)["number"] | {"killed": 0, "survived": 3} == kinds(shown)["number"]
    survivor = next(row for row in shown["survivors"] if row["kind"] == "number" and "boots" in row["case"])
    assert "60" in survivor["change"]
    assert survivor["remedy"] in {"facts: true", "supported: true"}
    none_of_three = kinds(shown)["number"]
    assert (none_of_three["low"], none_of_three["high"]) == (
        0,
        pytest.approx(0.708, abs=1e-3),
    )  # Clopper-Pearson
    assert 0 < shown["score"]["low"] < shown["score"]["score"] < shown["score"]["high"] < 1

    golden(STRONG)
    _, stronger = report(capsys)
    assert kinds(stronger)["number"]["killed"] == 3
    assert stronger["score"]["score"] > shown["score"]["score"]


def test_a_remedy_was_tried_the_answer_passes_it_and_the_mutant_fails_it(capsys):
    golden(WEAK)
    _, shown = report(capsys)
    remedies = {row["remedy"] for row in shown["survivors"] if "boots" in row["case"]} - {None}
    assert len(remedies) > 2
    checks = "\n".join(
        f"      - {{id: b{at}, input: How long for boots?, reference: Within 60 days of delivery.,"
        f" relevant: [returns#boots], checks: {{{remedy}}}}}"
        for at, remedy in enumerate(sorted(remedies))
    )
    golden("app: mutant_shop:answer\ncases:\n" + checks)
    assert main(["run"]) == 0


def test_retrieval_is_mutated_where_it_matters_and_named_where_there_is_none(capsys):
    golden(STRONG)
    _, shown = report(capsys, "--kinds", "retrieval")
    assert {kind: row["killed"] for kind, row in kinds(shown).items()} == {
        "top_dropped": 3, "wrong_document": 3, "no_passages": 3, "shuffled": 3,
    }  # fmt: skip
    (recall,) = [row for row in shown["checks"] if row["check"] == "recall@1 >= 1"]
    assert recall["alone"] > 0
    assert (recall["killed"], recall["low"], recall["high"]) == (12, pytest.approx(0.292, abs=1e-3), 1)

    golden(WEAK.replace(":answer", ":bare"))
    assert "output" not in report(capsys, "--kinds", "output")[1]["not_tried"]
    code, shown = report(capsys, "--kinds", "retrieval")
    assert code == 3
    assert shown["score"]["score"] is None
    assert shown["not_tried"] == {"retrieval": "no case has passages"}


def test_a_proposed_bound_holds_for_the_answer_itself(capsys):
    golden(WEAK.replace("[returns#boots]", "[returns#boots, warranty#tents, none#such]"))
    _, shown = report(capsys, "--kinds", "no_passages")
    assert [row["remedy"] for row in shown["survivors"] if "boots" in row["case"]] == ["recall@2: '>= 0.666'"]


def test_remedies_of_long_answers_are_found_in_a_bounded_time(capsys):
    Path("mutant_shop.py").write_text("""
def answer(question):
    return " ".join(f"{name}{question}" for name in ("boot", "tent", "card")) + " ha" * 15_000
""")
    cases = "cases: [{id: a, input: A}, {id: b, input: B}]\n"
    golden("app: mutant_shop:answer\nchecks: {keywords: {any: [ha]}}\n" + cases)
    start = time.perf_counter()
    _, shown = report(capsys, "--kinds", "another_answer")
    assert kinds(shown).get("another_answer", {}).get("survived", 0) == 2
    assert time.perf_counter() - start < 15


def test_a_check_that_kills_nothing_others_do_not_is_dead(capsys):
    golden(STRONG.replace("facts: true", "facts: true, keywords: {none: [zebra]}, pii_leak: none"))
    main(["mutate", "--kinds", "output"])
    shown = capsys.readouterr().out
    assert "dead check: golden/shop.yaml: keywords >= 1 kills none of" in shown
    assert "dead check: golden/shop.yaml: facts" not in shown
    assert "no mutant here leaks or attacks: see llmops attack" in shown


def test_of_two_equal_checks_only_one_is_dead_so_that_all_dead_ones_may_go(capsys):
    Path("pyproject.toml").write_text('[tool.pytest-llmops]\nmetrics = ["twin.py"]\n')
    Path("twin.py").write_text(
        "from pytest_llmops.metrics.custom import metric\n\n"
        '@metric(name="numbers_kept", bound=">= 1")\n'
        "def numbers_kept(output, sample):\n"
        "    return float(any(number in output.text for number in ('60', '5 years', '24')))\n"
    )
    golden(
        WEAK.replace(
            "keywords: {any: [days, warranty, card]}",
            'numbers_kept: true, keywords: {any: ["60", "5 years", "24"]}',
        )
    )
    shown = report(capsys, "--kinds", "number")[1]
    assert [row["dead"] for row in shown["checks"]] == [False, True]
    assert shown["checks"][0]["killed"] == shown["checks"][1]["killed"] > 0


def test_a_red_golden_set_is_refused_with_its_cases(capsys):
    golden(WEAK.replace("days, warranty, card", "fabric"))
    assert main(["mutate"]) == 3
    shown = capsys.readouterr().err
    assert "fix these first" in shown
    assert "golden/shop.yaml::boots: keywords >= 1: failed" in shown
    assert "tents" not in shown


def test_muted_is_the_share_of_cases_that_stay_green_and_no_model_is_called(capsys):
    bot("muted", suite='suite: {mutation: {muted: "<= 0.3"}}\n')
    calls = record()
    code, shown = report(capsys, "--kinds", "model")
    assert (code, shown["outcome"], calls) == (1, "failed", [])
    (verdict,) = shown["verdicts"]
    assert (verdict["item"], verdict["observed"]) == ("golden/shop.yaml::mutation[muted]", 1.0)
    assert {row["change"] for row in shown["survivors"]} == {"the answer stays the same"}

    bot("answer", suite='suite: {mutation: {muted: "<= 0.3"}}\n')
    code, shown = report(capsys)
    assert (code, calls) == (0, [])
    assert kinds(shown)["empty"]["killed"] == 2
    assert {"rubbish", "refusal", "truncated"} <= kinds(shown).keys()
    assert "flipped" not in kinds(shown)  # no reply says yes or no


def test_a_case_whose_model_call_was_not_seen_counts_as_what_it_is(monkeypatch, capsys):
    """Some cases call no model, and the calls of others are made by a server that another case started."""
    Path("served_bot.py").write_text(SERVED)
    cases = "".join(f"  - {{id: c{at}, input: question {at}}}\n" for at in range(3))
    golden(
        "app: served_bot:answer\nchecks: {keywords: {none: [zebra]}}\n"
        f"cases:\n{cases}  - {{id: greeting, input: hello}}\n"
        "  - {id: days, input: how long, checks: {keywords: {all: [60 days]}}}\n"
        "suite: {mutation: {muted: '<= 0.3'}}\n"
    )
    with JudgeServer(verdict=lambda _: "60 days, at most.") as server:
        monkeypatch.setenv("MODEL_URL", server.url)
        assert main(["mutate", "--kinds", "muted"]) == 1

    shown = capsys.readouterr().out
    assert "muted: 4 of 5 cases stay green" in shown
    assert "made no model call that the recorder sees: golden/shop.yaml::" in shown
    assert "failed: golden/shop.yaml: mutation muted <= 0.3: it is 0.8" in shown


@needs_proxy
def test_an_app_that_is_a_command_is_mutated_through_the_proxy_and_says_so_without(monkeypatch, capsys):
    Path("command_bot.py").write_text(COMMAND)
    golden("app: command_bot:answer\n" + BOT_CASES)
    with JudgeServer(verdict=lambda _: "60 days, at most.") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert main(["mutate", "--kinds", "model"]) == 3
        assert "the app made no model call that the recorder sees" in capsys.readouterr().out

        code, shown = report(capsys, "--kinds", "muted,refusal", "--proxy")

    assert (code, shown["score"]["killed"], shown["score"]["tried"]) == (0, 4, 4)


@pytest.mark.parametrize(
    ("app", "kind"),
    [
        ("stream", "empty"),
        ("stream", "truncated"),
        ("graded", "flipped"),
        ("later", "empty"),
        ("graph", "refusal"),
    ],
)
def test_streams_verdicts_and_graphs_are_mutated(capsys, app, kind):
    bot(app, cases=BOT_CASES.replace("60 days", "at most"))
    calls = record()
    _, shown = report(capsys, "--kinds", kind)
    assert (kinds(shown)[kind]["killed"], kinds(shown)[kind]["by_error"], calls) == (2, 0, [])


def test_a_changed_reply_that_leaves_the_answer_right_is_no_mutant_and_an_empty_answer_is_a_kill(capsys):
    case = "cases: [{id: boots, input: How long for boots?, reference: %s, checks: {facts: true}}]\n"
    bot("answer", cases=case % "60 days")
    record()
    _, shown = report(capsys, "--kinds", "truncated,empty")
    assert shown["not_tried"].keys() == {"model/truncated"}  # `60 days,`
    assert kinds(shown)["empty"] | {"killed": 1, "by_error": 1} == kinds(shown)["empty"]
    bot("answer", cases=case % "60 days at most")
    assert kinds(report(capsys, "--kinds", "truncated")[1])["truncated"]["survived"] == 1


def test_an_answer_that_has_the_words_of_the_reference_and_a_lie_is_a_mutant(capsys):
    Path("mutant_bot.py").write_text(BOT.replace('"60 days, at most."', '"Yes, within 60 days."'))
    case = "{id: %s, input: For %s?, reference: Within 60 days, checks: {keywords: {all: [days]}}}"
    bot("answer", cases=f"cases: [{case % ('socks', 'socks')}]\n")
    record()
    _, shown = report(capsys, "--kinds", "flipped,empty")
    assert kinds(shown)["flipped"] | {"tried": 1, "survived": 1} == kinds(shown)["flipped"]

    other = BOT.replace(
        '"60 days, at most."', '"Within 60 days." if "boots" in asked else "Not within 60 days."'
    )
    Path("mutant_bot.py").write_text(other)
    sys.modules.pop("mutant_bot")
    bot("answer", cases=f"cases: [{case % ('boots', 'boots')}, {case % ('shoes', 'shoes')}]\n")
    record()
    code, shown = report(capsys, "--kinds", "another_reply")
    assert (code, kinds(shown)["another_reply"]["tried"]) == (0, 1)  # `not` is added to that of boots alone


def test_answers_that_are_still_right_are_counted_apart(capsys):
    case = "{id: %s, input: For %s?, reference: %s, checks: {keywords: {all: [days]}}}"
    both = (
        f"cases: [{case % ('boots', 'boots', '60 days')}, {case % ('shoes', 'shoes', '60 days at most')}]\n"
    )
    bot("answer", cases=both)
    record()
    _, shown = report(capsys, "--kinds", "truncated")
    assert kinds(shown)["truncated"]["tried"] == 1
    assert shown["note"].startswith("model/truncated: 1 answer left out as still right: each word of the")


def test_what_kills_a_mutant_does_not_depend_on_the_order_of_checks(capsys):
    Path("mutant_grades.py").write_text("""
from pytest_llmops import metric

@metric("mutant_grade")
def grade(output):
    if not output.text:
        raise RuntimeError("no grade")
    return 1.0
""")
    Path("pyproject.toml").write_text('[tool.pytest-llmops]\nmetrics = ["mutant_grades"]\n')
    outcomes = []
    for checks in ('mutant_grade: ">= 1", facts: true', 'facts: true, mutant_grade: ">= 1"'):
        bot("answer", cases=f"cases: [{{id: a, input: Boots?, reference: 60 days, checks: {{{checks}}}}}]\n")
        record()
        outcomes.append(kinds(report(capsys, "--kinds", "empty")[1])["empty"]["by_error"])
    assert outcomes == [1, 1]


def test_an_announcement_is_not_negated(capsys):
    Path("mutant_shop.py").write_text(SHOP.replace('{"text": P', '{"text": "Here is what I found: " + P'))
    golden(WEAK)
    _, shown = report(capsys, "--kinds", "negation")
    texts = [row["text"] for row in shown["survivors"]]
    assert len(texts) == 2
    assert all(text.startswith("Here is what I found: ") for text in texts)


def test_lies_in_a_language_in_which_words_cannot_be_turned_are_never_all_killed(capsys):
    books, papers = "本は10冊まで、2週間借りることができます。", "雑誌は館内で3時間まで読むことができます。"
    Path("mutant_shop.py").write_text(
        f"def answer(question):\n    return {{'本': {books!r}, '雑誌': {papers!r}}}[question]\n"
    )
    golden(f"""
app: mutant_shop:answer
suite: {{mutation: {{lies: ">= 0.9", number: ">= 0.9"}}}}
checks: {{exact_match: true}}
cases: [{{id: a, input: 本, reference: {books}}}, {{id: b, input: 雑誌, reference: {papers}}}]
""")
    code, shown = report(capsys, "--kinds", "output")
    assert (code, shown["lies"]["score"]) == (2, 1.0)
    outcomes = {row["check"].split()[1]: row["outcome"] for row in shown["verdicts"]}
    assert outcomes == {"lies": "undecided", "number": "passed"}
    assert {"output/negation", "output/appended_lie", "output/apology"} <= shown["not_tried"].keys()
    main(["mutate", "--kinds", "output"])
    assert "2 answers in a language in which only numbers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("bound", "outcome"), [(">= 0.9", "undecided"), (">= 0.2", "passed"), (">= 1", "undecided")]
)
def test_lies_that_cannot_be_made_are_not_killed(capsys, bound, outcome):
    """One answer in English does not stand for three in a language whose words cannot be turned."""
    said = {
        "a": "Il costo del corso è di cinque euro per ogni persona.",
        "b": "I cani non sono ammessi nella piscina del paese.",
        "c": "La chiave si chiede alla signora della reception.",
        "d": "Children may swim alone if a lifeguard is present.",
    }
    Path("mutant_shop.py").write_text(f"def answer(question):\n    return {said!r}[question]\n")
    cases = "".join(f"  - {{id: {name}, input: {name}, reference: {text}}}\n" for name, text in said.items())
    golden(
        f"app: mutant_shop:answer\nsuite: {{mutation: {{lies: '{bound}'}}}}\nchecks: {{exact_match: true}}\n"
        f"cases:\n{cases}"
    )
    _, shown = report(capsys, "--kinds", "output")
    (row,) = shown["verdicts"]
    assert (shown["lies"]["score"], row["outcome"]) == (1.0, outcome)
    assert "more could not be made" in row["reason"]
    assert row["interval"][1] == 1


def test_an_appended_lie_is_no_words_of_a_proposed_check(capsys):
    """They would find this mutant of the generator and no other lie."""
    Path("mutant_shop.py").write_text(
        "def answer(question):\n    return 'Yes. A key costs 5 euros. Ask for it.'\n"
    )
    golden(
        "app: mutant_shop:answer\nchecks: {keywords: {all: [euros]}}\n"
        "cases: [{id: a, input: Is a key expensive?, reference: Yes.}]\n"
    )
    _, shown = report(capsys, "--kinds", "appended_lie,first_sentence,number")
    remedies = {row["kind"]: row["remedy"] for row in shown["survivors"]}
    assert "appended_lie" in remedies
    assert not [remedy for remedy in remedies.values() if remedy and ("none:" in remedy or ". " in remedy)]


def test_tool_calls_are_dropped_and_changed(capsys):
    case = "cases: [{id: order, input: Where is A-1042?, checks: {keywords: {all: [on its way]}%s}}]\n"
    bot("agent", cases=case % "")
    calls = record()
    _, shown = report(capsys, "--kinds", "tool_dropped,other_arguments")
    assert kinds(shown)["tool_dropped"]["killed"] == 1
    assert kinds(shown)["other_arguments"]["survived"] == 1
    (survivor,) = shown["survivors"]
    assert survivor["remedy"] == "tool_calls: [{arguments: {id: A-1042}, name: order}]"
    bot("agent", cases=case % ", tool_calls: [{arguments: {id: A-1042}, name: order}]")
    _, shown = report(capsys, "--kinds", "tool_dropped,other_arguments")
    assert (shown["score"]["score"], calls) == (1.0, [])


def test_a_loop_that_never_ends_on_mutated_replies_is_ended_and_a_broken_app_is_shown_apart(capsys):
    bot("patient")
    record()
    _, shown = report(capsys, "--kinds", "empty")
    assert (kinds(shown)["empty"]["killed"], kinds(shown)["empty"]["by_error"]) == (2, 2)
    bot("fragile")
    record()
    _, shown = report(capsys, "--kinds", "empty")
    assert (kinds(shown)["empty"]["killed"], kinds(shown)["empty"]["by_error"]) == (2, 2)


@pytest.mark.parametrize("app", ["stubborn", "stubborn_task"])
def test_a_loop_that_handles_every_exception_is_ended(capsys, app):
    bot(app)
    record()
    _, shown = report(capsys, "--kinds", "empty")
    assert (kinds(shown)["empty"]["killed"], kinds(shown)["empty"]["by_error"]) == (2, 2)
    assert 0 < len(sys.modules["mutant_bot"].ERRORS) < 50, "two cases, each refused some twenty times"


def test_an_app_that_is_too_slow_on_a_mutant_has_shown_nothing(capsys):
    Path("pyproject.toml").write_text("[tool.pytest-llmops]\ntimeout_s = 1\n")
    bot("slow", suite='suite: {mutation: {muted: "<= 0.3"}}\n')
    record()
    code, shown = report(capsys, "--kinds", "empty")
    assert (code, shown["score"]["killed"], shown["score"]["undecided"]) == (2, 0, 2)
    assert [row["outcome"] for row in shown["verdicts"]] == ["undecided"]


def test_a_case_that_passes_by_two_checks_in_two_repeats_is_undecided_and_named(capsys):
    cases = """
cases:
  - id: boots
    input: How long for boots?
    repeats: 2
    reference: two months, at most.
    checks: {keywords: {all: ["60 days"], pass_rate: "> 0"}, rouge_l: {min: 0.9, pass_rate: "> 0"}}
"""
    bot("halves", cases=cases)
    code, shown = report(capsys, "--kinds", "output")
    assert (code, shown["outcome"]) == (2, "undecided")
    assert shown["score"]["undecided"] == shown["score"]["tried"] > 0


def test_an_app_that_keeps_its_answers_has_shown_nothing(capsys):
    bot("kept")
    main(["run"])
    sys.modules["mutant_bot"].KEPT.clear()
    code, shown = report(capsys, "--kinds", "empty")
    assert (code, shown["score"]["survived"], shown["score"]["undecided"]) == (2, 0, 2)


@pytest.mark.parametrize("broken", ["raise RuntimeError('no words')", "time.sleep(60)", "return math.nan"])
def test_a_metric_that_breaks_or_hangs_on_mutants_kills_none(capsys, broken):
    Path("mutant_metric.py").write_text(f"""
import math, time
from pytest_llmops.metrics.custom import metric

@metric(name="known_source", bound=">= 1")
def known_source(output):
    if not output.passages:
        {broken}
    return 1.0
""")
    Path("pyproject.toml").write_text('[tool.pytest-llmops]\nmetrics = ["mutant_metric.py"]\ntimeout_s = 1\n')
    golden(WEAK.replace("card]}", "card]}, known_source: true"))
    start = time.perf_counter()
    code, shown = report(capsys, "--kinds", "no_passages")
    assert time.perf_counter() - start < 30
    assert (code, shown["score"]["killed"], shown["score"]["undecided"]) == (2, 0, 3)
    main(["mutate", "--kinds", "no_passages"])
    assert "no_passages: known_source >= 1 gave no score: " in capsys.readouterr().out

    golden(STRONG.replace("facts: true", "facts: true, known_source: true"))
    assert report(capsys, "--kinds", "no_passages")[1]["score"]["killed"] == 3  # by another check


def test_nothing_that_is_mutated_is_recorded():
    bot("agent", cases="cases: [{id: order, input: Where is A-1042?, checks: {keywords: {any: [way]}}}]\n")
    record()
    before = {path: path.read_bytes() for path in Path("golden").rglob("*") if path.is_file()}
    main(["mutate"])
    assert {path: path.read_bytes() for path in Path("golden").rglob("*") if path.is_file()} == before


def test_no_paid_call_is_made_without_a_budget(capsys):
    bot("answer")
    assert main(["mutate"]) == 3
    assert "no paid call is made without --budget" in capsys.readouterr().err
    assert sys.modules["mutant_bot"].CALLS == []
    assert main(["mutate", "--budget", "2", "--kinds", "empty"]) == 0


def test_an_app_without_model_calls_says_that_nothing_of_its_model_was_tried(capsys):
    golden(WEAK)
    code, shown = report(capsys, "--kinds", "model")
    assert (code, shown["outcome"]) == (3, "error")
    assert "made no model call" in shown["not_tried"]["model"]
    golden('suite: {mutation: {muted: "<= 0.3"}}\n' + WEAK)
    code, shown = report(capsys)
    assert (code, [verdict["outcome"] for verdict in shown["verdicts"]]) == (2, ["undecided"])


def test_a_judge_that_costs_is_not_asked_and_leaves_a_mutant_undecided(capsys):
    Path("mutant_judge.py").write_text("""
import mutant_bot
from pytest_llmops.metrics.custom import metric

@metric(name="asked", bound=">= 1")
def asked(output, sample):
    return 1.0 if mutant_bot.ask(output.text).choices[0].message.content else 0.0
""")
    Path("pyproject.toml").write_text('[tool.pytest-llmops]\nmetrics = ["mutant_judge.py"]\n')
    golden(WEAK.replace("card]}", "card]}, asked: true"))
    code, shown = report(capsys, "--kinds", "number,another_answer")
    assert (code, shown["outcome"]) == (2, "undecided")
    assert shown["score"] | {"undecided": 6, "score": None, "at_least": 0.0} == shown["score"]
    code, shown = report(capsys, "--kinds", "number,apology")  # which another check kills
    assert shown["score"] | {"killed": 3, "score": None, "at_least": 0.5, "at_most": 1.0} == shown["score"]
    assert sys.modules["mutant_bot"].CALLS == []
    code, shown = report(capsys, "--kinds", "number", "--budget", "4")  # three answers, and one mutant
    assert (code, shown["calls"]) == (2, 4)
    assert shown["score"] | {"survived": 1, "undecided": 2} == shown["score"]


def test_stored_outputs_are_mutated_without_the_app(capsys):
    golden(WEAK)
    assert main(["run", "--out", "run.json"]) == 0
    Path("mutant_shop.py").write_text("raise SystemExit('not again')\n")
    sys.modules.pop("mutant_shop")
    code, shown = report(capsys, "--run", "run.json", "--kinds", "output,model")
    assert code == 0
    assert kinds(shown)["number"]["survived"] == 3
    assert "stored outputs" in shown["not_tried"]["model"]
    golden(WEAK.replace("How long for boots?", "How long for my boots?"))
    assert main(["mutate", "--run", "run.json"]) == 3
    assert "boots: the run asked something else" in capsys.readouterr().err


def test_bounds_decide_the_exit_code(capsys):
    suite = 'suite: {mutation: {lies: ">= 0.9", retrieval: ">= 0.5", number: "> 0"}}\n'
    golden(suite + WEAK)
    code, shown = report(capsys)
    assert (code, [row["outcome"] for row in shown["verdicts"]]) == (1, ["failed", "failed", "failed"])
    assert main(["run"]) == 0  # an ordinary run measures nothing
    code, shown = report(capsys, "--kinds", "retrieval")
    assert code == 1
    assert [row["outcome"] for row in shown["verdicts"]] == ["undecided", "failed", "undecided"]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('{lie: ">= 0.9"}', "mutation: knows no kind 'lie'. Did you mean 'lies'?"),
        ('{lies: "0.9"}', "lies"),
        ('{lies: "<= 0.9"}', 'its bound is written ">= 0.9"'),
        ('{muted: ">= 0.3"}', 'its bound is written "<= 0.3"'),
        ('{lies: ">= 1.5"}', "out of range"),
        ('{lies: ">= 0"}', "can never fail"),
        ("{}", "must be a mapping such as"),
        ('">= 0.9"', "must be a mapping such as"),
    ],
)
def test_a_wrong_bound_is_one_message_with_its_line(capsys, written, message):
    golden(f"suite:\n  mutation: {written}\n" + WEAK)
    assert main(["mutate"]) == 4
    shown = capsys.readouterr().err
    assert shown.startswith("golden/shop.yaml:2")
    assert message in shown


def test_unknown_kinds_name_the_near_miss(capsys):
    golden(WEAK)
    assert main(["mutate", "--kinds", "output,truncate"]) == 4
    assert "'truncate'. Did you mean 'truncated'?" in capsys.readouterr().err
    assert main(["mutate", "--kinds", ","]) == 4
    golden("suite: {mutatoin: {lies: '>= 0.9'}}\n" + WEAK)
    assert main(["mutate"]) == 4
    assert "Did you mean 'mutation'?" in capsys.readouterr().err


def test_private_data_of_mutants_are_masked_and_no_remedy_holds_them(capsys):
    golden(WEAK.replace(":answer", ":private"))
    for style in ("text", "json", "markdown"):
        main(["mutate", "--format", style, "--out", f"report.{style}"])
        shown = capsys.readouterr().out
        assert "merrivale" not in shown
        assert "merrivale" not in Path(f"report.{style}").read_text()


def test_a_changed_value_is_not_shown_without_what_gives_it_away_nor_cut_out_of_it(capsys):
    Path("mutant_shop.py").write_text("""
def answer(question):
    if "mail" in question:
        return "A" * 60 + " and you can write to tobias.merrivale@example.com about the tents."
    return "Your record says: Date of birth: 03.04.1985. You can write to us about the tents."
""")
    cases = "cases: [{id: birth, input: Who am I?}, {id: mail, input: Which mail?}]"
    checks = (
        "checks: {keywords: {any: [can, write]}, pii_leak: {kinds: [IBAN_CODE]}}\n"  # texts stay in clear
    )
    golden(f"app: mutant_shop:answer\n{checks}{cases}")
    _, shown = report(capsys, "--kinds", "date,another_answer")
    assert kinds(shown)["date"]["survived"] == 1
    assert {(row["kind"], row["change"]) for row in shown["survivors"]} == {
        ("date", "date"),
        ("another_answer", "the answer of another case"),
    }
    for style in ("text", "json", "markdown"):
        main(["mutate", "--kinds", "date,another_answer", "--format", style])
        shown = capsys.readouterr().out
        assert "1985" not in shown
        assert "merriv" not in shown


def test_a_golden_set_that_was_weakened_is_red_by_its_measured_strength(capsys):
    golden(STRONG)
    assert report(capsys)[1]["note"].endswith("llmops mutate --accept")
    assert main(["mutate", "--accept"]) == 0
    stored = Path("golden/mutation.json")
    assert json.loads(stored.read_text())["version"] == 1
    assert "Boots" not in stored.read_text()
    before = stored.read_text()
    assert main(["mutate", "--kinds", "number", "--accept"]) == 0
    assert stored.read_text() == before  # other kinds stay
    assert main(["mutate"]) == 0
    golden(STRONG.replace("facts: true, ", ""))
    code, shown = report(capsys)
    assert (code, shown["outcome"]) == (1, "regressed")
    assert ("output", "number") in {(row["group"], row["kind"]) for row in shown["weakened"]}
    assert main(["mutate", "--baseline", "none"]) == 0
    stored.rename("elsewhere.json")
    assert main(["mutate", "--baseline", "elsewhere.json"]) == 1
    assert main(["mutate", "--baseline", "nowhere.json"]) == 4

    for content, problem in (
        ('{"version": 2}', "version: is 2, this release reads 1"),
        (f"<<<<<<< HEAD\n{before}", "line 1 is a mark of a git conflict"),
        (before.replace('"goldens": {', '"goldens": {}, "goldens": {'), "key 'goldens' occurs twice"),
        (
            before.replace("[1, ", "[2, ", 1),
            "another_answer[0]: must be a whole number from 0 to 1, not 2. Take it away",
        ),
    ):
        stored.write_text(content)
        assert main(["mutate"]) == 4
        shown = capsys.readouterr().err
        assert problem in shown
        assert "llmops mutate --accept" in shown or "conflict" in shown


def test_a_dropped_check_is_red_although_each_answer_changed_too(capsys):
    """Each kind loses too few mutants to prove it, and the group as a whole does not."""
    cases = "".join(
        f"  - {{id: c{number}, input: Boots? {number} boots, reference: Within 60 days of delivery.}}\n"
        for number in range(6)
    )
    strong = f'app: mutant_shop:answer\nchecks: {{facts: true, rouge_l: ">= 0.3"}}\ncases:\n{cases}'
    golden(strong)
    main(["mutate", "--accept", "--kinds", "number,unit,negation"])
    golden(strong.replace("facts: true, ", ""))
    Path("mutant_shop.py").write_text(SHOP.replace("Boots can", "Well: boots can"))
    sys.modules.pop("mutant_shop", None)

    code, shown = report(capsys, "--kinds", "number,unit,negation")

    assert (code, shown["outcome"]) == (1, "regressed")
    assert next(row["kind"] for row in shown["weakened"] if row["group"] == "output") == ""


SHOP_GROWN = "".join(
    f"  - {{id: c{number}, input: Boots? {number} boots, reference: Within 60 days of delivery.}}\n"
    for number in range(4)
)


def answer_anew() -> None:
    Path("mutant_shop.py").write_text(SHOP.replace("Boots can", "Well: boots can"))
    sys.modules.pop("mutant_shop", None)


def test_kills_lost_with_other_answers_are_weighed_by_mutant_and_never_pass_in_silence(capsys):
    strong = f'app: mutant_shop:answer\nchecks: {{facts: true, rouge_l: ">= 0.3"}}\ncases:\n{SHOP_GROWN}'
    golden(strong)
    main(["mutate", "--accept", "--kinds", "number,unit,negation"])
    answer_anew()
    code, shown = report(capsys, "--kinds", "number")
    assert (code, shown["note"]) == (0, "stored: output 4 of 4 killed")

    golden(strong.replace("facts: true, ", ""))
    code, shown = report(capsys, "--kinds", "number,unit,negation")  # of four cases, too few by themselves
    assert (code, shown["outcome"]) == (1, "regressed")
    assert re.search("stored: output 1[0-2] of 12 killed", shown["note"])

    golden(strong.replace("facts: true, ", "").replace("id: c0,", "id: c0, checks: {facts: true},"))
    capsys.readouterr()
    assert main(["mutate", "--kinds", "number"]) == 2
    shown = capsys.readouterr().out
    assert "number 4 of 4 \u2192 1 of 4: c1, c2, c3" in shown
    assert "if it is meant: llmops mutate --accept --all" in shown
    assert main(["mutate", "--kinds", "number", "--accept"]) == 1
    assert main(["mutate", "--kinds", "number", "--accept", "--all"]) == 0
    shown = capsys.readouterr()
    assert "with less than before" in shown.err
    assert "if it is meant" not in shown.out.rpartition("undecided:")[2]
    assert main(["mutate", "--kinds", "number"]) == 0


def test_a_file_that_holds_nothing_of_a_golden_file_or_an_unknown_kind_compares_nothing(capsys):
    golden(STRONG)
    stored = Path("golden/mutation.json")
    stored.write_text('{"version": 1, "goldens": {}}')
    code, shown = report(capsys, "--kinds", "number")
    assert (code, shown["outcome"]) == (2, "undecided")
    assert "golden/shop.yaml: output: no mutant is stored that was decided this time" in shown["note"]
    assert main(["mutate", "--kinds", "number", "--accept"]) == 0
    assert main(["mutate", "--kinds", "number"]) == 0
    assert main(["mutate", "--kinds", "number,retrieval"]) == 2  # of which nothing is stored

    stored.write_text(stored.read_text().replace("output/number", "output/nummber"))
    capsys.readouterr()
    assert main(["mutate", "--kinds", "number"]) == 4
    assert "'output/nummber'. Did you mean 'output/number'?" in capsys.readouterr().err


def test_a_bound_of_which_only_a_part_was_tried_is_undecided(capsys):
    golden(STRONG.replace("cases:", 'suite: {mutation: {lies: ">= 0.1"}}\ncases:'))
    assert report(capsys, "--kinds", "output")[0] == 0
    code, shown = report(capsys, "--kinds", "number")
    assert (code, shown["outcome"]) == (2, "undecided")


def test_a_case_that_is_gone_is_red_until_its_loss_is_accepted_and_a_renamed_one_is_none(capsys):
    golden(STRONG)
    main(["mutate", "--accept"])
    golden(STRONG.replace("id: boots", "id: shoes"))
    assert main(["mutate"]) == 0

    line = next(line for line in STRONG.splitlines(keepends=True) if "id: boots" in line)
    golden(STRONG.replace(line, ""))
    code, shown = report(capsys)
    assert (code, shown["outcome"]) == (1, "regressed")
    assert shown["gone"].startswith("1 case of the stored strength is gone, with ")
    assert "golden/shop.yaml::boots; stored were " in shown["gone"]

    stored = Path("golden/mutation.json").read_text()
    assert main(["mutate", "--accept", "--baseline", "none"]) == 1
    assert "to accept the loss: llmops mutate --accept --all" in capsys.readouterr().err
    assert Path("golden/mutation.json").read_text() == stored
    assert main(["mutate", "--accept", "--all"]) == 0
    assert "if that is meant" not in capsys.readouterr().out
    assert main(["mutate"]) == 0

    Path("golden/shop.yaml").rename("golden/store.yaml")
    assert main(["mutate"]) == 0
    Path("golden/store.yaml").rename("elsewhere.yaml")
    golden("app: mutant_shop:answer\ncases: [{id: a, input: gifts?, checks: {keywords: {all: [card]}}}]")
    Path("golden/shop.yaml").rename("golden/other.yaml")
    assert main(["mutate"]) != 0
    assert "2 cases of the stored strength are gone" in capsys.readouterr().out


def test_a_lower_strength_is_stored_by_an_explicit_word_only_and_what_was_lost_is_named(capsys):
    golden(STRONG)
    main(["mutate", "--accept"])
    stored = Path("golden/mutation.json")
    before = stored.read_text()
    golden(STRONG.replace("facts: true, ", ""))
    capsys.readouterr()
    assert main(["mutate", "--accept"]) == 1
    shown = capsys.readouterr().err
    assert "not accepted into" in shown
    assert re.search(
        r"golden/shop\.yaml: output: \d+ of \d+ mutants killed → \d+ of .*\(.*number 3 of 3 → \d of 3: boots",
        shown,
    )
    assert stored.read_text() == before

    assert main(["mutate", "--all"]) == 4
    capsys.readouterr()
    assert main(["mutate", "--accept", "--all"]) == 0
    shown = capsys.readouterr()
    assert "with less than before:\n  golden/shop.yaml: output: " in shown.err
    assert "accepted: output/number" in shown.out
    golden(STRONG)
    assert main(["mutate", "--accept"]) == 0  # a raise needs no word
    assert stored.read_text() == before


def test_a_lost_kill_is_not_made_up_for_by_another_one(capsys):
    golden(STRONG)
    main(["mutate", "--accept", "--kinds", "number"])
    stored = Path("golden/mutation.json")
    document = json.loads(stored.read_text())
    document["goldens"]["golden/shop.yaml"]["cases"]["tents"]["output/number"] = [0, "0" * 16]
    stored.write_text(json.dumps(document))  # as if the app answered otherwise then
    golden(
        STRONG.replace(
            "input: How long for boots?", "checks: {facts: {record_only: true}}, input: How long for boots?"
        )
    )
    lost = STRONG.replace("facts: true, ", "").replace("id: tents,", "id: tents, checks: {facts: true},")
    golden(lost.replace("id: gifts,", "id: gifts, checks: {facts: true},"))
    assert main(["mutate", "--kinds", "number"]) == 1
    capsys.readouterr()
    assert main(["mutate", "--accept", "--kinds", "number"]) == 1
    assert "number 2 of 3 → 2 of 3: boots" in capsys.readouterr().err


def test_a_bound_that_nothing_can_decide_is_to_be_left_out_and_only_others_are_proposed(capsys):
    golden(STRONG.replace("cases:", 'suite: {mutation: {muted: "<= 0.3", date: ">= 0.5"}}\ncases:'))
    code, shown = report(capsys)
    assert code == 2
    why = {
        "muted": "the app made no model call that the recorder sees",
        "date": "no case has anything for it to change",
    }
    assert {row["reason"] for row in shown["verdicts"]} == {
        f"nothing was tried: {reason}; if the app is meant to be so, leave {name} out of `mutation`"
        for name, reason in why.items()
    }
    assert shown["proposed"] == {}

    golden(STRONG)
    main(["mutate"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "bounds that hold today" in line)
    bounds = line.partition("golden/shop.yaml: ")[2]
    assert "muted" not in bounds
    golden(f"{bounds}\n{STRONG}")
    code, shown = report(capsys)
    assert (code, {row["outcome"] for row in shown["verdicts"]}) == (0, {"passed"})
    bot("answer")
    record()
    assert report(capsys)[1]["proposed"]["golden/shop.yaml"]["muted"] == "<= 0"


def test_a_strength_outside_of_the_project_is_in_no_revision(capsys):
    Path("pyproject.toml").write_text('[tool.pytest-llmops]\naccepted = "../elsewhere/baseline.json"\n')
    golden(STRONG)
    assert main(["mutate", "--baseline", "git:main"]) == 4
    assert "lies outside of the project" in capsys.readouterr().err


def test_selfcheck_names_the_command_until_a_strength_is_stored(capsys):
    golden(STRONG)
    main(["run", "--accept"])
    main(["selfcheck"])
    assert capsys.readouterr().out.splitlines()[-1].endswith("not measured: llmops mutate --accept")
    main(["mutate", "--accept"])
    main(["selfcheck"])
    assert "llmops mutate" not in capsys.readouterr().out.splitlines()[-1]


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)  # noqa: S603, S607 - of this test


def begin_change() -> None:
    """Commit all as `main`, and go on in a branch."""
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "strong")
    git("checkout", "-qb", "change")


def test_the_strength_at_the_merge_base_counts_whatever_the_change_accepts(monkeypatch, capsys):
    forget_git_settings(monkeypatch)
    golden(STRONG)
    main(["mutate", "--accept"])
    begin_change()
    golden(STRONG.replace("facts: true, ", ""))
    main(["mutate", "--accept", "--all"])
    git("commit", "-qam", "weak")
    assert main(["mutate"]) == 0
    assert main(["mutate", "--baseline", "git:main"]) == 1
    git("rm", "-q", "golden/mutation.json")
    git("commit", "-qm", "none")
    assert "has no golden/mutation.json" in report(capsys, "--baseline", "git:HEAD")[1]["note"]


def test_a_stored_strength_that_a_change_lowers_or_removes_is_red_and_approved_item_by_item(  # noqa: PLR0915 - one change after the other
    monkeypatch, capsys
):
    forget_git_settings(monkeypatch)
    golden(STRONG.replace("facts: true, ", ""))
    Path(".gitignore").write_text(".llmops\n__pycache__\n")
    main(["run", "--accept"])
    main(["mutate", "--accept"])
    begin_change()
    stored = Path("golden/mutation.json")
    weak = stored.read_text()

    def items(*arguments: str) -> tuple[int, list[str]]:
        git("add", "--all")
        git("commit", "-qm", "a change", "--allow-empty")
        capsys.readouterr()
        code = main(["run", "--baseline", "git:main", *arguments])
        lines = capsys.readouterr().out.splitlines()
        return code, [line.strip() for line in lines if line.strip().startswith("golden/mutation.json: ")]

    def edit(change) -> None:
        document = json.loads(weak)
        change(document["goldens"]["golden/shop.yaml"])
        stored.write_text(json.dumps(document))

    golden(STRONG)
    main(["mutate", "--accept"])  # an honest raise
    assert stored.read_text() != weak
    assert items() == (0, [])

    stored.unlink()
    code, (item,) = items()
    assert (code, "the stored strength was removed (before: " in item) == (1, True)
    assert items("--allow-loosening", item)[0] == 0

    def lower(entry) -> None:
        for case in ("boots", "tents"):
            entry["cases"][case]["retrieval/top_dropped"][0] = 0
            entry["cases"][case]["retrieval/shuffled"][0] = 0

    edit(lower)
    code, found = items()
    assert (code, len(found)) == (1, 2)
    assert (
        "golden/shop.yaml: kills of retrieval/shuffled were lost (before: 3 of 3, now: 1 of 3, " in found[0]
    )
    assert items("--allow-loosening", found[0])[0] == 1
    assert items("--allow-loosening", "\n".join(found))[0] == 0

    edit(lambda entry: entry["cases"].pop("gifts"))
    code, (item,) = items()
    assert (code, "golden/shop.yaml::gifts: the case was taken out of" in item) == (1, True)
    edit(lambda entry: entry["cases"]["gifts"].pop("retrieval/shuffled"))
    assert "kills of retrieval/shuffled were lost (before: 3 of 3, now: 2 of 3" in items()[1][0]

    def answer_anew(entry) -> None:
        gifts = entry["cases"]["gifts"]
        del gifts["retrieval/shuffled"]
        gifts.update({kind: [killed, "0" * 16] for kind, (killed, _) in gifts.items()})

    edit(answer_anew)
    assert items() == (0, [])

    def hide(entry) -> None:
        answer_anew(entry)
        del entry["cases"]["gifts"]["output/another_answer"]  # which can be made of any answer

    edit(hide)
    assert "kills of output/another_answer were lost (before: 3 of 3, now: 2 of 3" in items()[1][0]
    edit(lambda entry: entry["cases"].update(gifts={"output/apology": [1, "0" * 16]}))
    assert len(items()[1]) > 3
    stored.write_text(weak.replace('"questions"', '"asked"'))
    assert "unknown key 'asked'" in items()[1][0]


def test_a_case_without_checks_lets_everything_pass(capsys):
    golden("app: mutant_shop:answer\n" + CASES)
    code, shown = report(capsys, "--kinds", "output")
    assert (code, shown["score"]["score"], shown["checks"]) == (0, 0.0, [])


RULES = """# Rules of the shop

- Boots must be sent back within 60 days of delivery.
- Always be polite to every customer of ours.
"""
RULED = 'cases: [{id: boots, input: How long for boots?, checks: {keywords: {all: ["60 days"]}}}]\n'


def test_a_prompt_with_a_changed_rule_is_run_in_a_copy_within_the_budget(capsys):
    bot("ruled", cases=RULED)
    prompt = Path("prompts/shop.md")
    prompt.parent.mkdir()
    prompt.write_text(RULES)
    record()
    chosen = ("--prompt", "prompts/shop.md", "--kinds", "number_changed,rule_weakened")
    code, shown = report(capsys, *chosen, "--budget", "50")
    assert prompt.read_text() == RULES
    assert code == 0
    assert kinds(shown)["number_changed"]["killed"] == 1
    assert kinds(shown)["rule_weakened"]["survived"] == 2
    survivor = next(row for row in shown["survivors"] if row["kind"] == "rule_weakened")
    assert survivor["case"] == "golden/shop.yaml::prompts/shop.md:3"
    assert survivor["change"].startswith("must → may")
    assert survivor["remedy"] == "keywords: {all: [must]}"

    code, shown = report(capsys, *chosen, "--budget", "1")
    assert (code, shown["outcome"]) == (2, "undecided")
    assert (shown["score"]["tried"], shown["score"]["undecided"]) == (3, 2)


def test_kills_of_edits_are_counted_since_their_places_move(monkeypatch, capsys):
    forget_git_settings(monkeypatch)
    bot("ruled", cases=RULED)
    Path("prompts").mkdir()
    Path("prompts/shop.md").write_text(RULES)
    Path(".gitignore").write_text(".llmops\n__pycache__\n")
    main(["run", "--accept"])
    chosen = ("--prompt", "prompts/shop.md", "--kinds", "number_changed", "--budget", "9", "--accept")
    assert main(["mutate", *chosen]) == 0
    begin_change()
    stored = Path("golden/mutation.json")
    whole = stored.read_text()
    assert "prompts/shop.md:3" in whole

    stored.write_text(whole.replace("shop.md:3", "shop.md:4"))
    assert main(["run", "--baseline", "git:main"]) == 0
    main(["mutate", *chosen])
    assert stored.read_text() == whole
    document = json.loads(whole)
    document["goldens"]["golden/shop.yaml"]["cases"].clear()
    stored.write_text(json.dumps(document))
    capsys.readouterr()
    assert main(["run", "--baseline", "git:main"]) == 1
    lost = "golden/shop.yaml: kills of prompts/number_changed were lost (before: 1 of 1, now: 0 of 0"
    assert lost in capsys.readouterr().out


def test_a_folder_that_cannot_be_read_is_not_copied_and_a_file_that_cannot_is_named(monkeypatch, capsys):
    bot("ruled", cases=RULED)
    Path("prompts").mkdir()
    Path("prompts/shop.md").write_text(RULES)
    Path("data/pg").mkdir(parents=True)
    record()
    scan, copy = os.scandir, shutil.copy2

    def scandir(folder="."):
        if str(folder).endswith("data/pg"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    def copy2(source, place, **options):
        if Path(source).name == "key":
            raise PermissionError(13, "Permission denied", str(source))
        return copy(source, place, **options)

    monkeypatch.setattr(os, "scandir", scandir)  # what root may do all the same
    monkeypatch.setattr(shutil, "copy2", copy2)
    chosen = ("--prompt", "prompts/shop.md", "--kinds", "number_changed", "--budget", "9")
    assert kinds(report(capsys, *chosen)[1])["number_changed"]["killed"] == 1
    Path("data/key").write_text("secret")
    assert main(["mutate", *chosen]) == 4
    assert "data/key: cannot be copied: [Errno 13] Permission denied" in capsys.readouterr().err


def test_a_copy_that_breaks_the_app_by_itself_decides_nothing_and_one_that_is_linked_is_whole(capsys):
    Path("prompts").mkdir()
    Path("prompts/shop.md").write_text(RULES)
    bot("elsewhere", cases=RULED)
    record()
    chosen = ("--prompt", "prompts/shop.md", "--kinds", "number_changed", "--budget", "50")
    code, shown = report(capsys, *chosen)
    assert (code, shown["score"]["killed"], shown["score"]["undecided"]) == (2, 0, 1)
    main(["mutate", *chosen])
    assert "the copy of the project is not green before anything is changed" in capsys.readouterr().out

    Path("real").mkdir()
    Path("real/answers.txt").write_text("60 days, at most.")
    Path("answers.txt").symlink_to("real/answers.txt")
    bot("linked", cases=RULED)
    record()
    code, shown = report(capsys, *chosen)
    assert (code, shown["score"]["undecided"]) == (2, 1)
    main(["mutate", *chosen])
    assert "no answer and no model call changed" in capsys.readouterr().out


def test_a_budget_is_one_for_all_and_no_call_is_made_where_nothing_is_recorded(capsys):
    Path("prompts").mkdir()
    Path("prompts/shop.md").write_text(RULES)
    bot("ruled", cases=RULED)
    chosen = ("--prompt", "prompts/shop.md", "--kinds", "number_changed,rule_weakened")
    code, shown = report(capsys, *chosen, "--budget", "2")  # the case itself, and one edit
    assert (code, shown["calls"], shown["score"]["undecided"]) == (2, 2, 2)
    code, shown = report(capsys, *chosen, "--budget", "9", "--record", "none")
    assert (code, shown["calls"], shown["score"]["undecided"]) == (2, 0, 3)


def test_a_copy_is_what_an_app_writes_to_through_a_folder_that_is_linked_within_the_project(capsys):
    Path("prompts").mkdir()
    Path("prompts/shop.md").write_text(RULES)
    Path("real").mkdir()
    Path("linked").symlink_to("real")
    bot("writing", cases=RULED)
    record()
    Path("real/log.txt").unlink()
    _, shown = report(capsys, "--prompt", "prompts/shop.md", "--kinds", "number_changed", "--budget", "50")
    assert kinds(shown)["number_changed"]["killed"] == 1
    assert (Path("real/log.txt").read_text(), shown["score"]["tried"]) == ("asked\n", 1)  # by the first run


def test_a_file_that_the_app_does_not_read_decides_nothing(capsys):
    bot("ruled", cases=RULED)
    Path("prompts").mkdir()
    Path("prompts/shop.md").write_text(RULES)
    Path("other.md").write_text(RULES)
    record()
    code, shown = report(capsys, "--data", "other.md", "--kinds", "number_changed", "--budget", "50")
    assert (code, shown["score"]["score"]) == (2, None)
    assert shown["score"]["undecided"] == 1

    _, read = report(capsys, "--data", "prompts/shop.md", "--kinds", "documents", "--budget", "50")
    rows = {row["kind"]: (row["group"], row["killed"], row["survived"]) for row in read["kinds"]}
    assert rows["number_changed"] == ("documents", 1, 0)
    assert rows["rule_deleted"] == ("documents", 1, 1)  # that of the days, and that of manners
    assert rows["rule_inverted"][1:] == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "other.md"], "they need a limit: --budget N"),
        (["--prompt", "none.md", "--budget", "5"], "there is no such file to change"),
        (["--data", "/etc/hostname", "--budget", "5"], "lies outside of the project"),
        (["--data", "pyproject.toml", "--budget", "5"], "no rule was found"),
        (["--kinds", "prompts"], "needs a file to change: --prompt FILE"),
        (["--budget", "0"], "--budget takes a whole number above 0"),
        (["--run", "run.json", "--out", "run.json"], "is the file that is read"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_message(capsys, arguments, message):
    golden(WEAK)
    Path("other.md").write_text(RULES)
    assert main(["mutate", *arguments]) == 4
    assert message in capsys.readouterr().err


def test_judges_get_their_own_replies_while_the_model_of_the_app_is_mutated(capsys):
    with JudgeServer() as server:
        judge = f'judge: {{model: j, base_url: "{server.url}"}}\n'
        checks = "checks: {judge: {rubric: support, min: 2}}"
        bot("answer", suite=judge, cases=BOT_CASES.replace('checks: {keywords: {all: ["60 days"]}}', checks))
        calls = record()
        before = len(server.requests)
        code, shown = report(capsys, "--kinds", "rubbish,refusal")
    assert (code, shown["score"]["survived"], shown["score"]["undecided"], calls) == (0, 4, 0, [])
    assert len(server.requests) > before  # on this machine, where asking costs nothing
