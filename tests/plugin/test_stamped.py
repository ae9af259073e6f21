"""Stamps of an app that a fixture gives, and of one whose session has other tests, too."""

from __future__ import annotations

import json

import pytest

SHOP = """
    from functools import partial

    def make(tone):
        return partial(reply, tone)

    def reply(tone, question):
        return f"{tone}: Paris, Madrid"
"""
CONFTEST = """
    import pytest
    from shop import make

    @pytest.fixture(scope="session")
    def llm_app():
        return make("kind")
"""
GOLDEN = """
    version: 1
    cases:
      - {id: france, input: capital of France?, checks: {keywords: {all: [Paris]}}}
"""


@pytest.fixture
def given(project):
    (project.path / "capitals.py").unlink()
    project.golden(GOLDEN)
    project.write("shop.py", SHOP)
    project.write("conftest.py", CONFTEST)
    return project


def signature(project, *arguments: str) -> dict[str, str]:
    result = project.run(*arguments, "--llm-out", "run.json")
    assert result.ret == 0
    signed: dict[str, str] = json.loads((project.path / "run.json").read_text())["signature"]
    return signed


def test_a_fixture_and_what_it_calls_are_stamped(given):
    first = signature(given)
    assert {name for name in first if name.startswith("code:")} == {"code:conftest.py", "code:shop.py"}
    given.write("conftest.py", CONFTEST.replace('"kind"', '"cold"'))
    second = signature(given)
    assert [name for name in first if first[name] != second.get(name)] == ["code:conftest.py"]


def test_other_tests_of_the_session_are_not_stamped(project):
    alone = signature(project)
    project.write("test_helped.py", "import helper\n\ndef test_it():\n    open('helper.txt').read()\n")
    project.write("helper.py", "TEXT = 'SHOP_TONE'\n")
    project.write("helper.txt", "help")
    project.environment.setenv("SHOP_TONE", "kind")
    both = signature(project, "-o", "addopts=--llm-golden", "golden", "test_helped.py")
    assert {name: value for name, value in both.items() if name != "partial"} == alone
