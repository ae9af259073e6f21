"""
What unrelated sentences score with bertscore, layer by layer: the mean over random pairs of different texts,
as the package bert-score makes its baselines.

Usage: python benchmarks/bertscore_baseline.py FILE [PAIRS]; the file has a sentence a line.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from pytest_llmops.metrics.semantic.bertscore import match_texts
from pytest_llmops.models.minilm import LAYERS


def main(path: str, count: str = "10000") -> None:
    texts = sorted({line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()} - {""})
    draw = random.Random(0)  # noqa: S311 - pairs, not secrets
    pairs = [tuple(draw.sample(texts, 2)) for _ in range(int(count))]
    print(f"{len(texts)} sentences, {len(pairs)} pairs")
    for layer in range(1, LAYERS + 1):
        matches = match_texts([(first, second) for first, second in pairs], layer)
        means = [
            sum(getattr(match, part) for match in matches) / len(matches)
            for part in ("precision", "recall", "f")
        ]
        print(f"{layer}: ({', '.join(f'{mean:.4f}' for mean in means)}),", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
