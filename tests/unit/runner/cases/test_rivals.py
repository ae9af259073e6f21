"""Two systems on the same cases: asked apart, scored alike, kept apart."""

from __future__ import annotations

import sys
import textwrap

import pytest

from pytest_llmops import load_golden, run_golden
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.judges import completion
from pytest_llmops.records import Score, Usage
from pytest_llmops.settings import Settings
from tests.judge_server import JudgeServer
from tests.openai_server import OpenAIServer

GOLDEN = """
version: 1
app: two_shops:answer
rival: two_shops:base
checks: {exact_match: true}
cases:
  - {id: a, input: one, reference: good one}
  - {id: b, input: two, reference: good two}
"""
APP = """
    def answer(question):
        return f"good {question}"

    def base(question):
        return f"bad {question}"
"""
ASKING = """
    import openai

    def ask(question):
        with openai.OpenAI(max_retries=0) as client:
            messages = [{"role": "user", "content": question}]
            return client.chat.completions.create(model="small", messages=messages).choices[0].message.content

    answer = base = ask
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a golden file with a module `two_shops`, which is forgotten after."""

    def make(golden=GOLDEN, app=APP, **settings):
        (tmp_path / "two_shops.py").write_text(textwrap.dedent(app))
        (tmp_path / "golden").mkdir(exist_ok=True)
        (tmp_path / "golden" / "shop.yaml").write_text(golden)
        sys.modules.pop("two_shops", None)
        file = load_golden("golden/shop.yaml", root=tmp_path)
        return run_golden(file, settings=Settings(root=tmp_path, **settings))

    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield make
    sys.modules.pop("two_shops", None)


@pytest.fixture
def endpoint(monkeypatch):
    with OpenAIServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        yield server


def values(result, metric="exact_match"):
    return [score.value for score in result.scores if score.metric == metric]


def test_both_are_asked_and_scored_alike(run):
    made = run(repeats=2)

    assert made.signature["rival:golden/shop.yaml"] == "two_shops:base"
    for result, question in zip(made.results, ("one", "two"), strict=True):
        assert [output.text for output in result.outputs] == [f"good {question}"] * 2
        assert [output.text for output in result.rival.outputs] == [f"bad {question}"] * 2
        assert (values(result), values(result.rival)) == ([1, 1], [0, 0])
        assert (result.failures, result.rival.failures) == ((), ())


def test_without_a_rival_there_is_none(run):
    made = run(GOLDEN.replace("rival: two_shops:base\n", ""))

    assert [result.rival for result in made.results] == [None, None]
    assert not [name for name in made.signature if name.startswith("rival")]


@pytest.mark.parametrize(
    ("base", "error"),
    [
        ("def base(question): raise ValueError(question)", "the rival raised ValueError: one"),
        ("def base(question): return 3", "the rival returned an int, not"),
        ("def base(question): import sys; sys.exit(3)", "the rival raised SystemExit"),
    ],
)
def test_a_rival_that_breaks_costs_the_app_nothing(run, base, error):
    made = run(app=f"def answer(question): return f'good {{question}}'\n{base}\n")

    assert [values(result) for result in made.results] == [[1], [1]]
    assert not any(result.failures for result in made.results)
    errors = [failure.error for failure in made.results[0].rival.failures]
    assert errors[0].startswith(error.partition(", not")[0])
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("base", "error"),
    [
        ("bose = answer", "the rival 'two_shops:base': two_shops has no 'base'. Did you mean 'bose'"),
        ("base = 3", "the rival 'two_shops:base' is an int, which cannot be called"),
    ],
)
def test_a_rival_that_cannot_be_had_is_reported_before_the_app_is_called(run, tmp_path, base, error):
    app = "def answer(question): open('asked', 'w').close()"
    with pytest.raises(LLMOpsError, match=error):
        run(app=f"{app}\n{base}\n")
    assert not (tmp_path / "asked").exists()


def test_the_two_share_no_recorded_answer(run, endpoint, tmp_path):
    """Both ask the very same, so that one cassette for both would hand the rival the app's answers."""
    numbers = iter(range(100))
    endpoint.answer = lambda _: f"answer {next(numbers)}"

    first = run(app=ASKING)

    assert len(endpoint.requests) == 4
    texts = {side.outputs[0].text for result in first.results for side in (result, result.rival)}
    assert len(texts) == 4
    assert len(list((tmp_path / ".llmops/cassettes/shop").iterdir())) == 4
    assert first.usage.calls == 4

    again = run(app=ASKING, record="none")

    assert len(endpoint.requests) == 4
    assert (again.usage.calls, again.usage.replayed) == (4, 4)
    for one, other in zip(first.results, again.results, strict=True):
        assert one.outputs[0].text == other.outputs[0].text
        assert one.rival.outputs[0].text == other.rival.outputs[0].text


def test_a_file_of_the_app_alone_replays_it_as_ever(run, endpoint):
    """A rival added later records its own calls and makes none of the app's again."""
    run(GOLDEN.replace("rival: two_shops:base\n", ""), ASKING)
    run(app=ASKING)

    assert len(endpoint.requests) == 4


@pytest.mark.parametrize("budget", ["3 calls", "0.001"])
def test_the_budget_counts_both(run, endpoint, budget):
    prices = {"small": (1000.0, 1000.0)}  # one call is dearer than the whole budget in dollars

    made = run(app=ASKING, budget=budget, prices=prices, concurrency=1)

    assert len(endpoint.requests) == (3 if "calls" in budget else 1)
    sides = [side for result in made.results for side in (result, result.rival)]
    failures = [failure.error for side in sides for failure in side.failures]
    assert len(failures) == 4 - len(endpoint.requests)
    assert all(error.startswith("the budget of") for error in failures)


