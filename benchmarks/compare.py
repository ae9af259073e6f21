"""
`llmops compare` of two run files of 8 checks and 10 repeats, in CPU-seconds and megabytes.

The peer is `json.loads` of the same two files, which makes neither records nor verdicts. Limits: 2
CPU-seconds for 1,000 cases, of which 1 in `compare()`; 8 CPU-seconds and 300 MB for 10,000.
Usage: python benchmarks/compare.py [CASES …]
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from pytest_llmops.records import CaseResult, Check, Output, Run, Score, SuiteCheck, Usage
from pytest_llmops.reports.files.run_file import write_run

BINARY = ("exact_match", "keywords", "pii_leak", "recall@5")
SMOOTH = ("faithfulness", "rouge_l", "semantic")
METRICS = (*BINARY, *SMOOTH, "judge")
REPEATS = 10

NOTHING = "pass"
PEER = "import json; [json.loads(open(each, encoding='utf-8').read()) for each in files]"
READ = """
from pytest_llmops.reports.files.baseline_file import load_base
from pytest_llmops.reports.files.run_file import load_run
base, run = load_base(files[0]), load_run(files[1])
"""
COMPARE = f"{READ}\nfrom pytest_llmops import compare\ncompare(base, run)"
WHOLE = """
import contextlib, os
from pytest_llmops.cli import main
with contextlib.redirect_stdout(open(os.devnull, "w")):
    main(["compare", *files])
"""


def score(metric: str, repeat: int, ease: float, drawn: random.Random) -> Score:
    if metric in BINARY:
        value = float(drawn.random() < 0.6 + 0.4 * ease)
    elif metric in SMOOTH:
        value = min(1.0, max(0.0, drawn.gauss(0.6 + 0.3 * ease, 0.05)))
    else:
        value = float(drawn.randint(3, 5))
    return Score(
        metric=metric,
        value=value,
        repeat=repeat,
        reason="" if value else "missing: '60 days'",
        evidence=() if value else ("60 days",),
        signature=f"{metric}|v1|pytest-llmops 0.1.0|minilm-l6 sha256:0123456789abcdef",
    )


def result(number: int, drawn: random.Random) -> CaseResult:
    ease = random.Random(number).random()  # noqa: S311 - a simulation; the same in both runs
    outputs = (
        Output(
            text=f"Answer {drawn.randrange(3)} to {number}: boots may come back within 60 days of delivery.",
            repeat=repeat,
            usage=Usage(calls=1, prompt_tokens=120, completion_tokens=20, cost_usd=0.0001),
            latency_s=round(drawn.random(), 4),
            model="gpt-4o-mini",
            trace_id=f"{drawn.getrandbits(64):016x}",
        )
        for repeat in range(REPEATS)
    )
    scores = (score(metric, repeat, ease, drawn) for repeat in range(REPEATS) for metric in METRICS)
    return CaseResult(
        case=f"golden/shop.yaml::case-{number:05}",
        input_hash=sha256(str(number).encode()).hexdigest(),
        outputs=tuple(outputs),
        scores=tuple(scores),
        checks=tuple(Check(metric=metric, comparison=">=", threshold=0.5) for metric in METRICS),
    )


def write(path: Path, cases: int, seed: int) -> None:
    drawn = random.Random(seed)  # noqa: S311 - a simulation
    suite = tuple(
        SuiteCheck(metric=metric, statistic="mean", comparison=">=", threshold=0.5, max_drop=0.05)
        for metric in METRICS
    )
    results = tuple(result(number, drawn) for number in range(cases))
    write_run(Run(signature={"app": "shop:answer"}, results=results, suite={"golden/shop.yaml": suite}), path)


def measure(code: str, files: list[str]) -> tuple[float, float]:
    """CPU-seconds and peak megabytes of a process that runs the code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ending = "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    words = [sys.executable, "-c", f"import sys\nfiles = sys.argv[1:]\n{code}{ending}", *files]
    done = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, int(done.stdout.split()[-1]) / 1024


def main() -> None:
    for cases in [int(word) for word in sys.argv[1:]] or [1_000, 10_000]:
        with tempfile.TemporaryDirectory() as name:
            files = [str(Path(name) / f"{each}.json") for each in ("base", "run")]
            for seed, file in enumerate(files):
                subprocess.run([sys.executable, __file__, "write", file, str(cases), str(seed)], check=True)  # noqa: S603
            size = sum(Path(file).stat().st_size for file in files) / 2**20
            start, _ = measure(NOTHING, files)
            peer, read, compared, whole = (measure(code, files) for code in (PEER, READ, COMPARE, WHOLE))
        print(f"{cases:,} cases, two files of {size / 2:.0f} MB")
        print(f"  json.loads of both  {peer[0] - start:6.2f} CPU-s  {peer[1]:5.0f} MB")
        ratio = (read[0] - start) / (peer[0] - start)
        print(
            f"  both read           {read[0] - start:6.2f} CPU-s  {read[1]:5.0f} MB  {ratio:.2f} of the peer"
        )
        print(
            f"  compare() alone     {compared[0] - read[0]:6.2f} CPU-s  {compared[1]:5.0f} MB, runs included"
        )
        print(f"  llmops compare      {whole[0]:6.2f} CPU-s  {whole[1]:5.0f} MB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
