"""`state` with `expected`: what a case leaves behind, read by a function of the user's and compared whole."""

from __future__ import annotations

import json

import pytest

from pytest_llmops.metrics.state import State
from pytest_llmops.records import Output, Sample, StateRead
from tests.openai_server import OpenAIServer

SHOP = """
    ORDERS = {}

    def answer(message, session):
        orders = ORDERS.setdefault(session, {"FW-1": "open", "FW-2": "open"})
        for order in orders:
            if f"cancel {order}" in message:
                orders[order] = "cancelled"
        return "Done."

    def read_orders(session):
        return ORDERS[session]

    def count(output):
        return len(output.text)

    async def read_later():
        return {"now": [1, True]}

    def read_nothing():
        raise KeyError("no database")

    def read_objects():
        return {"orders": {object}}

    def read_slowly():
        import time
        time.sleep(60)

    def read_more(output, database):
        return 1
"""
TALK = """
app: shop:answer
state: shop:read_orders
cases:
  - id: one
    turns: [{user: Hello}, {user: cancel FW-1}]
    expected: {FW-2: open, FW-1: cancelled}
  - id: both
    turns: [{user: cancel FW-1 and cancel FW-2}]
    expected: {FW-1: cancelled, FW-2: open, FW-3: open}
"""


@pytest.fixture
def shop(project):
    """Run a golden file against the shop; return what pytest printed and the results by case."""
    (project.path / "golden/capitals.yaml").unlink()
    (project.path / "shop.py").write_text("\n".join(line[4:] for line in SHOP.splitlines()))

    def run(golden: str, *arguments: str):
        project.write("golden/shop.yaml", golden)
        result = project.run_here("--llm-out", "run.json", *arguments)
        file = project.path / "run.json"
        run = json.loads(file.read_text()) if file.exists() else {"results": []}
        return result, {found["case"].partition("::")[2]: found for found in run["results"]}

    return run


def case(expected: object, state: str, keys: str = "input: Hi") -> str:
    return (
        "app: shop:answer\ncases:\n"
        f"  - {{id: one, {keys}, state: 'shop:{state}', expected: {json.dumps(expected)}}}\n"
    )


def test_a_conversation_is_judged_by_what_it_leaves_behind(shop):
    result, results = shop(TALK)
    result.assert_outcomes(passed=1, failed=1)
    (good,), (bad,) = results["one"]["scores"], results["both"]["scores"]
    assert (good["metric"], good["value"], bad["value"]) == ("state", 1.0, 0.0)
    assert bad["evidence"] == [
        '/FW-2 is "cancelled", not "open"',
        '/FW-3 is missing; expected: "open"',
    ]
    result.stdout.fnmatch_lines(["*/FW-2 is *cancelled*, not *open*"])


def test_each_repeat_is_read_by_its_own_session(shop):
    result, results = shop(TALK, "--llm-repeats", "3", "-k", "one")
    result.assert_outcomes(passed=1, deselected=1)
    assert [score["value"] for score in results["one"]["scores"]] == [1.0] * 3


@pytest.mark.parametrize(
    ("state", "expected"),
    [("count", 5), ("read_later", {"now": [1.0, True]}), ("read_orders", {"FW-1": "open", "FW-2": "open"})],
)
def test_a_question_has_a_state_too(shop, state, expected):
    shop(case(expected, state))[0].assert_outcomes(passed=1)
    shop(case([expected], state))[0].assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("read_nothing", "*the function of state 'shop:read_nothing' raised KeyError: 'no database'*"),
        ("read_objects", "*the function of state 'shop:read_objects' returned a dict that JSON cannot hold*"),
        ("read_slowly", "*'shop:read_slowly': no answer within 0.5 s (timeout_s)*"),
    ],
)
def test_a_state_that_cannot_be_read_is_an_error(shop, state, error):
    result, results = shop(case({}, state), "-o", "llm_timeout_s=0.5")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([error])
    assert not results["one"]["scores"]


