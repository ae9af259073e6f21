"""`llmops report`: one file from which a reviewer learns what broke, since when, and how to see it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from tests.cli.test_comment import shop
from tests.command import main
from tests.report_page import read_data

__all__ = ["shop"]


@pytest.fixture
def report(shop, monkeypatch):
    """Runs the worse app, and returns the data of its report."""
    monkeypatch.setenv("TONE", "kind")

    def write(*flags):
        main(["run", "--out", "run.json"])
        assert main(["report", "run.json", *flags]) == 0
        return read_data(shop / "report.html")

    return write


def test_a_reviewer_learns_what_broke_since_when_and_how_to_see_it(report):
    data = report("--baseline", "base.json")

    assert (data["outcome"], data["baseline"]) == ("failed", "base.json")
    assert data["counts"] == {
        "passed": 2, "failed": 1, "regressed": 0, "undecided": 0, "error": 0, "known": 1,
        "xfailed": 0, "xpassed": 0,
    }  # fmt: skip
    assert data["causes"] == ["environment TONE is set now"]
    assert data["actions"][0]["text"].endswith("with TONE set as in that run.")
    (case,) = [case for case in data["cases"] if case["status"] == "failed"]
    assert (case["id"], case["input"]) == ("golden/shop.yaml::long", "How long?")
    assert case["command"] == "pytest --llm-golden golden/shop.yaml::long"
    assert case["source"] == "golden/shop.yaml:4"
    assert case["before"]["outputs"][0]["text"] == "60 days"
    assert case["outputs"][0]["text"].startswith("Ask @ann")
    (verdict,) = case["verdicts"]
    assert (verdict["check"], verdict["baseline"], verdict["observed"]) == ("keywords >= 1", 1, 0)
    assert verdict["reason"] == "missing: '60'"
    assert [action["command"].split()[:2] for action in data["actions"]] == [
        ["pytest", "--llm-golden"],
        ["llmops", "accept"],
    ]


def test_a_known_failure_is_no_red_case(report):
    cases = {case["id"].partition("::")[2]: case for case in report("--baseline", "base.json")["cases"]}

    assert (cases["where"]["status"], cases["gift"]["status"]) == ("known", "passed")
    assert [verdict["known"] for verdict in cases["where"]["verdicts"]] == [True]


def test_without_a_baseline_only_thresholds_decide(report):
    data = report("--baseline", "none")

    assert (data["outcome"], data["baseline"], data["usage_before"]) == ("failed", "", None)
    assert {case["status"] for case in data["cases"]} == {"failed", "passed"}
    assert [action["command"].split()[0] for action in data["actions"]] == ["pytest"]


def test_the_last_run_against_the_accepted_baseline_is_the_default(shop, monkeypatch):
    monkeypatch.setenv("TONE", "kind")
    main(["run"])

    assert main(["report"]) == 0
    data = read_data(shop / "report.html")
    assert (data["baseline"], data["outcome"]) == ("golden/baseline.json", "failed")


def test_who_leaks_is_not_advised_to_accept_it(report, shop, monkeypatch):
    monkeypatch.delitem(sys.modules, "shop")
    golden = (shop / "golden/shop.yaml").read_text()
    (shop / "golden/shop.yaml").write_text(golden.replace("cases:", "checks: {pii_leak: none}\ncases:"))
    (shop / "shop.py").write_text("def answer(question):\n    return 'DB_PASSWORD=Kestrel215!'\n")
    data = report("--baseline", "base.json")

    assert [action["command"].split(" ")[0] for action in data["actions"]] == ["pytest", ""]
    assert "Something leaked" in data["actions"][-1]["text"]
    assert "Kestrel215" not in json.dumps(data)


def test_history_has_the_runs_of_a_folder_and_this_one_last(report, shop, capsys):
    (shop / "runs").mkdir()
    (shop / "base.json").rename(shop / "runs/base.json")
    (shop / "runs/other.json").write_text("[]")
    past = report("--history", "runs")["history"]

    assert [one["name"] for one in past] == ["base", "run"]
    assert [one["checks"] for one in past] == [{"keywords mean >= 0.1": 0.5}] * 2
    assert [one["outcome"] for one in past] == ["passed", "failed"]  # known failures make no run red
    assert past[0]["cases"]["golden/shop.yaml::long"] == 1
    assert past[1]["cases"]["golden/shop.yaml::long"] == 0
    assert "left out of the history: runs/other.json" in capsys.readouterr().err


def test_a_job_that_failed_makes_the_report_red(shop):
    main(["report", "base.json", "--job", "failure"])
    data = read_data(shop / "report.html")
    assert (data["outcome"], data["counts"]["known"]) == ("failed", 2)
    assert data["problems"] == ["the job ended by failure: its log says why"]

    main(["report", "base.json", "--job", "success"])
    assert read_data(shop / "report.html")["outcome"] == "passed"


@pytest.mark.parametrize("baseline", ["none", "base.json"])
def test_an_app_that_breaks_is_no_known_failure_of_cases_without_checks(shop, monkeypatch, baseline):
    cases = "{id: long, input: How long?, reference: 60 days}, {id: pay, input: Pay?, reference: card}"
    golden = f"app: shop:answer\nsuite: {{rouge_l: {{mean: '>= 0.1'}}}}\ncases: [{cases}]\n"
    (shop / "golden/shop.yaml").write_text(golden)
    monkeypatch.setenv("TONE", "broken")

    main(["run", "--out", "run.json", "--html", "door.html"])
    assert main(["report", "run.json", "--baseline", baseline]) == 0

    for page in ("report.html", "door.html"):
        data = read_data(shop / page)
        assert data["outcome"] == "error"
        assert data["counts"]["error"] == len(data["cases"])


def test_a_run_of_nothing_is_an_error_in_the_history_too(shop):
    run = json.loads((shop / "base.json").read_text())
    (shop / "runs").mkdir()
    (shop / "runs/empty.json").write_text(json.dumps({**run, "results": []}))
    main(["report", "base.json", "--history", "runs"])

    assert [one["outcome"] for one in read_data(shop / "report.html")["history"]] == ["error", "passed"]


def test_each_check_has_its_own_bound(shop):
    second = (shop / "golden/shop.yaml").read_text().replace("'>= 0.1'", "'>= 0.2', max_drop: 0.3")
    (shop / "golden/other.yaml").write_text(second)
    main(["run", "--out", "run.json"])
    main(["report", "run.json", "--baseline", "run.json"])

    checks = {check["check"]: check for check in read_data(shop / "report.html")["checks"]}
    assert checks["golden/shop.yaml: keywords mean >= 0.1"]["threshold"] == 0.1
    assert checks["golden/other.yaml: keywords mean >= 0.2"]["max_drop"] == 0.3


def test_no_case_id_is_an_option_of_the_command(shop):
    run = (shop / "base.json").read_text().replace("golden/shop.yaml::long", "--llm-app=os:system")
    (shop / "run.json").write_text(run)
    main(["report", "run.json", "--baseline", "none"])

    commands = json.dumps([case["command"] for case in read_data(shop / "report.html")["cases"]])
    assert "os:system" not in commands


def test_numbers_beyond_those_of_json_break_no_report(shop):
    run = json.loads((shop / "base.json").read_text())
    tokens = {"gen_ai.usage.input_tokens": 10**400, "gen_ai.usage.output_tokens": True}
    run["results"][0]["spans"] = [{"span_id": "a", "parent_id": None, "name": "chat", "attributes": tokens}]
    (shop / "run.json").write_text(json.dumps(run))

    assert main(["report", "run.json"]) == 0
    (span,) = read_data(shop / "report.html")["cases"][0]["spans"]
    assert span["tokens"] is None


def read_junit(path):
    tests = {}
    for test in ET.parse(path).getroot().iter("testcase"):  # noqa: S314 - our own file
        part = next(iter(test), None)
        tests[test.get("name")] = (part.tag, part.get("message")) if part is not None else None
    return tests


def test_a_ci_reads_it_as_junit(shop, monkeypatch):
    monkeypatch.setenv("TONE", "kind")
    main(["run", "--out", "run.json"])
    assert main(["report", "run.json", "--baseline", "base.json", "-o", "junit.xml"]) == 0

    tests = read_junit(shop / "junit.xml")
    assert tests["long"] == ("failure", "failed: keywords >= 1: missing: '60'")
    assert tests["where"][0] == "skipped"
    assert tests["gift"] is None
    (suite,) = [one for one in ET.parse(shop / "junit.xml").getroot() if "golden" in one.get("name")]  # noqa: S314 - as above
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "0", "1"]
    (long,) = [test for test in suite if test.get("name") == "long"]
    assert (long.get("file"), long.get("line")) == ("golden/shop.yaml", "4")


def test_a_job_that_failed_is_red_in_every_format(shop):
    for ending in ("xml", "sarif", "md"):
        assert main(["report", "base.json", "--job", "failure", "-o", f"report.{ending}"]) == 0

    assert read_junit(shop / "report.xml")["outcome"][0] == "failure"
    (run,) = json.loads((shop / "report.sarif").read_text())["runs"]
    assert [result["ruleId"] for result in run["results"]] == ["golden-run"]
    assert "failed" in (shop / "report.md").read_text().splitlines()[1]


def test_code_scanning_reads_it_as_sarif(shop, monkeypatch):
    monkeypatch.setenv("TONE", "kind")
    main(["run", "--out", "run.json"])
    assert main(["report", "run.json", "--baseline", "base.json", "-o", "run.sarif"]) == 0

    (run,) = json.loads((shop / "run.sarif").read_text())["runs"]
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (result["ruleId"], result["level"]) == ("keywords", "error")
    assert result["message"]["text"] == "failed: keywords >= 1: missing: '60'"
    assert (place["artifactLocation"]["uri"], place["region"]) == ("golden/shop.yaml", {"startLine": 4})


def test_hostile_texts_are_texts_in_xml(shop):
    text = (shop / "base.json").read_text().replace("missing: ", "]]></failure>\\u0000\\ud800\\u202e&")
    (shop / "run.json").write_text(text.replace("golden/shop.yaml::long", "golden/shop.yaml::<x>\\u0001"))
    assert main(["report", "run.json", "--baseline", "none", "-o", "report.xml"]) == 0
    tests = read_junit(shop / "report.xml")
    assert any(name.startswith("<x>") for name in tests)
    assert any(found and "]]></failure>" in found[1] for found in tests.values())


def test_the_page_allows_its_own_script_and_style_alone(report, shop):
    report()
    text = (shop / "report.html").read_text(encoding="utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    allowed = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    elements = _Elements()
    elements.feed(text)

    assert allowed["default-src"] == "'none'"
    for name in ("script", "style"):
        (content,) = [body for tag, attributes, body in elements.found if tag == name and not attributes]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert allowed[f"{name}-src"] == f"'sha256-{digest}'"
    assert "@ann" not in text  # texts of the run are in the compressed data


class _Elements(HTMLParser):
    """The elements with their attributes and the text in them."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.open = False

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, attrs, ""))
        self.open = True

    def handle_data(self, data):
        if self.open:
            tag, attributes, body = self.found[-1]
            self.found[-1] = (tag, attributes, body + data)

    def handle_endtag(self, _tag):
        self.open = False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.json"], "missing.json: there is no such run file"),
        (["base.json", "--baseline", "nowhere.json"], "nowhere.json: there is no such run file"),
        (
            ["base.json", "-o", "shop.py/report.html"],
            "shop.py/report.html could not be written: Not a directory",
        ),
    ],
)
@pytest.mark.usefixtures("shop")
def test_a_mistake_is_one_message(arguments, message, capsys):
    capsys.readouterr()
    assert main(["report", *arguments]) == 3
    assert message in capsys.readouterr().err
