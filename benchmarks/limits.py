"""
What limits of a provider cost a run: its time over the time that the limit allows, and cases that broke.

A server on this machine limits its calls; the app calls it once a case by a client without retries. The
ideal is the time in which the limit lets all calls through, with the latency of the last one.
Usage: python -m benchmarks.limits [--simulated] [--cases 200] [--app NAME] [--only PART] [-- OPTIONS]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.limited_server import (
    Apart,
    AtOnce,
    First,
    Half,
    Limit,
    LimitedServer,
    ThenAtOnce,
    Tokens,
    exactly,
    unsaid,
)
from tests.unit.recorder.limits import simulation
from tests.unit.recorder.limits.simulation import run

ROOT = Path(__file__).parents[1]
APP = """
    import os
    import time
    import openai
    import httpx
    import requests

    URL = os.environ["OPENAI_BASE_URL"]
    client = openai.OpenAI(max_retries=0, timeout=600)
    asynchronous = openai.AsyncOpenAI(max_retries=0, timeout=600)

    def body(question):
        return {"model": "m", "messages": [{"role": "user", "content": question}]}

    def sync(question):
        return client.chat.completions.create(**body(question)).choices[0].message.content

    async def answer(question):
        return (await asynchronous.chat.completions.create(**body(question))).choices[0].message.content

    def plain(question):
        reply = requests.post(f"{URL}/chat/completions", json=body(question), timeout=600)
        reply.raise_for_status()
        return reply.json()["choices"][0]["message"]["content"]

    async def aio(question):
        import aiohttp
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            async with session.post(f"{URL}/chat/completions", json=body(question)) as reply:
                return (await reply.json())["choices"][0]["message"]["content"]
