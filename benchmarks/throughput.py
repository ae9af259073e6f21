"""
Golden runs of fifty and a thousand cases, two dependent calls of 200 ms each, beside what they wait for.

Prints wall seconds of whole pytest sessions (without the interpreter's start, which pytest reports
itself) and their ratio to the bare work. With `deepeval` installed, its `evaluate` does the same
two dependent calls a case in the same run. Usage: python benchmarks/throughput.py
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

LATENCY_S = 0.2
# Ours and xdist alone: what else is installed beside them is not what is measured.
PLUGINS = ("-p", "pytest_llmops.plugin", "-p", "xdist.plugin", "-p", "no:cacheprovider")
APPS = """
import asyncio, os, time

async def sleeper(question):
    await asyncio.sleep(0.2)
    await asyncio.sleep(0.2)
    return "an answer"

def sync_sleeper(question):
    time.sleep(0.2)
    time.sleep(0.2)
    return "an answer"

_client = None

async def caller(question):
    global _client
    if _client is None:
        import openai
        http = openai.DefaultAioHttpClient() if os.environ.get("BENCH_AIOHTTP") else None
        _client = openai.AsyncOpenAI(max_retries=0, http_client=http)
    plan = await ask(question)
    return await ask(plan + question)

async def ask(text):
    reply = await _client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
    return reply.choices[0].message.content
"""


BOT = """
import json, sys, time
for line in sys.stdin:
    time.sleep(0.4)
    print(json.dumps({"output": "an answer", "session": json.loads(line)["session"]}), flush=True)
"""


def golden(cases: int, app: str) -> str:
    named = app if app.startswith("{") else f"apps:{app}"
    head = f"version: 1\napp: {named}\nchecks: {{keywords: {{any: [an answer, Echo]}}}}\ncases:\n"
    return head + "".join(f"  - {{id: c{number}, input: question {number}}}\n" for number in range(cases))


def session_s(
    folder: Path, cases: int, app: str, *arguments: str, fresh: bool = True, **environment: str
) -> float:
    """Seconds of the session by pytest's own last line; collection is in it, the start of Python not."""
    (folder / "golden").mkdir(exist_ok=True)
    (folder / "golden" / "bench.yaml").write_text(golden(cases, app))
    (folder / "apps.py").write_text(APPS)
    (folder / "bot.py").write_text(BOT)
    if fresh:
        subprocess.run(["rm", "-rf", str(folder / ".llmops")], check=True)  # noqa: S603, S607
    command = [sys.executable, "-m", "pytest", "--llm-golden", "-q", *PLUGINS, *arguments]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    told = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    matched = re.search(rf"{cases} passed.* in ([0-9.]+)s", told.stdout)
    if matched is None:
        sys.exit(told.stdout + told.stderr)
    return float(matched[1])


def empty_workers_s(folder: Path) -> float:
    """A session of two workers that has one empty test: what `-n 2` costs by itself."""
    (folder / "test_empty.py").write_text("def test_empty(): pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "xdist.plugin", "test_empty.py"]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    told = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)  # noqa: S603
    matched = re.search(r"1 passed in ([0-9.]+)s", told.stdout)
    return float(matched[1]) if matched else 0.0


def import_openai_s() -> float:
    """Seconds that the app's first question spends on importing its client."""
    code = "import time; started = time.perf_counter(); import openai; print(time.perf_counter() - started)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return float(told.stdout)


def bare_client_s(url: str, cases: int) -> float:
    """The same calls by one `openai` client and nothing else."""
    import openai

    async def run() -> float:
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:

            async def ask(text: str) -> str:
                reply = await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": text}]
                )
                return reply.choices[0].message.content or ""

            async def case(number: int) -> None:
                await ask(await ask(f"question {number}"))

            started = time.perf_counter()
            await asyncio.gather(*(case(number) for number in range(cases)))
            return time.perf_counter() - started

    return asyncio.run(run())


DEEPEVAL = """
import os, time
os.environ.update(DEEPEVAL_TELEMETRY_OPT_OUT="YES", DEEPEVAL_UPDATE_WARNING_OPT_OUT="YES")
import openai, pytest
from deepeval import assert_test, evaluate
from deepeval.evaluate.configs import AsyncConfig, CacheConfig, DisplayConfig
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase

class TwoCalls(BaseMetric):
    threshold, async_mode, include_reason = 0.5, True, False
    evaluation_model = evaluation_cost = error = None
    strict_mode = verbose_mode = False
    def measure(self, case, *_, **__): raise NotImplementedError
    async def a_measure(self, case, *_, **__):
        async with openai.AsyncOpenAI(max_retries=0) as client:
            text = case.input
            for _ in range(2):
                reply = await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": text}])
                text = reply.choices[0].message.content
        self.score, self.success = 1.0, True
        return 1.0
    def is_successful(self): return True
    @property
    def __name__(self): return "two calls"

cases = [LLMTestCase(input=f"question {n}", actual_output="x") for n in range(50)]

@pytest.mark.parametrize("case", cases)
def test_case(case):
    assert_test(case, [TwoCalls()])

if __name__ == "__main__":
    started = time.perf_counter()
    evaluate(cases, [TwoCalls()], async_config=AsyncConfig(max_concurrent=100),
             display_config=DisplayConfig(print_results=False, show_indicator=False),
             cache_config=CacheConfig(write_cache=False))
    print("SECONDS", time.perf_counter() - started)
"""


