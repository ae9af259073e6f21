"""`llmops run` and `llmops compare` reach the same verdicts by the same run file and baseline."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_llmops.cli import main
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.gates.case_results import digest
from pytest_llmops.gates.outcomes import worst
from pytest_llmops.golden.identity import input_hash
from pytest_llmops.golden.reviews import Review, append_reviews
from pytest_llmops.records import Case, Outcome
from pytest_llmops.registry import register_metric
from tests.judge_server import JudgeServer, schema_of
from tests.openai_server import last_user_text
from tests.strict_metric import Strict

APP = """
import json
from pathlib import Path

asked = {}

def answer(question):
    nth = asked[question] = asked.get(question, -1) + 1
    plan = json.loads(Path("plan.json").read_text())
    texts = plan.get(question.split()[-1]) or plan["all"]
    text = texts[nth % len(texts)]
    if text in {"raises", "busy"}:
        raise RuntimeError("broken") if text == "raises" else ConnectionError("the provider is busy")
    return text
"""


SINGLE = ", case by case"


GOOD, BAD = ["a good answer"], ["a bad answer"]


def golden(
    *suite: str, cases: int = 12, checks: str = "{keywords: {all: [good]}}", head: str = "", more: str = ""
) -> str:
    lines = "".join(f"  - {{id: c{n}, input: question {n}, checks: {checks}}}\n" for n in range(cases))
    return f"app: door_app:answer\n{head}suite: {{{', '.join(suite)}}}\ncases:\n{lines}{more}"


MIXED = ["a good answer", "a bad answer", "a good answer now", "a good answer", "the good answer"]
VARIES = {f"c{n}": MIXED[n % 5 :] + MIXED[: n % 5] for n in range(12)}
DROPPED = {f"c{n}": BAD for n in range(4)}
COLLAPSED = VARIES | {"c3": BAD, "c4": ["a bad answer", "a worse answer"]}
JUDGE = "judge: {model: small, base_url: 'SERVER'}\n"
MEAN = "keywords: {mean: '>= 0.5', max_drop: 0.05}"
NEW = golden().replace("id: c", "id: n").replace("question ", "other n")


STRICT = golden("strict: {max_drop: 0.01}", checks="{strict: '>= 0.1'}")
ANCHORED = STRICT.replace("suite:", "anchors: anchors.jsonl\nsuite:")
ANCHORED_CASE = "  - {id: c3, input: question 3, checks: {strict: '>= 0.1'}}\n"


async def no_pause(_pause_s: float) -> None:
    """Wait for no provider."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with JudgeServer(verdict=grade) as running:
        yield running.url


