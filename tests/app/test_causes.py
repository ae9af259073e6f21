"""What the app depends on stamps its golden runs, so that a change of it is told as what changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pytest_llmops import load_golden
from pytest_llmops.gates.stamps import describe_changes
from pytest_llmops.runner.signature import sign_run
from reference_app.settings import read_settings

ROOT = Path(__file__).parents[2]
GOLDEN = ("golden/support.yaml", "golden/independent.yaml", "golden/_attacks/support.yaml")


def edit_text(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def let_customers_adjust_points(app):
    edit_text(
        app / "tools/policy.yaml", "adjust_points:\n  customer: deny", "adjust_points:\n  customer: allow"
    )


def loosen_an_argument(app):
    path = app / "shop/openapi.json"
    document = json.loads(path.read_text("utf-8"))
    document["paths"]["/orders/{order_id}"]["get"]["parameters"][0]["schema"].pop("pattern", None)
    path.write_text(json.dumps(document), "utf-8")


def sign_one_tool_less(app):
    path = app / "tools/manifests.jsonl"
    path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[1:]), "utf-8")


def shorten_a_rule(app):
    edit_text(app / "knowledge/returns.md", "60 days", "14 days")


def damage_the_index(app):
    path = app / "knowledge/vectors.npz"
    path.write_bytes(path.read_bytes()[:-1])


def cut_otherwise(app):
    edit_text(app / "documents/knowledge.py", "^## *(?!#)", "^# *(?!#)")


def switch_a_guard_off(app):
    edit_text(app / "settings.py", '"grounding", ', "")


@pytest.mark.parametrize("golden", GOLDEN)
@pytest.mark.parametrize(
    ("change", "paths"),
    [
        (let_customers_adjust_points, ["tools/policy.yaml"]),
        (loosen_an_argument, ["shop/openapi.json"]),
        (sign_one_tool_less, ["tools/manifests.jsonl"]),
        (shorten_a_rule, ["knowledge"]),
        (damage_the_index, ["knowledge", "knowledge/vectors.npz"]),
        (cut_otherwise, ["documents/knowledge.py"]),
        (switch_a_guard_off, ["settings.py"]),
    ],
)
def test_a_change_is_named(tmp_path, golden, change, paths):
    skipped = shutil.ignore_patterns("__pycache__", "adapter", "training")
    shutil.copytree(ROOT / "reference_app", tmp_path / "reference_app", ignore=skipped)
    loaded = load_golden(ROOT / golden, root=ROOT)
    before = sign_run([loaded], [], app=None, root=tmp_path)

    change(tmp_path / "reference_app")

    after = sign_run([loaded], [], app=None, root=tmp_path)
    assert describe_changes(before, after) == tuple(f"data reference_app/{path} changed" for path in paths)


@pytest.mark.parametrize("golden", GOLDEN)
def test_whatever_file_the_settings_name_is_stamped(golden):
    loaded = load_golden(ROOT / golden, root=ROOT)
    stamped = [ROOT / path for path in (*loaded.data, *loaded.prompts)]
    settings = read_settings({})
    for path in (settings.knowledge, settings.prompts, settings.orders, settings.policy, settings.openapi):
        assert {path, *path.parents} & set(stamped), path
