"""The setting `metrics`: files of the project's own, known wherever golden files are read."""

from __future__ import annotations

import pytest

from pytest_llmops import registry
from pytest_llmops.errors import SettingsError
from pytest_llmops.golden import load_golden, own_metrics
from tests.command import main

GOLDEN = "version: 1\napp: shop:answer\ncases: [{id: a, input: x, checks: {CHECK: true}}]\n"
METRIC = """
import pytest_llmops

@pytest_llmops.metric("CHECK")
def loud(output):
    return output.text.isupper()
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_metrics, "_imported", set())
    monkeypatch.setattr(registry, "_registered", {})

    def write(settings, check="loud_here", metric=METRIC):
        (tmp_path / "pyproject.toml").write_text(f"[tool.pytest-llmops]\nmetrics = {settings}\n")
        (tmp_path / "own.py").write_text(metric.replace("CHECK", check))
        (tmp_path / "shop.py").write_text("def answer(question): return question.upper()\n")
        (tmp_path / "golden").mkdir()
        (tmp_path / "golden" / "shop.yaml").write_text(GOLDEN.replace("CHECK", check))
        return tmp_path

    return write


def test_a_file_of_the_project_is_known_to_every_reader(project, capsys):
    root = project('["own.py"]')
    assert load_golden("golden/shop.yaml", root=root).cases[0].checks[0].metric == "loud_here"
    assert main(["run"]) == 0
    assert "1 passed" in capsys.readouterr().out


def test_it_is_imported_once(project):
    counts = "\nfrom pathlib import Path\nwith Path('imported').open('a') as file:\n    file.write('x')\n"
    root = project('["own.py"]', "loud_once", METRIC + counts)
    for _ in range(3):
        load_golden("golden/shop.yaml", root=root)
    assert (root / "imported").read_text() == "x"


@pytest.mark.parametrize(
    ("settings", "metric", "said"),
    [
        ('["owm.py"]', METRIC, "names 'owm.py', which cannot be imported"),
        ('["no_such_module"]', METRIC, "names 'no_such_module', which cannot be imported"),
        ('["own.py"]', "1 / 0", "names 'own.py', which cannot be imported: ZeroDivisionError"),
        ("3", METRIC, "metrics"),
    ],
)
def test_what_cannot_be_imported_is_told(project, settings, metric, said):
    root = project(settings, "loud_not", metric)
    with pytest.raises(SettingsError, match=said):
        load_golden("golden/shop.yaml", root=root)


def test_a_file_that_ends_the_process_is_no_success(project, capsys):
    project('["own.py"]', "loud_end", "raise SystemExit(0)")
    assert main(["run"]) != 0
    assert "cannot be imported" in capsys.readouterr().err


def test_a_module_beside_the_project_s_file_is_found(project, capsys):
    root = project('["own_module"]')
    (root / "own.py").rename(root / "own_module.py")
    assert main(["run"]) == 0
    assert "1 passed" in capsys.readouterr().out


def test_an_app_that_ends_the_process_when_it_is_imported_is_no_success(project, capsys):
    root = project('["own.py"]', "loud_app")
    (root / "ending.py").write_text("raise SystemExit(0)\n")
    (root / "golden" / "shop.yaml").write_text("version: 1\napp: ending:answer\ncases: [{id: a, input: x}]\n")
    assert main(["run"]) != 0
    assert "its module ends the process" in "".join(capsys.readouterr())
