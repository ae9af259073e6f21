"""The whole of the data: built with one seed, written as JSONL in OpenAI's fine-tuning formats."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import yaml

from reference_app.documents.knowledge import load_knowledge
from reference_app.training.answers import answer_documents, answer_facts, answer_nothing, pair_answers
from reference_app.training.entities import Entities
from reference_app.training.example import APP, Example, read_prompt
from reference_app.training.plans import make_plans, write_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SEED = 20261130
VALIDATION_SHARE = 0.06
PHRASINGS = APP / "training" / "phrasings"
DATA = APP / "training" / "data"
FILES = ("sft-train", "sft-validation", "sft-test", "dpo-train", "dpo-test")
GENERAL_SYSTEM = "Answer the question in one sentence."


def build_corpus() -> dict[str, list[Example]]:
    """All examples by part: `train validation test pairs-train pairs-test`; the same at every call."""
    phrasings = load_phrasings()
    train, test = (_unique(make_examples(split, phrasings)) for split in ("train", "test"))
    held = [one for one in train if _place(one.phrasing) < VALIDATION_SHARE]
    return {
        "train": [one for one in train if one not in held],
        "validation": held,
        "test": test,
        "pairs-train": list(_make_pairs("train", phrasings)),
        "pairs-test": list(_make_pairs("test", phrasings)),
    }


def load_phrasings() -> dict[str, Any]:
    """The YAML files of phrasings by their names."""
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in PHRASINGS.glob("*.yaml")}


def make_examples(split: str, phrasings: Mapping[str, Any], seed: int = SEED) -> Iterator[Example]:
    """The examples of a split, `train` or `test`; another seed draws other values."""
    random = Random(f"{seed} {split}")  # noqa: S311 - a fixed seed is wanted
    entities = _entities(split, phrasings, random)
    sections = _sections(split, phrasings)
    rows, forms = phrasings["answers"][split], phrasings["facts"]["forms"]
    system = read_prompt("adapter-planner")
    questions = [row[1] for row in rows]
    for phrasing, question, calls in make_plans(split, phrasings, questions, entities, random):
        kind, plan = "+".join(name for name, _ in calls), write_plan(calls)
        yield Example("plan", kind, phrasing, system, question, plan)
    yield from answer_documents(rows, sections, random)
    yield from answer_nothing(split, rows, sections, random)
    yield from answer_facts(split, forms, entities, random)
    for passage, question, answer in phrasings["general"][split]:
        keys = (answer,) if isinstance(answer, str) else tuple(answer)
        asked = f"Passage: {passage}\nQuestion: {question}"
        yield Example("general", "general", question, GENERAL_SYSTEM, asked, keys[0], keys=keys)


def write_corpus(corpus: Mapping[str, Sequence[Example]], folder: Path = DATA) -> None:
    """Write the files of `FILES`, as JSONL."""
    lines: dict[str, Iterable[Mapping[str, Any]]] = {
        **{
            f"sft-{part}": [{"messages": one.messages()} for one in corpus[part]]
            for part in ("train", "validation", "test")
        },
        **{f"dpo-{split}": map(_as_preference, corpus[f"pairs-{split}"]) for split in ("train", "test")},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines[name])
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def read_lines(path: Path) -> list[Any]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def digest_data(folder: Path = DATA) -> str:
    """SHA-256 over the files of the data, in their order."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((folder / f"{name}.jsonl").read_bytes())
    return digest.hexdigest()


def _make_pairs(split: str, phrasings: Mapping[str, Any]) -> Iterator[Example]:
    random = Random(f"{SEED} pairs {split}")  # noqa: S311 - a fixed seed is wanted
    entities = _entities(split, phrasings, random)
    yield from pair_answers(split, phrasings, _sections(split, phrasings), entities, random)


def _as_preference(one: Example) -> dict[str, Any]:
    """A line of OpenAI's preference format."""
    return {
        "input": {"messages": one.messages(answered=False)},
        "preferred_output": [{"role": "assistant", "content": one.assistant}],
        "non_preferred_output": [{"role": "assistant", "content": one.rejected}],
    }


def _sections(split: str, phrasings: Mapping[str, Any]) -> dict[str, Any]:
    """All sections by their ids; for training without those that the test asks about."""
    kept = {row[0] for row in phrasings["answers"]["test"]} if split == "train" else set()
    return {one.id: one for one in load_knowledge(APP / "knowledge") if one.id not in kept}


def _entities(split: str, phrasings: Mapping[str, Any], random: Random) -> Entities:
    facts = phrasings["facts"]
    pools = {
        **phrasings["plans"]["entities"][split],
        **{place: facts[f"{place}s"][split] for place in ("day", "colour")},
        "things": facts["things"][split],
        "category": facts["categories"][split],
    }
    return Entities(random, pools, test=split == "test")


def _unique(examples: Iterable[Example]) -> list[Example]:
    return list({(one.system, one.user): one for one in examples}.values())


def _place(phrasing: str) -> float:
    """From 0 to 1, the same for all examples of a phrasing, so that none is trained on and validated with."""
    return int(hashlib.sha256(phrasing.encode()).hexdigest()[:8], 16) / 16**8
