"""
The mutation scores of three golden sets made from public sets, with people's answers as the app's.

The sets are read from a folder that is no part of this repository (see agreement/labels.py). A case is what
a newcomer would write: the question, a person's answer, and checks that need no labels.
Usage: python benchmarks/foreign_sets.py [--cases 60] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import yaml

from benchmarks.agreement.labels import read
from pytest_llmops import load_golden, run_golden
from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.golden.identity import cases_by_id

APP = """
import json
from pathlib import Path

ROWS = json.loads(Path(__file__).with_name("rows.json").read_text(encoding="utf-8"))


def answer(question):
    return ROWS[question]
"""
CHECKS = {"supported": True, "facts": True, "semantic": ">= 0.6"}


def clapnq() -> Iterator[tuple[str, str, list[str], dict[str, Any]]]:
    """Questions of Natural Questions with annotators' answers from one Wikipedia passage."""
    for row in read("clapnq"):
        if row["label"] == "answerable":
            yield row["input"], row["reference"], [" ".join(row["contexts"])], CHECKS


def mtrag() -> Iterator[tuple[str, str, list[str], dict[str, Any]]]:
    """Last turns of conversations on four sets of documents, with people's answers."""
    for row in read("mtrag"):
        if row["system"] == "reference" and row["answerability"] == "ANSWERABLE":
            yield row["input"], row["output"], row["contexts"], CHECKS


def xquad() -> Iterator[tuple[str, str, list[str], dict[str, Any]]]:
    """Questions of SQuAD whose answers are a few words of a passage."""
    passages = {row["id"]: row["text"] for row in read("xquad_passages")}
    for row in read("xquad_questions"):
        contexts = [passages[passage] for passage in row["relevant"]]
        checks = {"facts": True, "keywords": {"all": [row["reference"]]}}
        yield row["input"], row["reference"], contexts, checks


SETS = {"clapnq": clapnq, "mtrag": mtrag, "xquad": xquad}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=60, help="cases of each set (default: 60)")
    parser.add_argument("--keep", type=Path, help="write the golden sets here and leave them")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name in SETS:
            folder = (args.keep or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            write_set(folder, name, args.cases)
            print(f"\n## {name}\n", flush=True)
            mutate(folder)


def write_set(folder: Path, name: str, number: int) -> None:
    """Write a golden set and the app that gives its answers."""
    cases: dict[str, dict[str, Any]] = {}
    rows = {}
    for question, reference, contexts, checks in SETS[name]():
        if question in rows or len(cases) == number:
            continue
        rows[question] = {
            "text": reference,
            "passages": [{"id": str(at), "text": text} for at, text in enumerate(contexts)],
        }
        case = f"{name}-{len(cases)}"
        cases[case] = {"id": case, "input": question, "reference": reference, "checks": checks}
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "people.py").write_text(APP, encoding="utf-8")
    golden = {"version": 1, "app": "people:answer", "cases": list(cases.values())}
    (folder / "golden.yaml").write_text(yaml.safe_dump(golden, allow_unicode=True), encoding="utf-8")


def mutate(folder: Path) -> None:
    """Print the table of a set, without the cases whose right answer its checks reject."""
    path = folder / "golden.yaml"
    golden = load_golden(path)
    sys.path.insert(0, str(folder))
    results = run_golden(golden).results
    sys.path.remove(str(folder))
    del sys.modules["people"]
    by_id = cases_by_id(golden)
    red = {
        by_id[result.case].id
        for result in results
        if any(verdict.outcome != "passed" for verdict in judge_case(by_id[result.case], result))
    }
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["cases"] = [case for case in content["cases"] if case["id"] not in red]
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    kept = len(content["cases"])
    print(f"{len(red)} right answers were red and left out; {kept} cases remain\n", flush=True)
    command = [Path(sys.executable).with_name("llmops"), "mutate", path.name, "--kinds", "output,retrieval"]
    subprocess.run([*command, "--format", "markdown"], cwd=folder, check=False)  # noqa: S603 - our own command


if __name__ == "__main__":
    main()
