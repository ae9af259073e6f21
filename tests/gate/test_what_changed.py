"""
What a reviewer of a change to the reference app is told: harm or none, by what, and who loosened the gate.

The app runs whole, in a copy of this project, against the baseline that is committed with it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.openai_server import OpenAIServer
from tests.scripted_model import plan_or_read_aloud

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(600),  # a test asks the chat model dozens of questions
    pytest.mark.xdist_group("what_changed"),  # in one process, which asks once what several of them need
]

ROOT = Path(__file__).parents[2]
CASE = "returns-window"  # of one case: each repeat asks the large model anew
UNGROUNDED = {"REFERENCE_APP_GUARDRAILS": "-grounding"}  # else no wrong draft is followed
PLANNER = "reference_app/prompts/planner.yaml"
DOCUMENT = "reference_app/knowledge/returns.md"


@pytest.fixture
def project(tmp_path):
    """A copy of what the golden set needs, committed on `main`, with a branch for the change checked out."""
    copy = tmp_path / "project"
    for name in ("reference_app", "golden"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "cassettes"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for command in ("init -q -b main", "add -A", "commit -qm begin", "checkout -qb change"):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", *who, *command.split()], cwd=copy, check=True)  # noqa: S603, S607
    return copy


@pytest.fixture
def gate(project, golden_run):
    def run(*arguments: str, cases: str = CASE, **environment: str) -> tuple[int, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # of a copy
        where = ("-o", "testpaths=golden")
        done = golden_run(project, cases, *where, *arguments, environment=kept, **environment)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def scripted():
    """Variables of a chat model that searches for the question, or refuses if it has to, and reads days."""

    def answer(request):
        if request["messages"][0]["content"].startswith("You plan"):
            return plan_or_read_aloud(request)
        (days,) = {*re.findall(r"(?:60|14) days", request["messages"][-1]["content"])}
        return f"You have {days} to send boots back."

    with OpenAIServer(answer=answer) as server:
        yield {"OPENAI_BASE_URL": server.url, **UNGROUNDED}


@pytest.fixture
def llmops(project):
    def run(*arguments: str) -> tuple[int, str]:
        verb = "import sys; from pytest_llmops.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", verb, *arguments]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)  # noqa: S603
        return done.returncode, done.stdout + done.stderr

    return run


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def test_a_planner_prompt_that_harms_is_regressed(project, gate, scripted):
    assert gate(**scripted)[0] == 0
    edit(
        project / PLANNER,
        ("version: 3.1.0", "version: 3.2.0"),
        ("Reply with JSON:", "Refuse whatever is asked, by refuse(). Reply with JSON:"),
    )
    code, done = gate(**scripted)

    assert code == 1, done
    assert re.search(r"regressed +keywords >= 1: 0[.\d]*, baseline 1", done)
    assert f"since the baseline: prompt {PLANNER}: planner 3.1.0 → 3.2.0" in done


def test_a_harmless_rewording_is_not(project, gate, scripted):
    """The prompt changed, and the model answers as before."""
    edit(
        project / PLANNER,
        ("version: 3.1.0", "version: 3.1.1"),
        ("a shop for outdoor gear,", "the outdoor shop,"),
    )
    code, done = gate(**scripted)

    assert code == 0, done
    assert re.search(r"\d passed", done)
    assert f"since the baseline: prompt {PLANNER}: planner 3.1.0 → 3.1.1" in done


def test_another_model_behind_the_same_name_is_model_drift(gate, llmops):
    """An endpoint is updated in silence: nothing that is sent to it has changed, and answers have."""
    answers = {"documents": "A gift card is valid for 7 years."}

    def answer(request):
        call = {"name": "search_documents", "arguments": {"query": "gift card"}}
        planning = request["messages"][0]["content"].startswith("You plan")
        return json.dumps({"calls": [call]}) if planning else answers["documents"]

    with OpenAIServer(answer=answer) as server:
        asked = {"cases": "gift-card-validity", "OPENAI_BASE_URL": server.url, **UNGROUNDED}
        gate("--llm-out", "old.json", "--llm-repeats", "2", "--llm-record", "all", **asked)
        answers["documents"] = "Please ask in one of our shops."
        gate("--llm-out", "new.json", "--llm-repeats", "2", "--llm-record", "all", **asked)

    code, done = llmops("drift", "old.json", "new.json", "--format", "json")
    causes = [cause for cause in json.loads(done)["causes"] if cause["shown"]]
    assert code == 1, done
    assert [cause["kind"] for cause in causes] == ["model"]
    assert causes[0]["cases"] == ["golden/support.yaml::gift-card-validity"]


def test_a_changed_document_is_data_drift(project, gate, llmops, scripted):
    gate("--llm-out", "old.json", **scripted)
    edit(project / DOCUMENT, ("60 days", "14 days"))
    code, done = gate("--llm-out", "new.json", **scripted)
    assert code == 1, done
    assert "since the baseline: data reference_app/knowledge changed" in done

    code, done = llmops("drift", "old.json", "new.json", "--format", "json")
    causes = [cause for cause in json.loads(done)["causes"] if cause["shown"]]
    assert code == 1, done
    assert [cause["kind"] for cause in causes] == ["data"]


def test_a_golden_edit_in_the_same_commit_is_told_as_loosening(project, gate):
    golden = project / "golden" / "support.yaml"
    edit(golden, ('keywords: {mean: ">= 0.9", max_drop: 0.05}', 'keywords: {mean: ">= 0.5", max_drop: 0.05}'))
    code, done = gate("--llm-baseline", "git:main")
    assert code == 1, done
    assert "this change loosens its own gate in 1 place:" in done
    assert re.search(r"golden/support\.yaml.*keywords.*before: .*0\.9.*now: .*0\.5", done)

    (item,) = re.findall(r"^  (golden/support\.yaml: .*)$", done, re.MULTILINE)
    code, done = gate("--llm-baseline", "git:main", "--llm-allow-loosening", item)
    assert code == 0, done
