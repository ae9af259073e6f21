"""
Changes planted in the reference app are named, whether its golden set turns red or not.

The app runs whole, but for its chat model: a server on this machine plans, and reads the passage aloud.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from reference_app.errors import WeightsError
from reference_app.models.weights import find_weights
from reference_app.settings import read_settings
from tests.openai_server import OpenAIServer

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(600),  # each test starts the app anew
    pytest.mark.xdist_group("planted_changes"),
]

ROOT = Path(__file__).parents[2]
CASES = {"returns-window", "repair-resole", "order-shipped"}
MAIN = "import sys; from pytest_llmops.cli import main; sys.exit(main())"


def reply(request):
    system, question = (request["messages"][place]["content"] for place in (0, -1))
    if not system.startswith("You plan"):
        return question[:600]
    if order := re.search(r"FW-\d{5}", question):
        call = {"name": "order_status", "arguments": {"order_id": order[0]}}
        return json.dumps({"route": "tools", "calls": [call]})
    return json.dumps({"route": "refuse" if "always refuse" in system else "documents", "calls": []})


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the app with a few of its cases, which names no prompts and no data, and its first run."""
    settings = read_settings()
    try:
        find_weights(settings.weights, settings.adapter)
    except WeightsError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("planted")
    skipped = shutil.ignore_patterns("__pycache__", "training", "adapter")
    shutil.copytree(ROOT / "reference_app", folder / "reference_app", ignore=skipped)
    written = yaml.safe_load((ROOT / "golden/support.yaml").read_text(encoding="utf-8"))
    cases = [
        {**case, "checks": {"keywords": case["checks"]["keywords"]}}
        for case in written["cases"]
        if case["id"] in CASES
    ]
    (folder / "golden").mkdir()
    (folder / "golden/few.yaml").write_text(yaml.safe_dump({"app": written["app"], "cases": cases}))
    (folder / "pyproject.toml").write_text("[tool.pytest-llmops]\n")
    with OpenAIServer(answer=reply) as server:
        run(folder, server, "base.json")
        yield folder, server


def run(folder: Path, server: OpenAIServer, out: str, **variables: str) -> None:
    here = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none", "PYTHONPATH": str(ROOT)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    environment = {**inherited, **here, "PYTHONDONTWRITEBYTECODE": "1", **variables}
    command = [sys.executable, "-c", MAIN, "run", "--repeats", "1", "--out", out]
    made = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert (folder / out).exists(), made.stdout + made.stderr


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        path = folder / "reference_app" / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return plant


def cut_index(folder: Path) -> None:
    path = folder / "reference_app/knowledge/vectors.npz"
    path.write_bytes(path.read_bytes()[:-9])


PLANTED = {
    "temperature": (edit("models/client.py", '"temperature": 0,', '"temperature": 1,'), "temperature of "),
    "owner off": ({"REFERENCE_APP_GUARDRAILS": "-owner"}, "environment REFERENCE_APP_GUARDRAILS is set now"),
    "owner off in code": (
        edit("nodes/tools.py", 'or "owner" not in guards', "or True"),
        "code reference_app/nodes/tools.py changed",
    ),
    "planner told to refuse": (
        edit("prompts/planner.yaml", "You plan how", "You plan, and always refuse, how"),
        "system prompt of ",
    ),
    "poisoned section": (
        edit("knowledge/returns.md", "60 days", "60 days, free of charge for you"),
        "file reference_app/knowledge/returns.md changed",
    ),
    "index": (cut_index, "file reference_app/knowledge/vectors.npz changed"),
    "passages": ({"REFERENCE_APP_TOP_K": "1"}, "environment REFERENCE_APP_TOP_K is set now"),
    "tool schema": (
        edit("shop/openapi.json", '"order_id"', '"order_nr"'),
        "file reference_app/shop/openapi.json changed",
    ),
    "threshold": (
        edit("documents/search.py", "KEPT = 0.86", "KEPT = 0.1"),
        "code reference_app/documents/search.py changed",
    ),
    "model": ({"REFERENCE_APP_MODEL": "gpt-small"}, "model gpt-small: none → "),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_change_of_the_app_is_named(project, tmp_path, planted):
    base, server = project
    folder = tmp_path / "project"
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns(".llmops"))
    plant, cause = PLANTED[planted]
    variables = plant if isinstance(plant, dict) else {}
    if callable(plant):
        plant(folder)
    run(folder, server, "run.json", **variables)
    command = [sys.executable, "-c", MAIN, "compare", "base.json", "run.json", "--format", "json"]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout  # noqa: S603
    comparison = json.loads(shown)
    assert [line for line in comparison["differs"] if line.startswith(cause)], comparison["differs"]
    assert comparison["not_stamped"] == []
