"""The code of a metric: all that it reaches by names, in any module of the project, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_llmops import Score
from pytest_llmops.metrics.sources import Place, read_code, same_code, sign_source

METRIC = """
class Short:
    name = "short"

    def score(self, batch):
        return []
"""

FILES = {
    "rating.py": '''
"""Rates."""
import re
import parts.deep
import patching
from parts import words
from parts.words import LIMIT, count
from .beside import *
UNUSED = 1


class Rating(words.Basis):
    """Rates a text."""

    def rate(self, text, least=LIMIT):
        # in a function
        from late import scale
        import importlib
        rules = importlib.import_module("rules")
        from either import OF_ANY_NAME, fits
        fits(text, OF_ANY_NAME)
        return scale(count(text) + words.PATTERN.pattern + parts.deep.NUMBER + STAR + rules.RULE >= least)


def main():
    from app import answer
    return answer


if __name__ == "__main__":
    main()
''',
    "beside.py": "STAR = 1\nOTHER = 1\n",
    "patching.py": "import app2\napp2.VALUE = 1\n",
    "app2.py": "VALUE = 0\nELSE = 0\n",
    "parts/__init__.py": "import app\nfrom . import words\n\nwords.LIMIT += 0\nNAME = 'parts'\n",
    "parts/deep.py": "from .deeper import NUMBER\n",
    "parts/deeper.py": "NUMBER = 1\n",
    "parts/words.py": """
import re
PATTERN = re.compile("a")
LIMIT = 1
MORE = ["x"]
MORE.append("y")


def count(text, most=9):
    return min(len(text), most)


class Basis:
    weight = 1


def unused():
    return LIMIT
""",
    "late.py": "FACTOR = 1.0\n\ndef scale(value, factor=FACTOR):\n    return value * factor\n",
    "rules.py": "RULE = 1\n",
    "either.py": """
try:
    from fast import fits
except ImportError:
    def fits(text):
        return True


def __getattr__(name):
    return 1
""",
    "app.py": "def answer():\n    return 1\n",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def digest(project: Path, name: str = "rating.py") -> str:
    return read_code([Place(project / name, "Rating")]).digest


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("rating.py", "least=LIMIT", "least=0"),
        ("parts/words.py", "LIMIT = 1", "LIMIT = 0"),
        ("parts/words.py", 'compile("a")', 'compile("b")'),
        ("parts/words.py", "most=9", "most=8"),
        ("parts/words.py", "weight = 1", "weight = 2"),
        ("parts/words.py", 'append("y")', 'append("z")'),
        ("parts/words.py", "LIMIT = 1", "LIMIT = 1\nif True:\n    LIMIT = 0"),
        ("parts/words.py", "LIMIT = 1", "LIMIT = 1\nglobals().update(LIMIT=0)"),
        (
            "late.py",
            "FACTOR = 1.0",
            'FACTOR = 1.0\nif __name__ != "__main__":\n    globals().update(FACTOR=2)',
        ),
        (
            "late.py",
            "FACTOR = 1.0",
            'FACTOR = 1.0\nif __name__ == "__main__":\n    pass\nelse:\n    globals().update(FACTOR=2)',
        ),
        ("parts/deeper.py", "NUMBER = 1", "NUMBER = True"),
        ("late.py", "FACTOR = 1.0", "FACTOR = 2.0"),
        ("parts/__init__.py", "+= 0", "= 0"),
        ("rules.py", "RULE = 1", "RULE = 0"),
        ("either.py", "    return 1", "    return 2"),
        ("beside.py", "STAR = 1", "STAR = 0"),
        ("patching.py", "app2.VALUE = 1", "app2.VALUE = 2"),
    ],
)
def test_what_a_metric_reaches_is_its_code(project, file, old, new):
    before = digest(project)
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))
    assert digest(project) != before


def test_a_module_that_is_there_now_is_followed_where_another_one_stood_in_for_it(project):
    before = digest(project)
    (project / "fast.py").write_text("def fits(text):\n    return False\n")
    after = digest(project)
    assert after != before
    (project / "fast.py").write_text("def fits(text):\n    return len(text)\n")
    assert digest(project) not in {before, after}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("rating.py", "# in a function", "# somewhere"),
        ("rating.py", '"""Rates a text."""', '"""Rates one text."""'),
        ("rating.py", "UNUSED = 1", "UNUSED = 2"),
        ("rating.py", "text, least=LIMIT", "text,\n        least=LIMIT,\n   "),
        ("parts/words.py", "return LIMIT", "return 2"),
        ("beside.py", "OTHER = 1", "OTHER = 2"),
        ("app.py", "return 1", "return 2"),
        ("parts/__init__.py", "NAME = 'parts'", "NAME = 'more'"),
    ],
)
def test_what_no_score_depends_on_is_not(project, file, old, new):
    before = digest(project)
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))
    assert digest(project) == before


def test_names_of_files_are_not_in_the_digest(project):
    before = digest(project)
    (project / "late.py").rename(project / "later.py")
    text = (project / "rating.py").read_text().replace("from late", "from later")
    (project / "rating.py").unlink()
    (project / "rates.py").write_text(text)
    assert digest(project, "rates.py") == before


def test_a_file_that_cannot_be_parsed_is_its_bytes(project):
    (project / "rating.py").write_text("class Rating(:\n")
    broken = digest(project)
    (project / "rating.py").write_text("class Rating(:\n#\n")
    assert digest(project) != broken


def test_the_digest_does_not_depend_on_the_version_of_python(tmp_path):
    """Python 3.12 parses the end of a format otherwise."""
    (tmp_path / "shown.py").write_text("def show(name, width):\n    return f'{name:<{width}} {name!r:>9}'\n")
    assert read_code([Place(tmp_path / "shown.py", "show")]).digest == "e8b9c9615303"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("import pytest_llmops\n@pytest_llmops.metric('m')\ndef m(output): return 1.0\n", False),
        (
            "from pytest_llmops import Score, metric\n@metric('m')\ndef m(output): return Score(value=1)\n",
            False,
        ),
        ("import pytest_llmops\ndef m(output): return pytest_llmops.score(output)\n", True),
        ("from pytest_llmops.metrics.facts import facts\ndef m(output): return facts(output)\n", True),
    ],
)
def test_a_release_of_the_plugin_changes_only_what_it_scores(tmp_path, line, named):
    (tmp_path / "own.py").write_text(line)
    libraries = read_code([Place(tmp_path / "own.py", "m")]).libraries
    assert any("==" in library for library in libraries) is named


def test_code_is_the_same_but_for_comments_and_layout():
    assert same_code(b"a = 1  # one\n", b'"""A."""\na = (1)\n')
    assert not same_code(b"a = 1\n", b"a = True\n")
    assert not same_code(b"a = 1\n", b"a = \n")


def test_a_score_is_signed_once_however_often(tmp_path, monkeypatch):
    """A run scores within a time limit, and both see to it that a score says how it was made."""
    (tmp_path / "own_short.py").write_text(METRIC)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_short", raising=False)
    from own_short import Short

    once = sign_source(Short(), Score(metric="short", value=1.0, signature="short|v1"))

    assert once.signature.startswith("short|v1|code:")
    assert sign_source(Short(), once) == once
