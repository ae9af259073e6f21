"""Our settings in pytest's files are read as pytest reads them, where no pytest runs."""

from __future__ import annotations

import pytest
from _pytest.config.findpaths import locate_config

from pytest_llmops.errors import SettingsError
from pytest_llmops.ini_files import INI_FILES, read_addopts, read_ini

INI = "[pytest]\nllm_undecided = fail\naddopts = -q\n"
CFG = "[tool:pytest]\nllm_undecided = warn\n"
OPTIONS = "[tool.pytest.ini_options]\nllm_undecided = 'pass'\n"
NATIVE = "[pytest]\nllm_undecided = 'fail'\n"

PROJECTS = {
    "nothing": {},
    "pytest.ini": {"pytest.ini": INI},
    "hidden": {".pytest.ini": INI},
    "tox.ini": {"tox.ini": "[tox]\nenvlist = a\n[pytest]\nllm_repeats = 3\n"},
    "setup.cfg": {"setup.cfg": CFG},
    "pyproject.toml": {"pyproject.toml": OPTIONS},
    "the first of several": {
        "pytest.ini": INI,
        "pyproject.toml": OPTIONS,
        "tox.ini": "[pytest]\n",
        "setup.cfg": CFG,
    },
    "an empty pytest.ini": {"pytest.ini": "", "pyproject.toml": OPTIONS},
    "a pytest.ini about others": {"pytest.ini": "[other]\nx = 1\n", "tox.ini": INI},
    "a tox.ini about others": {"tox.ini": "[tox]\n", "setup.cfg": CFG},
    "a pyproject.toml about others": {"pyproject.toml": "[tool.other]\nx = 1\n", "tox.ini": INI},
    "a pyproject.toml of ours alone": {
        "pyproject.toml": "[tool.pytest-llmops]\nrepeats = 2\n",
        "setup.cfg": CFG,
    },
    "lists": {"pytest.ini": "[pytest]\nllm_golden =\n    evals/\n    'more evals/'\n"},
    "comments": {"pytest.ini": "[pytest]\n# llm_repeats = 9\nllm_undecided = fail  # no doubt\n"},
    "percent": {"pytest.ini": "[pytest]\nllm_app = a:b\nlog_format = %(message)s\n"},
    "one line": {"tox.ini": "[pytest]\nllm_golden = evals other\n"},
}


@pytest.mark.parametrize("files", PROJECTS.values(), ids=PROJECTS)
def test_the_same_file_and_the_same_values(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    name, ours = read_ini(tmp_path)
    _, path, theirs, *_ = locate_config(tmp_path, [tmp_path])
    expected = {
        key.removeprefix("llm_"): each.value for key, each in theirs.items() if key.startswith("llm_")
    }
    if "golden" in expected:
        assert [word.strip("'") for word in str(expected.pop("golden")).split()] == [
            word for each in ours.pop("golden") for word in each.split()
        ]
    assert ours == expected
    assert (name == path.name) if path and theirs else not ours


@pytest.mark.parametrize("name", ["pytest.toml", ".pytest.toml"])
def test_toml_of_pytest_alone(tmp_path, name):
    (tmp_path / name).write_text(NATIVE + "llm_golden = ['evals/', 'more evals/']\nllm_repeats = 3\n")
    assert read_ini(tmp_path) == (
        name,
        {"undecided": "fail", "golden": ["evals/", "more evals/"], "repeats": 3},
    )


def test_a_table_without_ini_options(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.pytest]\nllm_undecided = 'fail'\n")
    assert read_ini(tmp_path) == ("pyproject.toml", {"undecided": "fail"})


def test_keys_of_others_and_empty_ones_are_left_out(tmp_path):
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nllm_of_another_plugin = 1\nllm_undecided =\nllm_root = /\n"
    )
    assert read_ini(tmp_path) == ("pytest.ini", {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", b"llm_undecided = fail\n"),
        ("pytest.ini", b"[pytest]\n[pytest]\n"),
        ("tox.ini", b"\xff\xfe"),
        ("pyproject.toml", b"[tool"),
        ("pyproject.toml", b"\xff"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, name, text):
    (tmp_path / name).write_bytes(text)
    with pytest.raises(SettingsError, match=name):
        read_ini(tmp_path)


@pytest.mark.parametrize("text", ["tool = 3\n", "[tool]\npytest = 3\n", "[tool.pytest]\nini_options = 3\n"])
def test_a_table_that_is_none_says_nothing(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    assert read_ini(tmp_path) == ("", {})


@pytest.mark.parametrize(
    ("name", "text", "flags"),
    [
        ("pytest.ini", "[pytest]\naddopts = -q -k 'a or b'\n", ("-q", "-k", "a or b")),
        ("setup.cfg", "[tool:pytest]\naddopts =\n  -q\n  -x\n", ("-q", "-x")),
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = ['-k', 'a or b']\n", ("-k", "a or b")),
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '-q'\n", ("-q",)),
        ("pytest.ini", "[pytest]\naddopts = -k 'a\n", ("-k 'a",)),
        ("pytest.ini", "[pytest]\n", ()),
    ],
)
def test_flags_of_every_run(tmp_path, name, text, flags):
    (tmp_path / name).write_text(text)
    assert read_addopts(tmp_path) == (name, flags)


def test_no_file_is_looked_at_twice():
    assert len(set(INI_FILES)) == len(INI_FILES)
