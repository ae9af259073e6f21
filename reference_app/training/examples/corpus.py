"""The whole of the data: built with one seed, written as JSONL in OpenAI's fine-tuning formats."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from reference_app.documents.knowledge import load_knowledge
from reference_app.models.prompt import load_prompt
from reference_app.training.examples.answers import (
    make_document_answers,
    make_fact_answers,
    make_general,
    make_unknown_answers,
)
from reference_app.training.examples.entities import Entities
from reference_app.training.examples.pairs import make_pairs
from reference_app.training.examples.plans import make_plans
from reference_app.training.examples.records import Corpus, Example, Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SEED = 20260305
VALIDATION_SHARE = 0.08
APP = Path(__file__).parents[2]
PHRASINGS = APP / "training" / "phrasings"
DATA = APP / "training" / "data"
FILES = (
    "sft-train.jsonl",
    "sft-validation.jsonl",
    "sft-test.jsonl",
    "general-test.jsonl",
    "dpo-train.jsonl",
    "dpo-test.jsonl",
    "expected-test.jsonl",
)


def build_corpus() -> Corpus:
    """All examples, the same at every call."""
    phrasings = _load_phrasings()
    splits = {split: list(_make_examples(split, phrasings)) for split in ("train", "test")}
    kept, held = _hold_out(_unique(splits["train"]))
    pairs = {split: tuple(_make_pairs(split, phrasings)) for split in ("train", "test")}
    return Corpus(
        train=tuple(kept),
        validation=tuple(held),
        test=tuple(_unique(splits["test"])),
        general=tuple(make_general(phrasings["general"]["test"])),
        pairs_train=pairs["train"],
        pairs_test=pairs["test"],
    )


def draw_test(seed: int, names: Mapping[str, Sequence[str]]) -> tuple[Example, ...]:
    """
    The test split drawn anew: the same phrasings and sections, other values and other spelling.

    Args:
        seed: Another one than `SEED`.
        names: Pools that replace those of the test split, such as `product` and `city`.
    """
    phrasings = _load_phrasings()
    pools = phrasings["plans"]["entities"]
    pools["test"] = {**pools["test"], **names}
    return tuple(_unique(_make_examples("test", phrasings, seed)))


def write_corpus(corpus: Corpus, folder: Path) -> None:
    """
    The files of `FILES`; what is expected stands in one of its own, as OpenAI's format has no place for it.

    Line N of `expected-test.jsonl` belongs to line N of `sft-test.jsonl` followed by `general-test.jsonl`.
    """
    expected = (
        {"task": one.task, "kind": one.kind, "ids": one.ids, "keys": one.keys}
        for one in (*corpus.test, *corpus.general)
    )
    contents: dict[str, Iterable[Mapping[str, Any]]] = {
        "sft-train.jsonl": ({"messages": one.messages()} for one in corpus.train),
        "sft-validation.jsonl": ({"messages": one.messages()} for one in corpus.validation),
        "sft-test.jsonl": ({"messages": one.messages()} for one in corpus.test),
        "general-test.jsonl": ({"messages": one.messages()} for one in corpus.general),
        "dpo-train.jsonl": (pair.as_preference() for pair in corpus.pairs_train),
        "dpo-test.jsonl": (pair.as_preference() for pair in corpus.pairs_test),
        "expected-test.jsonl": expected,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in contents.items():
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / name).write_text(text, encoding="utf-8")


def read_lines(path: Path) -> list[Any]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def digest_data(folder: Path) -> str:
    """SHA-256 over the files of the data, in their order."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def describe(corpus: Corpus) -> dict[str, dict[str, int]]:
    """How many examples of each task a part holds."""
    counts: dict[str, dict[str, int]] = {}
    for part, examples in asdict(corpus).items():
        for example in examples:
            task = example.get("task", "pairs")
            counts.setdefault(part, {}).setdefault(task, 0)
            counts[part][task] += 1
    return counts


def _load_phrasings() -> dict[str, Any]:
    import yaml

    names = ("plans", "routes", "answers", "facts", "general", "pairs")
    return {name: yaml.safe_load((PHRASINGS / f"{name}.yaml").read_text(encoding="utf-8")) for name in names}


def _entities(split: str, phrasings: Mapping[str, Any], random: Random) -> Entities:
    facts = phrasings["facts"]
    pools = {
        **phrasings["plans"]["entities"][split],
        "things": facts["things"][split],
        "day": facts["days"][split],
    }
    return Entities(random, pools, test=split == "test")


def _make_examples(split: str, phrasings: Mapping[str, Any], seed: int = SEED) -> Iterator[Example]:
    random = Random(f"{seed} {split}")  # noqa: S311 - a fixed seed is wanted
    entities = _entities(split, phrasings, random)
    planner, answerer = (load_prompt(APP / "prompts", f"adapter-{name}") for name in ("planner", "answerer"))
    sections = {section.id: section for section in load_knowledge(APP / "knowledge")}
    rows = phrasings["answers"][split]
    routes = {
        **phrasings["routes"],
        "documents": {split: [*phrasings["routes"]["documents"][split], *(row[1] for row in rows)]},
    }
    yield from make_plans(split, {**phrasings["plans"], "routes": routes}, entities, random, planner)
    yield from make_document_answers(rows, sections, random, answerer)
    yield from make_unknown_answers(split, rows, sections, random, answerer)
    yield from make_fact_answers(split, phrasings["facts"]["forms"], entities, random, answerer)
    if split == "train":
        yield from make_general(phrasings["general"]["train"])


def _make_pairs(split: str, phrasings: Mapping[str, Any]) -> Iterator[Pair]:
    random = Random(f"{SEED} pairs {split}")  # noqa: S311 - a fixed seed is wanted
    sections = {section.id: section for section in load_knowledge(APP / "knowledge")}
    answerer = load_prompt(APP / "prompts", "adapter-answerer")
    yield from make_pairs(
        split,
        phrasings,
        sections=sections,
        entities=_entities(split, phrasings, random),
        random=random,
        prompt=answerer,
    )


def _unique(examples: Iterable[Example]) -> list[Example]:
    return list({(one.system, one.user): one for one in examples}.values())


def _hold_out(examples: Iterable[Example]) -> tuple[list[Example], list[Example]]:
    """All examples of a phrasing go one way, so that the validation part holds phrasings not trained on."""
    parts: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        share = int(hashlib.sha256(example.phrasing.encode()).hexdigest()[:8], 16) / 16**8
        parts[share < VALIDATION_SHARE].append(example)
    return parts
