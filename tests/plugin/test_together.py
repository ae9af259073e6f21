"""Verdicts on cases together: each is reported, decides the exit code, and is one at both doors."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.command import main
from tests.plugin.varying import Varying, outcomes_of

GOLDEN = """
version: 1
app: capitals:answer
suite: {rouge_l: {mean: ">= 0", record_only: true}}
cases:
"""
CASE = "  - {{id: c{at}, input: question {at}, reference: good, checks: {{keywords: {{all: [good]}}}}}}\n"


@pytest.fixture
def varying(project):
    project.app(APP)
    project.golden(GOLDEN + "".join(CASE.format(at=at) for at in range(30)))
    found = Varying(project, 30)
    found.ask("--llm-repeats", "10", "--llm-accept")
    return found


APP = """
    import os
    from pathlib import Path

    def answer(question):
        number = int(question.split()[1])
        log = Path("asked") / str(number)
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as asked:
            asked.write(b".")
            nth = asked.tell() - 1
        if Path(f"broken-{number}").exists():
            return f"bad {nth}"
        return "bad" if (number + nth) % 10 == 3 else "good"
"""


@pytest.fixture
def both_doors(varying, capsys, monkeypatch):
    """The counts and the exit codes of pytest and of `llmops run`."""

    def ask(repeats: int):
        result = varying.ask("--llm-repeats", str(repeats))
        varying.start_over()
        monkeypatch.chdir(varying.path)
        capsys.readouterr()
        code = main(["run", "--concurrency", "1", "--repeats", str(repeats)])
        lines = capsys.readouterr().out.splitlines()
        (line,) = [line for line in lines if " undecided, " in line]
        by_name = (reversed(part.split()) for part in line.split(", "))
        counts = [outcomes_of(result), Counter({name: int(number) for name, number in by_name})]
        return result, counts, [result.ret, code]

    return ask


def test_cases_that_broke_together_are_red_at_both_doors(varying, both_doors):
    varying.break_case(*range(8))

    _, counts, codes = both_doors(4)

    assert counts[0] == counts[1]
    assert codes == [1, 1]


@pytest.mark.parametrize("repeats", [1, 8])
def test_cases_with_fixed_repeats_are_judged_alike_at_both_doors(varying, both_doors, repeats):
    varying.break_case(3)

    _, counts, codes = both_doors(repeats)

    assert counts[0] == counts[1]
    assert codes[0] == codes[1]


def test_a_golden_file_that_is_gone_is_no_silence(varying):
    golden = varying.path / "golden"
    renamed = golden.joinpath("capitals.yaml").rename(golden / "renamed.yaml")
    questions = renamed.read_text()

    result = varying.ask("--llm-repeats", "1")

    result.stdout.fnmatch_lines(["30 cases renamed since the baseline, and compared as before: *"])
    renamed.write_text(questions.replace("question ", "Question "))
    result = varying.ask("--llm-repeats", "1")
    result.stdout.fnmatch_lines(["undecided: in the baseline, and in no golden file any more: *"])
    assert outcomes_of(result)["undecided"] >= 30
