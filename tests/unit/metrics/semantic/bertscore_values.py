"""
Writes the values in bertscore_values.json anew, as the package bert-score gives them.

Needs bert-score 0.3.13, torch, and transformers before 5, which bert-score's empty texts need:
python bertscore_values.py bertscore_values.json FOLDER_OF_MINILM. A batch holds one pair, since in larger
ones bert-score takes padding for a piece of cosine 0.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

from bert_score import BERTScorer  # type: ignore[import-not-found]


def main(path: str, folder: str) -> None:
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    outputs = [pair["output"] for pair in data["pairs"]]
    references = [pair["reference"] for pair in data["pairs"]]
    data["values"] = []
    for layer in (2, 4, 6):
        for idf in (False, True):
            corpus = data["corpus"] if idf else None
            scorer = BERTScorer(folder, num_layers=layer, idf=idf, idf_sents=corpus, device="cpu")
            parts = scorer.score(outputs, references, batch_size=1)
            scores = [[round(float(part), 7) for part in each] for each in zip(*parts, strict=True)]
            data["values"].append({"layer": layer, "idf": idf, "scores": scores})
    data["made_by"] = {name: version(name) for name in ("bert-score", "torch", "transformers")}
    Path(path).write_text(_written(data), encoding="utf-8")


def _written(data: dict[str, object]) -> str:
    """JSON with a line for each pair and each value."""
    text = json.dumps(data, ensure_ascii=False)
    for mark in ('{"output"', '"pairs": ', '"values": ', '{"layer"', '"made_by"', "[0.", "[1."):
        text = text.replace(mark, f"\n{mark}")
    return text.replace(", \n", ",\n") + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
