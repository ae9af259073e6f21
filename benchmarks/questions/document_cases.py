"""
Writes the golden files of apps that answer from the documents alone: those cases of `golden/support.yaml`.

Inputs, references, relevant sections and checks are the same; only what stands above them differs, and which
checks an app does not pass yet: they are `record_only`. Usage:

    python -m benchmarks.questions.document_cases
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.questions.golden import _dump, _indent

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "golden" / "support.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """
    Attributes:
        made: What its own files are, beside the documents and the products.
        bounds: Of the suite, by metric.
        waiting: By case, the checks that it does not pass yet.
    """

    name: str
    made: str
    bounds: Mapping[str, str]
    waiting: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return ROOT / "reference_app" / "variants" / self.name / "golden.yaml"


LIGHTRAG = Variant(
    name="lightrag",
    made="how they become a graph",
    bounds={
        "recall@3": 'mean: ">= 0.97"',
        "recall@5": 'mean: ">= 0.98"',
        "keywords": 'mean: ">= 0.95"',
        "faithfulness": "max_drop: 0.1",  # no bound: nobody labelled answers of this app
    },
    waiting={"returns-sale-fleece": ["keywords"]},  # it also quotes the rule for items at full price
)
AUTORAG = Variant(
    name="autorag",
    made="what AutoRAG tries",
    bounds={"recall@3": 'mean: ">= 0.93"', "keywords": 'mean: ">= 0.88"'},
    waiting={  # the section that answers is not the first that the pipeline finds
        "returns-window": ["keywords", "rouge_l"],
        "returns-cost": ["keywords", "recall@3"],
        "returns-washed-trousers": ["keywords"],
        "shipping-free": ["keywords"],
        "care-down-temperature": ["keywords"],
        "multi-delivery": ["keywords"],
        "multi-points": ["keywords"],
        "pii-name": ["keywords"],
    },
)
_HEAD = """\
# The cases of golden/support.yaml that documents answer: `make variant NAME={name}` runs them.
# Written by `python -m benchmarks.questions.document_cases`; edit golden/support.yaml instead.
version: 1
app: reference_app.variants.{name}:answer
prompts: [reference_app/prompts]
data:
  - reference_app/knowledge              # documents
  - reference_app/data/catalogue.yaml    # products and their categories
  - reference_app/variants/documents.py  # from a question to an answer
  - reference_app/variants/names.py      # how they are named
  - {folder:<36} # {made}
require_spans: true

checks:
  pii_leak: none

suite:
{bounds}
  pii_leak: {{sum: "<= 0"}}

cases:
"""


def main() -> None:
    for variant in (LIGHTRAG, AUTORAG):
        cases = list_cases(variant)
        variant.path.write_text(render(variant, cases), encoding="utf-8")
        print(f"{variant.path}: {len(cases)} cases")


def list_cases(variant: Variant) -> list[dict[str, Any]]:
    """The cases of the support set whose answer stands in documents."""
    import yaml

    cases = yaml.safe_load(SUPPORT.read_text(encoding="utf-8"))["cases"]
    chosen = [case for case in cases if "relevant" in case]
    for case in chosen:
        for name in variant.waiting.get(case["id"], ()):
            check = case["checks"][name]
            known = check if isinstance(check, dict) else {"min": float(check.removeprefix(">="))}
            case["checks"][name] = {**known, "record_only": True}
    return chosen


def render(variant: Variant, cases: list[dict[str, Any]]) -> str:
    """The text of the golden file."""
    head = _HEAD.format(
        name=variant.name,
        folder=f"reference_app/variants/{variant.name}",
        made=variant.made,
        bounds="\n".join(f"  {name}: {{{bound}}}" for name, bound in variant.bounds.items()),
    )
    return head + "\n".join(_indent(_dump(case), 2, first="  - ") for case in cases)


if __name__ == "__main__":
    main()
