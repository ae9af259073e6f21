"""
Does the corrected mean of a judge cover that of people? On the stored verdicts of real judges (LLMBar).

The mean is how often the longer of two answers is the better one: judges say so too often. Labels and a suite
are drawn from all pairs, each with replacement; the truth is people's mean over all pairs.
Prints a line for each judge: both means, and the share of draws whose interval has people's mean in it.
Usage: python benchmarks/judge_means.py [DRAWS]
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from pytest_llmops.statistics.prediction_powered import correct_mean

FOLDER = Path(os.environ.get("LLMOPS_LABELS", Path(__file__).parents[2] / "shared/data/quality"))
LABELLED = (20, 40)
SUITE = 60
FEWEST = 120  # pairs of a judge


def read_pairs() -> dict[str, list[tuple[float, float]]]:
    """By judge, for each pair: whether the longer answer is better, by people and by the judge."""
    pairs = defaultdict(list)
    for line in (FOLDER / "llmbar.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        longer = 1 if len(row["outputs"][0]) > len(row["outputs"][1]) else 2
        for judge, verdicts in row["judges"].items():
            if verdicts and None not in verdicts:
                judged = float(np.mean([verdict == longer for verdict in verdicts]))
                pairs[judge].append((float(row["label"] == longer), judged))
    return {judge: of_judge for judge, of_judge in sorted(pairs.items()) if len(of_judge) >= FEWEST}


def main(draws: int) -> None:
    rng = np.random.default_rng(24)
    for judge, pairs in read_pairs().items():
        people, judged = np.array(pairs).T
        shares = []
        for labelled in LABELLED:
            covered = raw = 0
            for _ in range(draws):
                known, suite = rng.choice(len(people), labelled), rng.choice(len(people), SUITE)
                mean = correct_mean(people[known], judged[known], judged[suite], reach=(0.0, 1.0))
                covered += mean.low <= people.mean() <= mean.high
                reach = 1.96 * judged[suite].std(ddof=1) / SUITE**0.5
                raw += abs(judged[suite].mean() - people.mean()) <= reach
            shares.append(f"{labelled} labels {covered / draws:.3f} (uncorrected {raw / draws:.3f})")
        means = f"people {people.mean():.2f}, judge {judged.mean():.2f}"
        print(f"{judge:26} {len(people)} pairs, {means}: {', '.join(shares)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