@pytest.fixture
def project(tmp_path, monkeypatch, server):
    settings = f"judge = {{model = 'small', base_url = '{server}'}}"
    (tmp_path / "pyproject.toml").write_text(f"[tool.pytest-llmops]\n{settings}\n")
    monkeypatch.setenv("JUDGE_URL", server)
    (tmp_path / "door_app.py").write_text(APP)
    monkeypatch.setattr(Strict, "lenient", 1.0)
    monkeypatch.setattr("pytest_llmops.runner.app.calls.sleep", no_pause)
    register_metric("strict", Strict)
    rows = [{"id": f"a{at}", "input": "why", "output": f"{at} " * 9} for at in range(8)]
    (tmp_path / "golden").mkdir()
    (tmp_path / "anchors.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(texts: str | Mapping[str, str], answers: Mapping[str, list[str]]) -> None:
    """Write the golden files and the answers of the app, by the last word of the question."""
    for path in Path("golden").glob("*.yaml"):
        path.unlink()
    for name, text in ({"shop": texts} if isinstance(texts, str) else texts).items():
        Path(f"golden/{name}.yaml").write_text(text.replace("SERVER", os.environ["JUDGE_URL"]))
    named = {name.removeprefix("c"): listed for name, listed in answers.items() if name != "all"}
    Path("plan.json").write_text(json.dumps({"all": answers.get("all", GOOD), **named}))
    sys.modules.pop("door_app", None)


BASELINE = Path("golden/baseline.json")
RECORDED: dict[str, dict[Path, bytes]] = {}


def record(texts: str | Mapping[str, str], answers: Mapping[str, list[str]], *arguments: str) -> None:
    """Write the baseline of these answers; one that an earlier test wrote by the same steps is taken."""
    steps = repr((texts, answers, arguments, kept()))
    if steps not in RECORDED:
        write(texts, answers)
        main(["run", "--out", "base.json", "--repeats", "10", "--baseline", "none"])
        assert main(["accept", "base.json", "--with-outputs", *arguments]) == 0
        RECORDED[steps] = kept()
    for path, content in RECORDED[steps].items():
        path.write_bytes(content)


def kept() -> dict[Path, bytes]:
    """Return the baseline and the release that there are."""
    return {path: path.read_bytes() for path in Path("golden").glob("*.json")}


def review(verdict: str, *cases: int) -> None:
    """Have a person look at the answers of these cases."""
    reviews = [
        Review(
            case=f"golden/shop.yaml::c{case}",
            input_hash=input_hash(Case(id=f"c{case}", input=f"question {case}")),
            answer=digest(text),
            verdict=verdict,
            who="ada",
            when="2026-01-31T09:15:00Z",
        )
        for case in cases
        for text in {*GOOD, *BAD, *MIXED, "a worse answer"}
    ]
    append_reviews("golden/reviews.jsonl", reviews, lock=Path("lock"))


def live(*arguments: str) -> tuple[int, dict[Any, Any]]:
    """Exit code and verdicts of `llmops run`; the run file is `run.json`."""
    verdicts: dict[Any, Any] = {}
    case_door, suite_door = Evaluation.judge_case, Evaluation.judge_suite

    def judge_case(self, golden, task):
        result, judged = case_door(self, golden, task)
        for verdict in judged:
            note(verdicts, verdict.check, asdict(verdict), [result.case])
        return result, judged

    def judge_suite(self, golden, results):
        judged = suite_door(self, golden, results)
        prefix = f"{golden.path}: " if len(self.goldens) > 1 else ""
        for verdict in judged:
            single = verdict.check.endswith(SINGLE)
            cases = [place["case"] for place in verdict.evidence] if single else []
            note(verdicts, verdict.check if single else prefix + verdict.check, asdict(verdict), cases)
        return judged

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evaluation, "judge_case", judge_case)
        patch.setattr(Evaluation, "judge_suite", judge_suite)
        return main(["run", "--out", "run.json", *arguments]), verdicts


def of_files(capsys) -> tuple[str, dict[Any, Any]]:
    """Outcome and verdicts of `llmops compare`."""
    capsys.readouterr()
    main(["compare", "golden/baseline.json", "run.json", "--format", "json"])
    shown = json.loads(capsys.readouterr().out)
    verdicts: dict[Any, Any] = {}
    for verdict in shown["verdicts"]:
        cases = [place["case"] for place in verdict["evidence"]] if verdict["check"].endswith(SINGLE) else []
        note(verdicts, verdict["check"], verdict, cases)
    return shown["outcome"], verdicts


def note(verdicts: dict[Any, Any], check: str, verdict: Mapping[str, Any], cases: list[str]) -> None:
    """Add a verdict on all cases with its numbers, or the worst outcome of each case that it is about."""
    outcome = verdict["outcome"]
    if not cases:
        names = ("baseline", "observed", "difference", "p_adjusted", "known")
        verdicts[check] = outcome, *(verdict[name] for name in names)
    elif outcome != "passed" and not verdict["known"]:
        for case in cases:
            key = check.removesuffix(SINGLE), case
            verdicts[key] = worst([outcome, verdicts.get(key, outcome)])


def judged(options: str) -> str:
    return golden(cases=4, checks=f"{{judge: {{{options}}}}}", head=JUDGE)