def deepeval_s(folder: Path, pattern: str, *command: str, **environment: str) -> float:
    """DeepEval over a metric that makes the same two dependent calls, for 50 cases."""
    (folder / "test_deepeval.py").write_text(DEEPEVAL)
    told = subprocess.run(  # noqa: S603
        [sys.executable, *command, "test_deepeval.py"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    matched = re.search(pattern, told.stdout)
    return float(matched[1]) if matched else float("nan")


def main() -> None:
    from tests.app_server import AppServer, Asked
    from tests.openai_server import OpenAIServer

    def answer_late(_: Asked) -> dict[str, str]:
        time.sleep(2 * LATENCY_S)
        return {"reply": "an answer"}

    rows: list[dict[str, object]] = []

    def row(name: str, seconds: float, limit: float, peer: float) -> None:
        rows.append(
            {
                "what": name,
                "seconds": round(seconds, 3),
                "limit": limit,
                "over bare": round(seconds / peer, 2),
            }
        )
        print(
            f"{name:<64} {seconds:7.2f} s   limit {limit:5.2f} s   {seconds / peer:5.2f} x bare", flush=True
        )

    with tempfile.TemporaryDirectory() as name, OpenAIServer(latency_s=LATENCY_S) as server:
        folder = Path(name)
        endpoint = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        bare = min(bare_client_s(server.url, 50) for _ in range(3))
        print(f"bare openai client, 50 cases of two calls: {bare:.2f} s")
        print(
            f"import openai: {import_openai_s():.2f} s, part of the rows with the client, not of the bare one"
        )
        empty = min(empty_workers_s(folder) for _ in range(3))
        print(f"an empty session of two workers: {empty:.2f} s, part of the rows with -n 2")
        row("50 cases, async app that sleeps", session_s(folder, 50, "sleeper"), 0.44, 2 * LATENCY_S)
        row("50 cases, sync app that sleeps", session_s(folder, 50, "sync_sleeper"), 0.44, 2 * LATENCY_S)
        row("50 cases, sleeping, -n 2", session_s(folder, 50, "sleeper", "-n", "2"), 0.44, 2 * LATENCY_S)
        row("50 cases, openai client", session_s(folder, 50, "caller", **endpoint), 0.8, bare)
        with AppServer(answer_late) as service:
            app = f'{{http: {{url: "{service.url}/chat", answer: $.reply}}}}'
            row("50 cases, app behind a URL that sleeps", session_s(folder, 50, app), 0.66, 2 * LATENCY_S)
        app = json.dumps({"command": [sys.executable, "bot.py"]})
        seconds = session_s(folder, 50, app, "--llm-concurrency", "50")
        row("50 cases, command that sleeps, 50 processes", seconds, 0.66, 2 * LATENCY_S)
        row(
            "50 cases, openai client on aiohttp",
            session_s(folder, 50, "caller", BENCH_AIOHTTP="1", **endpoint),
            0.8,
            bare,
        )
        row(
            "50 cases, openai client, -n 2", session_s(folder, 50, "caller", "-n", "2", **endpoint), 0.8, bare
        )
        row("1,000 cases, sleeping", session_s(folder, 1000, "sleeper"), 6.0, 2 * LATENCY_S)
        row(
            "1,000 cases, openai client on aiohttp",
            session_s(folder, 1000, "caller", BENCH_AIOHTTP="1", **endpoint),
            6.0,
            bare,
        )
        row("1,000 cases, replayed", session_s(folder, 1000, "caller", fresh=False, **endpoint), 6.0, bare)
        if importlib.util.find_spec("deepeval"):
            seconds = deepeval_s(folder, r"SECONDS ([0-9.]+)", **endpoint)
            row("DeepEval evaluate(), the same calls", seconds, float("nan"), bare)
            seconds = deepeval_s(folder, r"50 passed.* in ([0-9.]+)s", "-m", "pytest", "-q", **endpoint)
            row("DeepEval assert_test under pytest, the same calls", seconds, float("nan"), bare)
        else:
            print("DeepEval is not installed: pip install --group bench")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