def test_further_repeats_are_those_of_both(run, tmp_path):
    varying = """
        numbers = iter(range(100))

        def answer(question):
            return f"good {question}" + " " * (next(numbers) % 2) + "!" * (next(numbers) % 3)

        def base(question):
            return "bad"
    """
    run(app=varying)
    golden = load_golden("golden/shop.yaml", root=tmp_path)

    sys.modules.pop("two_shops", None)
    made = run_golden(golden, settings=Settings(root=tmp_path, repeats="auto", max_repeats=6))

    for result in made.results:
        repeats = [output.repeat for output in result.outputs]
        assert repeats == [output.repeat for output in result.rival.outputs] == list(range(6))
        assert len(values(result)) == len(values(result.rival)) == 6


def test_further_repeats_that_a_budget_stops_are_no_failures(run, endpoint):
    numbers = iter(range(100))
    endpoint.answer = lambda _: f"answer {next(numbers)}"

    made = run(app=ASKING, repeats="auto", budget="11 calls", concurrency=1)

    assert len(endpoint.requests) == 11
    sides = [side for result in made.results for side in (result, result.rival)]
    assert [side.failures for side in sides] == [()] * 4
    assert sum(len(side.outputs) for side in sides) == 11


LEAK = "ann.lee@example.com"
LEAKING = f"""
    def answer(question):
        return "Write to help@shop.example."

    def base(question):
        return "Write to {LEAK}."
"""


def test_a_leak_of_the_rival_is_not_the_apps_and_is_not_stored(run):
    golden = GOLDEN.replace("{exact_match: true}", "{rouge_l: '< 1', pii_leak: {allow: [help@shop.example]}}")

    made = run(golden, LEAKING)

    assert LEAK not in repr(made)
    for result in made.results:
        assert (values(result, "pii_leak"), values(result.rival, "pii_leak")) == ([0], [1])
        assert result.outputs[0].text == "Write to help@shop.example."
        assert result.rival.outputs[0].text == "Write to <EMAIL_ADDRESS>."


@pytest.fixture
def judge():
    """Prefers alpha, and quotes."""

    def verdict(request):
        prompt = request["messages"][-1]["content"]
        first, second = (prompt.find(word) for word in ("alpha", "omega"))
        better = "neither" if min(first, second) < 0 else "first" if first < second else "second"
        return {
            "reason": f"omega says {LEAK[:7]}" if LEAK in prompt else "it is",
            "evidence": "",
            "better": better,
        }

    with JudgeServer(verdict=verdict) as server:
        yield server
    completion.close()


def paired(judge, checks="pairwise: true"):
    named = f"judge: {{model: small, base_url: '{judge.url}'}}\nchecks: {{{checks}}}"
    return GOLDEN.replace("checks: {exact_match: true}", named).replace(", reference: good one", "")


GREEK = "def answer(question): return 'alpha'\ndef base(question): return 'omega'\n"


def test_a_judge_of_pairs_sees_the_rival_and_is_asked_once(run, judge):
    made = run(paired(judge), GREEK)

    assert len(judge.requests) == 4  # two cases, both orders
    for result in made.results:
        (mine,), (theirs,) = result.scores, result.rival.scores
        assert (mine.value, theirs.value) == (1, 0)
        assert mine.signature == theirs.signature
        assert mine.signature.endswith("|rival two_shops:base")
        assert (theirs.reason, theirs.evidence) == ("", ())


def test_a_pair_without_the_rivals_answer_is_not_compared_with_the_reference(run, judge):
    made = run(paired(judge), GREEK.replace("'omega'", "None"))

    assert judge.requests == []
    for result in made.results:
        assert result.scores == ()
        (failure,) = result.failures
        assert (failure.metric, failure.stage) == ("pairwise", "rival")


def test_what_a_judge_quotes_of_a_leaking_rival_is_not_stored_with_the_apps_score(run, judge):
    made = run(paired(judge, "pairwise: true, pii_leak: none"), GREEK.replace("omega", f"omega {LEAK}"))

    assert values(made.results[0], "pairwise") == [1]
    assert values(made.results[0], "pii_leak") == [0]
    assert LEAK not in repr(made)
    assert "ann.lee" not in repr(made)


def test_both_see_the_other_answer_of_the_same_repeat(run, monkeypatch):
    """A metric of one's own that reads it."""
    from pytest_llmops import registry
    from tests.unit.gates.gate_records import metric_of

    seen = []
    metric = metric_of(
        "nosy", ">= 1", measure=lambda sample: seen.append((sample.output.text, sample.rival)) or 1
    )
    monkeypatch.setattr(registry, "_registered", {"nosy": metric})

    made = run(GOLDEN.replace("exact_match: true", "nosy: true"))

    assert isinstance(made.results[0].scores[0], Score)
    assert set(seen) == {
        *(("good one", "bad one"), ("bad one", "good one")),
        *(("good two", "bad two"), ("bad two", "good two")),
    }


def test_what_an_app_counts_itself_is_summed_over_both(run):
    counting = """
        def answer(question):
            return {"text": question, "usage": {"prompt_tokens": 5, "cost_usd": 1.0}}

        base = answer
    """

    assert run(app=counting).usage == Usage(calls=4, prompt_tokens=20, completion_tokens=0, cost_usd=4.0)
