"""Repeats where a verdict is open: how often an app is really asked, and when calling ends."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType

import openai
import pytest

from pytest_llmops import load_golden, run_golden
from pytest_llmops.evaluation.run import open_planner
from pytest_llmops.gates.baseline import rescore_all
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.records import Case, CaseResult, Golden, Output
from pytest_llmops.runner.cases.case_runner import run_until_decided
from pytest_llmops.runner.cases.tasks import Task, plan
from pytest_llmops.settings import Settings
from tests.evaluating import evaluate
from tests.openai_server import OpenAIServer, last_user_text

CASES = 12
SUITE = "suite: {keywords: {mean: '>= 0.5', max_drop: 0.05}}\n"


@dataclass
class App:
    """
    Misses one answer in ten to each question, in turn; `broken` questions every one.

    Deterministic by question and by how often it was asked.
    """

    varies: bool = True
    broken: tuple[int, ...] = ()
    raises: tuple[int, ...] = ()
    asked: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, question: str) -> str:
        number = int(question.rsplit(" ", 1)[1])
        with self.lock:
            nth = self.asked[number]
            self.asked[number] += 1
        if number in self.raises and nth:
            raise ValueError("broken for the second one who asks")
        if number in self.broken:
            return f"bad {nth}" if self.varies else "bad"
        return "bad" if self.varies and (number + nth) % 10 == 3 else "good"


def write_golden(folder: Path, cases: int = CASES, head: str = SUITE, name: str = "shop", **own: str):
    path = folder / f"{name}.yaml"
    path.write_text(
        f"version: 1\n{head}cases:\n"
        + "".join(
            f"  - {{id: case-{at}, input: {name} {at}, checks: {{keywords: {{all: [good]}}}}"
            f"{own.get(f'case_{at}', '')}}}\n"
            for at in range(cases)
        )
    )
    return load_golden(path, root=folder)


def settings_in(folder: Path) -> Settings:
    return Settings(root=folder, repeats="auto", max_repeats=16)


@pytest.fixture
def golden(tmp_path):
    return partial(write_golden, tmp_path)


@pytest.fixture
def settings(tmp_path):
    return settings_in(tmp_path)


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steady")
    return run_golden(write_golden(folder), App(varies=False), settings=settings_in(folder))


@pytest.fixture(scope="module")
def varying(tmp_path_factory):
    folder = tmp_path_factory.mktemp("varying")
    return run_golden(write_golden(folder), App(), settings=settings_in(folder))


def outcomes(golden, base, run) -> dict[str, str]:
    judge = Judge([golden], base)
    results = {result.case: result for result in run.results}
    return {
        case.id: verdict.outcome
        for case in golden.cases
        for verdict in judge.judge_case(case, results[f"{golden.path}::{case.id}"])
    }


def test_by_default_cases_of_the_baseline_are_run_while_their_verdict_is_open_and_others_once(
    golden, settings, varying
):
    default = replace(settings, repeats=None)
    app = App(broken=(5,))
    run = run_golden(golden(CASES + 1), app, baseline=varying, settings=default)
    assert (app.asked[5], app.asked[CASES]) == (16, 1)
    assert {result.case.rpartition("-")[2] for result in run.results if not result.auto} == {str(CASES)}
    alone = App()
    assert {result.auto for result in run_golden(golden(), alone, settings=default).results} == {0}
    assert set(alone.asked.values()) == {1}


@pytest.mark.parametrize(
    ("own", "repeats", "asked"),
    [
        (None, None, [("a", 1, 64), ("new", 1, 0)]),
        (None, "auto", [("a", 1, 64), ("new", 1, 64)]),
        (None, 3, [("a", 3, 0), ("new", 3, 0)]),
        (2, None, [("a", 2, 0), ("new", 2, 0)]),
        (1, "auto", [("a", 1, 0), ("new", 1, 0)]),
        ("auto", 3, [("a", 1, 64), ("new", 1, 64)]),
    ],
)
def test_repeats_are_those_of_the_case_then_of_the_settings_then_auto_where_the_baseline_has_it(
    own, repeats, asked
):
    cases = tuple(Case(id=name, input="How?", repeats=own) for name in ("a", "new"))
    works = plan(Golden(path="shop.yaml", cases=cases), repeats, 64, {"shop.yaml::a"})

    assert [(work.case.id, work.repeats, work.most) for work in works] == asked


def test_without_a_baseline_a_steady_app_is_asked_twice(steady):
    assert {count_repeats(result) for result in steady.results} == {2}
    assert {result.auto for result in steady.results} == {16}


def test_without_a_baseline_one_case_that_varies_gives_all_of_them_ten(golden, settings):
    app = App(varies=False)

    def varies_once(question: str) -> str:
        return f"{app(question)} {app.asked[7]}" if question.endswith(" 7") else app(question)

    run_golden(golden(), varies_once, settings=settings)
    assert set(app.asked.values()) == {10}
    assert len(app.asked) == CASES


def test_a_steady_app_with_a_baseline_is_run_once_and_twice_again_where_it_dropped(golden, settings, steady):
    for broken in ((), (3, 5)):
        app = App(varies=False, broken=broken)
        run = run_golden(golden(), app, baseline=steady, settings=settings)
        assert app.asked == {**dict.fromkeys(range(CASES), 1), **dict.fromkeys(broken, 3)}
        fell = {case for case, outcome in outcomes(golden(), steady, run).items() if outcome == "regressed"}
        assert fell == {f"case-{number}" for number in broken}


def test_a_varying_app_is_asked_look_by_look_and_no_further(golden, settings, varying):
    app = App()
    run = run_golden(golden(), app, baseline=varying, settings=settings)
    assert app.asked == {**dict.fromkeys(range(CASES), 1), 3: 2}  # which missed its first answer
    assert "regressed" not in outcomes(golden(), varying, run).values()


def test_a_suite_that_dropped_is_confirmed_and_each_of_its_cases_named(golden, settings, varying):
    app = App(broken=tuple(range(CASES)))
    run = run_golden(golden(), app, baseline=varying, settings=settings)
    assert set(app.asked.values()) == {16}  # 4 and 6 fresh ones for the suite, 8 and 8 for a case
    (verdict,) = Judge([golden()], varying).judge_suite(golden(), run.results)
    assert verdict.outcome == "regressed"
    assert set(outcomes(golden(), varying, run).values()) == {"regressed"}


def test_one_broken_case_alone_is_asked_to_the_end_and_named(golden, settings, varying):
    app = App(broken=(5,))
    run = run_golden(golden(), app, baseline=varying, settings=settings)
    others = {repeats for number, repeats in app.asked.items() if number != 5}
    assert app.asked[5] == 16
    assert max(others) <= 10
    found = outcomes(golden(), varying, run)
    assert [case for case, outcome in found.items() if outcome == "regressed"] == ["case-5"]


@pytest.mark.parametrize("most", [1, 2, 5, 11])
def test_no_case_is_asked_more_often_than_allowed(golden, settings, varying, most):
    few = replace(settings, max_repeats=most)
    for baseline in (varying, None):
        app = App(broken=(5,))
        run = run_golden(golden(), app, baseline=baseline, settings=few)
        assert max(app.asked.values()) <= most
        assert {result.auto for result in run.results} == {most}
    app = App()
    run_golden(golden(), app, settings=few)
    assert set(app.asked.values()) == {min(most, 10)}


def test_auto_of_one_case_repeats_that_case_alone(golden, settings):
    file = golden(case_2=", repeats: auto", case_4=", repeats: 3")
    once = replace(settings, repeats=1)
    app = App()
    run = run_golden(file, app, settings=once)
    assert app.asked == {**dict.fromkeys(range(CASES), 1), 2: 10, 4: 3}
    assert [result.auto for result in run.results if result.auto] == [16]
    app = App(broken=(2,))
    base = run_golden(file, App(), settings=replace(settings, repeats=10))
    again = run_golden(file, app, baseline=base, settings=once)
    assert app.asked == {**dict.fromkeys(range(CASES), 1), 2: 16, 4: 3}
    assert outcomes(file, base, again)["case-2"] == "regressed"


def test_a_number_of_repeats_is_kept_to(golden, settings, varying):
    app = App(broken=(5,))
    run_golden(golden(), app, baseline=varying, repeats=3, settings=settings)
    assert set(app.asked.values()) == {3}


def test_a_case_that_breaks_in_a_later_round_is_an_error_and_asked_no_more(golden, settings, varying):
    app = App(raises=(4,), broken=(4,))
    run = run_golden(golden(), app, baseline=varying, settings=settings)
    assert app.asked[4] == 2
    assert outcomes(golden(), varying, run)["case-4"] == "error"
    result = next(each for each in run.results if each.case.endswith("-4"))
    assert [(failure.repeat, "second one" in failure.error) for failure in result.failures] == [(1, True)]


def test_repeats_are_numbered_through_all_rounds(golden, settings, varying):
    run = run_golden(golden(), App(broken=(5,)), baseline=varying, settings=settings)
    for result in run.results:
        repeats = list(range(count_repeats(result)))
        assert [output.repeat for output in result.outputs] == repeats
        assert [score.repeat for score in result.scores if score.metric == "keywords"] == repeats


def test_further_work_of_one_case_is_no_other_case(settings):
    names = ["a", "a@2", "a@10", "a:2", "a 10"]
    path = settings.root / "odd.yaml"
    path.write_text(
        f"version: 1\n{SUITE}cases:\n"
        + "".join(
            f"  - {{id: '{name}', input: odd {at}, checks: {{keywords: {{all: [good]}}}}}}\n"
            for at, name in enumerate(names)
        )
    )
    app = App()
    run = run_golden(load_golden(path, root=settings.root), app, settings=settings)
    assert app.asked == dict.fromkeys(range(5), 10)
    assert {count_repeats(result) for result in run.results} == {10}


def test_several_files_share_one_error_budget(golden, settings, varying, monkeypatch):
    """A case that could be named among few checks is no suspect among many."""
    few, many = golden(), golden(150, name="many")
    alone = App(broken=(5,))
    run_golden(few, alone, baseline=varying, settings=settings)
    assert alone.asked[5] == 16

    apps = {"shop": App(broken=(5,)), "many": App(varies=False)}
    module = ModuleType("apps_of_two_files")
    module.answer = lambda question: apps[question.split()[0]](question)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    evaluate([few, many], replace(settings, app="apps_of_two_files:answer"), varying)
    assert apps["shop"].asked[5] == 10  # with the others, for the suite


def test_where_asking_may_not_go_on_results_stay_as_they_are(golden, settings):
    file = golden(2)
    first = [
        CaseResult(case=f"shop.yaml::case-{number}", input_hash="", outputs=(Output(text=""),), auto=9)
        for number in range(2)
    ]
    planner = open_planner(file, [file], None, settings)
    assert planner.next_repeats(first)
    found = run_until_decided(plan(file, "auto", 9), lambda _: first, planner, may_go_on=lambda: False)
    assert list(found.values()) == first


@pytest.mark.parametrize(("may", "rounds"), [(0, 1), (1, 2), (2, 3), (9, 3)])
def test_whether_asking_may_go_on_is_asked_only_while_something_is_wanted(golden, settings, may, rounds):
    """Who closes every verdict in time has not come to the end of a budget."""
    file = golden(2)
    fetched: list[list[int]] = []
    questions: list[bool] = []

    def fetch(works: Sequence[Task]) -> list[CaseResult]:
        fetched.append([work.repeats for work in works])
        return [
            CaseResult(
                case=work.id,
                input_hash="",
                outputs=tuple(Output(text=f"{at}", repeat=at) for at in range(work.repeats)),
                auto=9,
            )
            for work in works
        ]

    def may_go_on() -> bool:
        questions.append(len(questions) < may)
        return questions[-1]

    found = run_until_decided(
        plan(file, "auto", 9), fetch, open_planner(file, [file], None, settings), may_go_on
    )

    assert fetched == [[1, 1], [2, 2], [10, 10]][:rounds]
    assert questions == [True] * (rounds - 1) + [False] * (may < 2)
    assert {count_repeats(result) for result in found.values()} == {fetched[-1][0]}


def test_a_baseline_that_was_scored_otherwise_is_scored_again_once_and_held_against(
    golden, settings, varying, monkeypatch
):
    """By scores of another version no verdict could be closed early; its outputs were kept."""
    base = replace(
        varying,
        results=tuple(
            replace(result, scores=tuple(replace(score, signature="of old") for score in result.scores))
            for result in varying.results
        ),
    )
    rescored = []

    def count(*given):
        rescored.append(rescore_all(*given))
        return rescored[-1]

    monkeypatch.setattr("pytest_llmops.gates.repeats.rescore_all", count)
    app = App(broken=tuple(range(CASES)))
    run_golden(golden(), app, baseline=base, settings=settings)
    assert set(app.asked.values()) == {16}
    assert len(rescored) == 1
    assert "of old" not in {
        score.signature
        for result in rescored[0].values()
        for score in result.scores
        if score.metric == "keywords"
    }


def test_each_repeat_is_a_call_of_its_own_and_a_second_run_replays_them_all(golden, settings):
    seen: Counter[str] = Counter()

    def vary(request) -> str:
        text = last_user_text(request)
        seen[text] += 1
        return "bad" if (int(text.rsplit(" ", 1)[1]) + seen[text]) % 5 == 0 else "good"

    with (
        OpenAIServer(answer=vary) as server,
        openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client,
    ):

        def app(question: str) -> str:
            messages = [{"role": "user", "content": question}]
            reply = client.chat.completions.create(model="small", messages=messages)
            return reply.choices[0].message.content

        first = run_golden(golden(4), app, settings=settings)
        assert {count_repeats(result) for result in first.results} == {10}
        assert seen == {f"shop {number}": 10 for number in range(4)}
        second = run_golden(golden(4), app, settings=replace(settings, record="none"))
    assert len(server.requests) == 40
    assert (second.usage.calls, second.usage.replayed) == (40, 40)
    said = [[output.text for result in run.results for output in result.outputs] for run in (first, second)]
    assert said[0] == said[1]
    assert set(said[0]) == {"good", "bad"}