@pytest.mark.parametrize(
    ("golden", "error"),
    [
        (case(1, "read_more"), "*'shop:read_more' needs 'database' too*"),
        (case(1, "absent"), "*the function of state 'shop:absent': shop has no 'absent'*"),
        (case(1, "count").replace("state: 'shop:count', ", ""), "*:3: one: expected needs a function*"),
        (case(1, "count").replace(", expected: 1", ""), "*:3: one: state needs an expected state*"),
        (case(None, "count"), "*:3: one: expected is empty*"),
        (case(1, "count").replace("shop:count", "count"), "*:3: one: state must be module:attribute*"),
        (
            "app: shop:answer\nstate: shop:count\ncases: [{id: one, input: Hi}]",
            "*:2: state needs an expected state, and no case has any*",
        ),
        (
            case(1, "count", "turns: [{user: Hi, checks: {state: '>= 1'}}]"),
            "*state needs an expected state, and the turn has none; check it for the whole case*",
        ),
        (
            "app: builtins:str\ncases: [{id: one, input: Hi, state: 'shop:read_orders', expected: 1}]",
            "*takes the session, and the app knows none*",
        ),
    ],
)
def test_a_mistake_is_an_error_before_any_call(shop, golden, error):
    result, _ = shop(golden)
    assert result.ret != 0
    printed = pytest.LineMatcher([*result.outlines, *result.errlines])
    printed.fnmatch_lines([error])


def test_what_is_expected_is_part_of_the_question(shop):
    _, before = shop(case(5, "count"))
    _, after = shop(case(6, "count"))
    assert before["one"]["input_hash"] != after["one"]["input_hash"]


def test_the_bound_may_be_written_and_only_recorded(shop):
    recorded = case(6, "count", "input: Hi, checks: {state: {record_only: true}}")
    shop(recorded)[0].assert_outcomes(passed=1)


def test_a_model_call_of_the_function_is_not_the_apps(shop, project):
    with OpenAIServer() as server:
        (project.path / "shop.py").write_text(
            f"""
import openai

def ask(word):
    with openai.OpenAI(base_url={server.url!r}, api_key="-", max_retries=0) as client:
        reply = client.chat.completions.create(model="m", messages=[{{"role": "user", "content": word}}])
    return reply.choices[0].message.content

def answer(message):
    return ask("answer")

def read(output):
    ask("state")
    return 1
"""
        )
        result, results = shop(case(1, "read"), "--llm-record", "new")
    result.assert_outcomes(passed=1)
    assert results["one"]["outputs"][0]["usage"]["calls"] == 1


def test_personal_data_in_a_state_is_masked(shop, project):
    app = project.path / "shop.py"
    app.write_text(
        app.read_text() + '\ndef read_customer(): return {"mail": "tobias.merrivale@example.com"}\n'
    )
    golden = case({"mail": "ann@example.com"}, "read_customer", "input: Hi, checks: {pii_leak: none}")
    result, results = shop(golden)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*/mail is *"])
    assert "merrivale" not in result.stdout.str() + json.dumps(results)
    assert "merrivale" not in (project.path / "run.json").read_text()


@pytest.mark.parametrize(
    ("expected", "found", "differences"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, ["/a is true, not 1"]),
        ([1, 2], [2, 1], ["/0 is 2, not 1", "/1 is 1, not 2"]),
        ([], [1], ["/0 is 1, and is not expected"]),
        ("af31", "af32", ['the state is "af32", not "af31"']),
        ({"a/b": {"~": 0}}, {"a/b": {"~": 1}}, ["/a~1b/~0 is 1, not 0"]),
        ({"a": {}}, {"a": []}, ["/a is [], not {}"]),
    ],
)
def test_differences_are_named_by_json_pointer(expected, found, differences):
    sample = Sample(output=Output(text=""), expected=expected, state=StateRead(value=found))
    (score,) = State().score([sample])
    assert (score.value, list(score.evidence)) == (float(not differences), differences)
