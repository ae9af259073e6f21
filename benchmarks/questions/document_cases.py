"""
Writes the golden file of an app that answers from the documents alone: those cases of `golden/support.yaml`.

Inputs, references, relevant sections and checks are the same; only what stands above them differs. Usage:

    python -m benchmarks.questions.document_cases
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.questions.golden import _dump, _indent

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "golden" / "support.yaml"
LIGHTRAG = ROOT / "reference_app" / "variants" / "lightrag" / "golden.yaml"
WAITING = {"returns-sale-fleece": "keywords"}  # it also quotes the rule for items at full price
_HEAD = """\
# The cases of golden/support.yaml that documents answer: `make variant NAME=lightrag` runs them.
# Written by `python -m benchmarks.questions.document_cases`; edit golden/support.yaml instead.
version: 1
app: reference_app.variants.lightrag:answer
prompts: [reference_app/prompts]
data:
  - reference_app/knowledge              # documents
  - reference_app/data/catalogue.yaml    # products and their categories
  - reference_app/variants/lightrag      # how they become a graph
require_spans: true

checks:
  pii_leak: none

suite:
  recall@3: {mean: ">= 0.97"}
  recall@5: {mean: ">= 0.98"}
  keywords: {mean: ">= 0.95"}
  faithfulness: {max_drop: 0.1}   # no bound: nobody labelled answers of this app
  pii_leak: {sum: "<= 0"}

cases:
"""


def main() -> None:
    LIGHTRAG.write_text(render(list_cases()), encoding="utf-8")
    print(f"{LIGHTRAG}: {len(list_cases())} cases")


def list_cases() -> list[dict[str, Any]]:
    """The cases of the support set whose answer stands in documents."""
    import yaml

    cases = yaml.safe_load(SUPPORT.read_text(encoding="utf-8"))["cases"]
    chosen = [case for case in cases if "relevant" in case]
    for case in chosen:
        if name := WAITING.get(case["id"]):
            case["checks"][name]["record_only"] = True
    return chosen


def render(cases: list[dict[str, Any]]) -> str:
    """The text of the golden file."""
    return _HEAD + "\n".join(_indent(_dump(case), 2, first="  - ") for case in cases)


if __name__ == "__main__":
    main()
