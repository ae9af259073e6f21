"""
How often LightRAG finds the passage that a question was written on, in one run with the app's own search.

The first 60 passages of XQuAD (English) and all questions that were written on them; every row searches the
same texts with the same encoder, but for BM25, which uses words alone. Three minutes on two cores.
Usage, in the environment of the variant: .venv-lightrag/bin/python benchmarks/lightrag.py [FOLDER]
"""

from __future__ import annotations

import json
import math
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.pop(0)  # in this folder LightRAG's name is this file's
sys.path.insert(0, str(Path(__file__).parents[1]))

from reference_app.documents.encoders import open_encoders
from reference_app.documents.knowledge import Asked, Section
from reference_app.documents.lexicon import stems
from reference_app.documents.search import Library, Query
from reference_app.models.client import open_models
from reference_app.models.weights import find_weights
from reference_app.settings import read_settings
from reference_app.variants.lightrag.graph import build_graph
from reference_app.variants.lightrag.index import Index, LightRAGError
from reference_app.variants.names import Names

QUALITY = Path("/work/shared/data/quality")
PASSAGES, KS = 60, (1, 3, 5)
MODES = ("naive", "mix", "local", "global")
NAME = re.compile(r"\b[A-Z]\w+(?: [A-Z]\w+)+")

Search = Callable[[str, int], Sequence[str]]


def main() -> None:
    folder = Path(sys.argv[1]) if sys.argv[1:] else QUALITY
    if not (folder / "xquad_passages.jsonl").is_file():
        print(f"{folder} has no xquad_passages.jsonl")
        return
    sections, asked, names = load(folder)
    settings = read_settings({})
    weights = find_weights(settings.weights)
    encoders = open_encoders(settings, weights, open_models(settings, weights))
    graph = build_graph(sections, names)
    try:
        with tempfile.TemporaryDirectory() as cache:
            started = time.perf_counter()
            index = Index(graph, encoders, Path(cache))
            built = time.perf_counter() - started
            known = Names(names, sections)
            print(f"{len(sections)} passages, {len(asked)} questions; index built in {built:.0f} s")
            for mode in MODES:

                def search(question: str, count: int, mode: str = mode) -> list[str]:
                    found = index.search(question, [question, *known.find(question)], mode, count)
                    return [chunk["file_path"] for chunk in found["chunks"]]

                report(f"LightRAG {mode}", search, asked)
    except LightRAGError as error:
        print(error)
        return
    library = Library(
        sections, Asked(answered={}, unanswered=()), encoders.of_passages, encoders.of_questions
    )

    def search_app(question: str, count: int) -> list[str]:
        query = Query(text=question, vector=encoders.ask([question])[0].tolist())
        return [one.section.id for one in library.search(query, count)]

    report("reference app", search_app, asked)
    report("BM25", bm25({one.id: one.text for one in sections}), asked)


def load(folder: Path) -> tuple[list[Section], list[tuple[str, str]], dict[str, str]]:
    """Passages as sections, questions with the passage that each was written on, names with their article."""
    rows = _read(folder / "xquad_passages.jsonl")[:PASSAGES]
    sections = [
        Section(
            id=row["id"],
            title=f"Article {row['group']}",
            heading=f"Paragraph {row['id'].partition('-')[2]}",
            text=row["text"],
            status="current",
            updated="2026-01-01",
        )
        for row in rows
    ]
    places = {one.id: one.title for one in sections}
    asked = [
        (row["input"], row["relevant"][0])
        for row in _read(folder / "xquad_questions.jsonl")
        if row["relevant"][0] in places
    ]
    names = {name: places[one.id] for one in sections for name in NAME.findall(one.text)}
    return sections, asked, names


def report(name: str, search: Search, asked: Sequence[tuple[str, str]]) -> None:
    started = time.perf_counter()
    found = [(list(search(question, max(KS))), relevant) for question, relevant in asked]
    each = (time.perf_counter() - started) / len(asked)
    recalls = "  ".join(f"@{k} {sum(right in ids[:k] for ids, right in found) / len(asked):.3f}" for k in KS)
    print(f"{name:16} recall {recalls}  {1000 * each:4.0f} ms a question", flush=True)


def bm25(texts: dict[str, str], k1: float = 1.2, b: float = 0.75) -> Search:
    """Robertson's formula over stems."""
    counts = {
        name: Counter(stem for word in text.split() for stem in stems(word)) for name, text in texts.items()
    }
    held = Counter(stem for each in counts.values() for stem in each)
    mean = sum(sum(each.values()) for each in counts.values()) / len(counts)

    def score(name: str, words: Sequence[str]) -> float:
        each = counts[name]
        length = k1 * (1 - b + b * sum(each.values()) / mean)
        rare = {word: math.log(1 + (len(counts) - held[word] + 0.5) / (held[word] + 0.5)) for word in words}
        return sum(rare[word] * each[word] * (k1 + 1) / (each[word] + length) for word in words)

    def search(question: str, count: int) -> list[str]:
        words = sorted(stems(question))
        return sorted(texts, key=lambda name: -score(name, words))[:count]

    return search


def _read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