"""


class Pattern(NamedTuple):
    """
    A limit, and the seconds that it allows for so many calls of a latency.

    Attributes:
        latency_s: Of an answer.
    """

    name: str
    limit: Callable[[], Limit]
    ideal_s: Callable[[int, float], float]
    latency_s: float = 0.5


def list_patterns() -> list[Pattern]:
    def at_once(most: int) -> Callable[[int, float], float]:
        return lambda cases, latency_s: -(-cases // most) * latency_s

    def apart(gap_s: float) -> Callable[[int, float], float]:
        return lambda cases, latency_s: (cases - 1) * gap_s + latency_s

    return [
        Pattern("10 at once, Retry-After 1", lambda: AtOnce(10), at_once(10)),
        Pattern("10 at once, no Retry-After", lambda: AtOnce(10, says=unsaid), at_once(10)),
        Pattern("300 a minute, no burst, whole seconds", lambda: Apart(0.2), apart(0.2)),
        Pattern("300 a minute, no burst, exact", lambda: Apart(0.2, says=exactly), apart(0.2)),
        Pattern("300 a minute, no burst, no Retry-After", lambda: Apart(0.2, says=unsaid), apart(0.2)),
        Pattern(
            "tokens a minute, headers",
            lambda: Tokens(1_000, 100, 20),
            lambda cases, latency_s: max(cases * 20 - 1_000, 0) / 100 + latency_s,
        ),
        Pattern(
            "half refused, Retry-After 1",
            lambda: Half(1.0),
            lambda cases, latency_s: 2 * cases * latency_s / 20,
        ),
        Pattern(
            "10 at once, then 4",
            lambda: ThenAtOnce(10, 4, 100),
            lambda cases, latency_s: 10 * latency_s + (cases - 100) / 4 * latency_s,
        ),
        Pattern(
            "503 with Retry-After for 20 calls",
            lambda: First(20, 1.0, status=503),
            lambda _, latency_s: 1.0 + 5 * latency_s,
        ),
        Pattern("no limit", Limit, lambda _, latency_s: 4 * latency_s),
    ]


class Measured(NamedTuple):
    """
    A run.

    Attributes:
        span_s: Seconds from the first call to the last answer, as the server counts.
        broke: Cases without an answer.
    """

    span_s: float
    broke: int
    refused: int
    waited: str


def measure(pattern: Pattern, app: str, cases: int, options: list[str]) -> Measured:
    """Run so many cases of an app against a server with the limit."""
    with tempfile.TemporaryDirectory() as name, LimitedServer(pattern.limit(), pattern.latency_s) as server:
        folder = Path(name)
        (folder / "golden").mkdir()
        (folder / "app.py").write_text(textwrap.dedent(APP))
        (folder / "pyproject.toml").write_text("[tool.pytest-llmops]\n")
        rows = [
            {"id": f"c{number}", "input": f"question {number}", "checks": {"keywords": {"all": ["Echo"]}}}
            for number in range(cases)
        ]
        (folder / "golden" / "shop.yaml").write_text(json.dumps({"app": f"app:{app}", "cases": rows}))
        environment = {**os.environ, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        environment["PYTHONPATH"] = f"{ROOT}:{folder}"
        command = [sys.executable, "-m", "pytest", "--llm-golden", "-q", "--no-header", *options]
        done = subprocess.run(  # noqa: S603 - our own
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        kept = json.loads((folder / ".llmops/runs/last.json").read_text())
        broke = sum(bool(result["failures"]) for result in kept["results"])
        waited = re.search(r"^waited .*$", done.stdout, re.MULTILINE)
        return Measured(server.span_s, broke, server.refused, waited[0] if waited else "")


def list_simulations() -> list[tuple[str, float, Callable[[], simulation.Provider], simulation.Says]]:
    """Names, seconds that the limit allows, providers, and how they name a pause."""
    named, exact, unsaid = simulation.named, simulation.exact, simulation.unsaid
    notations = (("whole seconds", named), ("exact", exact), ("no Retry-After", unsaid))
    rows: list[tuple[str, float, Callable[[], simulation.Provider], simulation.Says]] = []
    for words, says in notations:
        rows += [
            (f"10 at once, {words}", 10.0, lambda: simulation.AtOnce(10), says),
            (f"300 a minute, no burst, {words}", 40.3, lambda: simulation.Apart(0.2), says),
            (f"300 a minute, burst of 10, {words}", 38.5, lambda: simulation.Bucket(10, 5), says),
            (f"60 each 12 s, {words}", 36.5, lambda: simulation.Window(60, 12), says),
        ]
    return [
        *rows,
        ("50 at first, 5 a second, headers", 30.5, lambda: simulation.Bucket(50, 5, headers=True), named),
        ("10 at once, then 4", 17.5, lambda: simulation.AtOnce(10, 4, 100), named),
        ("4 at once, then 10", 17.5, lambda: simulation.AtOnce(4, 10, 100), named),
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--app", default="answer", help="answer (async), sync, plain (requests) or aio")
    parser.add_argument("--only", default="", help="a part of the name of a limit")
    parser.add_argument("--simulated", action="store_true", help="200 calls of 0.5 s in simulated time")
    parser.add_argument("options", nargs="*", help="further options of pytest, after --")
    given = parser.parse_args()
    if given.simulated:
        print("| limit | ideal, s | worst of 10, s | ratio | refusals |")
        print("|---|---|---|---|---|")
        for name, ideal_s, make, says in list_simulations():
            runs = [run(make(), says=says, seed=seed) for seed in range(10)]
            worst = max(runs, key=lambda each: each.took_s)
            refused = max(each.refused for each in runs)
            print(
                f"| {name} | {ideal_s:.1f} | {worst.took_s:.1f} | {worst.took_s / ideal_s:.2f} | {refused} |"
            )
        return
    print("| limit | ideal, s | calls, s | ratio | errors | refusals |")
    print("|---|---|---|---|---|---|")
    for pattern in list_patterns():
        if given.only in pattern.name:
            found = measure(pattern, given.app, given.cases, given.options)
            ideal_s = pattern.ideal_s(given.cases, pattern.latency_s)
            cells = (pattern.name, f"{ideal_s:.1f}", f"{found.span_s:.1f}", f"{found.span_s / ideal_s:.2f}")
            print(f"| {' | '.join(cells)} | {found.broke} | {found.refused} |", flush=True)


if __name__ == "__main__":
    main()