def grade(request: Any) -> dict[str, object]:
    """A judge that finds a bad answer unsafe."""
    bad = " bad " in last_user_text(request)
    return {
        name: {"reason": "so", "evidence": "", "score": 1 if bad and name in {"accuracy", "safety"} else 5}
        for name in schema_of(request)["required"]
    }


def label() -> None:
    """Have people label answers that the judge finds safe."""
    rows = [
        {
            "id": str(at),
            "input": "q",
            "output": f"a {'bad' if at % 2 else 'good'} answer {at}",
            "people": 1 + at % 2,
        }
        for at in range(40)
    ]
    Path("labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options = ["--option", "rubric=default", "--option", "criteria=accuracy"]
    main(["calibrate", "judge", "labels.jsonl", "--label", "people", "--save", *options])


@dataclass(frozen=True, kw_only=True)
class Regime:
    """
    Golden files and answers of a baseline, and those of the run that is compared with it.

    Attributes:
        outcome: Of the comparison.
        days: Runs that the baseline is merged from.
        lenient: How lenient `strict` is in the run, and `version` which one of it.
        release: Answers of the release, where there is one; `release_text` if its golden file was another.
        people: Something that people do between the runs.
    """

    outcome: Outcome
    text: str | dict[str, str]
    now_text: str | dict[str, str] | None = None
    before: dict[str, list[str]] = field(default_factory=dict)
    now: dict[str, list[str]] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("--repeats", "auto")
    days: int = 1
    lenient: float = 1.0
    version: int = 1
    release: dict[str, list[str]] | None = None
    release_text: str = ""
    people: Callable[[], None] = lambda: None


REGIMES = {
    "steady": Regime(outcome="passed", text=golden(MEAN)),
    "steady app dropped": Regime(outcome="regressed", text=golden(MEAN), now=DROPPED),
    "dropped, seen once": Regime(
        outcome="regressed", text=golden(MEAN), now=DROPPED, arguments=("--repeats", "1")
    ),
    "known": Regime(outcome="passed", text=golden(MEAN), before=DROPPED, now=DROPPED),
    "fixed": Regime(outcome="passed", text=golden(MEAN), before=DROPPED),
    "varies": Regime(outcome="passed", text=golden(MEAN), before=VARIES, now=VARIES),
    "two collapsed": Regime(outcome="regressed", text=golden(MEAN), before=VARIES, now=COLLAPSED),
    "fixed repeats": Regime(
        outcome="regressed", text=golden(MEAN), before=VARIES, now=COLLAPSED, arguments=("--repeats", "6")
    ),
    "no suite": Regime(outcome="regressed", text=golden(), before=VARIES, now=COLLAPSED),
    "suite of another": Regime(
        outcome="regressed", text=golden("latency_s: {p95: '<= 9'}"), before=VARIES, now=COLLAPSED
    ),
    "watch: false": Regime(outcome="regressed", text=golden("keywords: {watch: false}"), now=DROPPED),
    "unwatched bound": Regime(
        outcome="regressed", text=golden("keywords: {mean: '>= 0.9', watch: false}"), now=DROPPED
    ),
    "the suite records": Regime(
        outcome="regressed", text=golden("keywords: {record_only: true, mean: '>= 0.9'}"), now=DROPPED
    ),
    "the suite alone": Regime(
        outcome="regressed", text=golden("strict: {max_drop: 0.01}"), before=VARIES, now=COLLAPSED
    ),
    "a median and its drop": Regime(
        outcome="regressed",
        text=golden("keywords: {p50: '>= 0.1', max_drop: 0.05}"),
        before=VARIES,
        now=COLLAPSED,
    ),
    "the suite alone, by a median": Regime(
        outcome="regressed",
        text=golden("strict: {p50: '>= 0.1', max_drop: 0.01}"),
        before=VARIES,
        now=COLLAPSED,
    ),
    "the suite records the least": Regime(
        outcome="regressed",
        text=golden("keywords: {min: '>= 0.5', record_only: true}"),
        before=VARIES,
        now=COLLAPSED,
    ),
    "rival": Regime(
        outcome="regressed",
        text=golden("keywords: {min_gain: 0.1}", head="rival: door_app:answer\n"),
        now=DROPPED,
    ),
    "cases record": Regime(
        outcome="passed",
        text=golden(checks="{strict: '>= 0.1', keywords: {all: [good], record_only: true}}"),
        now=DROPPED,
    ),
    "cases record what the suite checks": Regime(
        outcome="failed",
        text=golden(
            "keywords: {p10: '>= 0.1'}",
            checks="{strict: '>= 0.1', keywords: {all: [good], record_only: true}}",
        ),
        now=DROPPED,
    ),
    "max_drop of cases": Regime(
        outcome="regressed",
        text=golden(checks="{keywords: {all: [good], max_drop: 0.5}}"),
        before=VARIES,
        now=COLLAPSED,
    ),
    "pass_rate": Regime(
        outcome="regressed",
        text=golden(checks="{keywords: {all: [good], pass_rate: '>= 0.5'}}"),
        before=VARIES,
        now=COLLAPSED,
    ),
    "two metrics": Regime(
        outcome="regressed",
        text=golden(checks="{strict: '>= 0.3', keywords: {all: [good]}}"),
        before=VARIES,
        now=COLLAPSED,
    ),
    "groups": Regime(
        outcome="regressed",
        text=golden(MEAN, more="".join(f"  - {{id: g{n}, input: g {n}, group: g}}\n" for n in range(4))),
        before=VARIES,
        now=DROPPED,
    ),
    "app broke on one": Regime(outcome="error", text=golden(MEAN), now={"c5": ["raises"]}),
    "app broke on all": Regime(outcome="error", text=golden(MEAN), now={"all": ["raises"]}),
    "broke in a repeat": Regime(
        outcome="error", text=golden(MEAN), before=VARIES, now=VARIES | {"c5": ["good", "raises"]}
    ),
    "release dropped": Regime(
        outcome="regressed", text=golden(MEAN), before=DROPPED, now=DROPPED, release={}
    ),
    "release of other questions": Regime(
        outcome="undecided", text=golden(MEAN), release={}, release_text=NEW
    ),
    "provider failed": Regime(
        outcome="regressed", text=golden(MEAN), now=DROPPED | {"c5": ["busy", *GOOD, *GOOD, *GOOD]}
    ),
    "provider fails": Regime(outcome="error", text=golden(MEAN), now=DROPPED | {"c5": ["busy"]}),
    "release varied": Regime(outcome="regressed", text=golden(MEAN), before=VARIES, now=VARIES, release={}),
    "three days": Regime(outcome="regressed", text=golden(MEAN), before=VARIES, now=COLLAPSED, days=3),
    "stricter judge": Regime(
        outcome="undecided",
        text=ANCHORED,
        lenient=0.9,
    ),
    "stricter judge and a release": Regime(
        outcome="undecided",
        text=ANCHORED,
        lenient=0.9,
        release={},
    ),
    "a case is gone": Regime(outcome="undecided", text=golden(MEAN), now_text=golden(MEAN, cases=11)),
    "a case is new": Regime(outcome="passed", text=golden(MEAN), now_text=golden(MEAN, cases=13)),
    "a new case misses": Regime(
        outcome="failed", text=golden(MEAN), now_text=golden(MEAN, cases=13), now={"c12": BAD}
    ),
    "a case is edited": Regime(
        outcome="failed",
        text=golden(MEAN),
        now_text=golden(MEAN).replace("question 3", "edited 3"),
        now={"c3": BAD},
    ),
    "a case is renamed": Regime(
        outcome="regressed",
        text=golden(MEAN),
        now_text=golden(MEAN).replace("id: c3", "id: three"),
        now=DROPPED,
    ),
    "a case moves to another file, with anchors": Regime(
        outcome="undecided",
        text={"shop": ANCHORED, "new": NEW},
        now_text={
            "shop": ANCHORED.replace(ANCHORED_CASE, ""),
            "new": f"{NEW}{ANCHORED_CASE}",
        },
        lenient=1.1,
        now={"all": ["a good answe"]},
    ),
    "renamed and rescored": Regime(
        outcome="passed", text=STRICT, now_text=STRICT.replace("id: c3", "id: three"), version=2, release={}
    ),
    "the file is renamed": Regime(
        outcome="regressed", text=golden(MEAN), now_text={"store": golden(MEAN)}, now=DROPPED
    ),
    "a file is new": Regime(
        outcome="regressed",
        text=golden(MEAN),
        now_text={"shop": golden(MEAN), "new": NEW},
        now={"c1": BAD, "n2": BAD},
    ),
    "a file with a suite is new": Regime(
        outcome="failed",
        text=golden(MEAN),
        now_text={
            "shop": golden(MEAN),
            "new": NEW.replace("suite: {}", f"suite: {{{MEAN}, strict: {{max_drop: 0.1}}}}"),
        },
        now={"n2": BAD},
    ),
    "two files": Regime(
        outcome="regressed",
        text={"shop": golden(MEAN), "new": NEW},
        before=VARIES,
        now=COLLAPSED | {"n1": BAD, "n2": BAD},
    ),
    "a metric is new": Regime(
        outcome="regressed",
        text=golden(MEAN),
        now_text=golden(MEAN, checks="{strict: '>= 0.9', keywords: {all: [good]}}"),
        now=DROPPED,
    ),
    "a check is stricter": Regime(
        outcome="passed",
        text=golden(checks="{strict: '>= 0.1'}"),
        now_text=golden(checks="{strict: '>= 0.9'}"),
    ),
    "floors": Regime(
        outcome="regressed", text=judged("rubric: support, min: 2"), before=VARIES, now=COLLAPSED
    ),
    "floors of a suite": Regime(
        outcome="regressed",
        text=golden("judge: {rubric: support, mean: '>= 2'}", cases=4, head=JUDGE),
        now={"c2": BAD},
    ),
    "min_kappa without labels": Regime(
        outcome="undecided", text=judged("criteria: accuracy, min: 2, min_kappa: 0.6")
    ),
    "labels": Regime(
        outcome="passed",
        text=golden("judge: {criteria: accuracy, mean: '>= 3'}", cases=4, head=JUDGE),
        people=label,
    ),
    "reviewed as bad": Regime(outcome="failed", text=golden(MEAN), people=lambda: review("bad", 2)),
    "reviewed as good": Regime(
        outcome="regressed",
        text=golden(MEAN),
        before=VARIES,
        now=COLLAPSED,
        people=lambda: review("good", *range(12)),
    ),
}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("regime", REGIMES.values(), ids=REGIMES)
def test_verdicts_of_a_run_are_those_of_its_file(regime, monkeypatch, capsys):
    if regime.release is not None:
        record(regime.release_text or regime.text, regime.release, "--release", "1.4")
        BASELINE.unlink()
    for day in range(regime.days):
        turned = {name: [*texts[day:], *texts[:day]] for name, texts in regime.before.items()}
        record(regime.text, turned, *(["--merge"] if day else []))
    regime.people()
    write(regime.now_text or regime.text, regime.now)
    monkeypatch.setattr(Strict, "lenient", regime.lenient)
    monkeypatch.setattr(Strict, "version", regime.version)

    code, verdicts = live(*regime.arguments)
    outcome, verdicts_of_files = of_files(capsys)

    assert verdicts == verdicts_of_files
    assert outcome == regime.outcome
    assert code == {"passed": 0, "undecided": 0, "error": 3}.get(outcome, 1)


@pytest.mark.usefixtures("project")
def test_summaries_of_both_doors_compare_a_release_that_was_scored_again(monkeypatch, capsys):
    record(STRICT, {}, "--release", "1.4")
    write(STRICT, {})
    monkeypatch.setattr(Strict, "version", 2)

    for arguments in (["run", "--out", "run.json"], ["compare", "golden/baseline.json", "run.json"]):
        capsys.readouterr()
        assert main(arguments) == 0
        assert "since release 1.4: no mean moved" in capsys.readouterr().out
