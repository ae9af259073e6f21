"""
CPU seconds of a golden run of 1,000 cases with two judged metrics: first live, then unchanged.

The app and both judges call an endpoint on this machine, which runs in the process of this script. CPU is
user and system time of the pytest process alone; a session of as many trivial tests is printed for
comparison, and so is what the app alone costs, whose calls are replayed too.
Usage: python benchmarks/warm.py [CASES] [REPEATS]
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.judge_server import JudgeServer, fill, schema_of

PLUGINS = ("-p", "pytest_llmops.plugin", "-p", "no:cacheprovider")
APP = """
import os

_client = None

async def answer(question):
    global _client
    text = "You may return boots within 60 days. The label is free."
    if os.environ.get("BENCH_APP") == "client":
        if _client is None:
            import openai
            _client = openai.AsyncOpenAI(max_retries=0)
        messages = [{"role": "user", "content": question}]
        await _client.chat.completions.create(model="m", messages=messages)
    passages = [{"id": "returns", "text": f"{text} Ask {question}.", "score": 1.0}]
    return {"text": text, "passages": passages}
"""
TRIVIAL = """
import pytest

@pytest.mark.parametrize("number", range({cases}))
def test_trivial(number):
    pass
"""
GOLDEN = """
version: 1
app: apps:answer
judge: {{model: small, base_url: "{url}", logprobs: false}}
checks:
{checks}
cases:
"""
JUDGED = "  judge: {rubric: support, min: 4}\n  faithfulness: {by: judge, min: 0.5}"


def verdict(request: Mapping[str, Any]) -> Mapping[str, Any] | str:
    """What follows the schema; each claim is supported by the first words of its passage."""
    schema = schema_of(request) or {}
    if "claims" not in schema.get("properties", {}):
        return fill(schema) if schema else "an answer"  # type: ignore[no-any-return]  # an object, by its schema
    numbers = schema["properties"]["claims"]["items"]["properties"]["claim"]["enum"]
    quoted = {"evidence": "You may return boots", "reason": "It says so.", "label": "supported"}
    return {"claims": [{"claim": number, **quoted} for number in numbers]}


def cpu_s(folder: Path, cases: int, *arguments: str, **environment: str) -> tuple[float, str]:
    """User and system seconds of a pytest process, and the last lines of what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", *PLUGINS, *arguments]
    ours = {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "",  # else each run compiles
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    env = {**os.environ, **ours, **environment}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not re.search(rf"\b{cases} passed", done.stdout):
        sys.exit(done.stdout[-4000:] + done.stderr[-4000:])
    shown = "; ".join(re.findall(r".*model call.*", done.stdout))
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, shown


def write_project(folder: Path, cases: int, url: str, checks: str) -> None:
    (folder / "golden").mkdir(exist_ok=True)
    head = GOLDEN.format(url=url, checks=checks)
    body = "".join(f"  - {{id: c{number}, input: question {number}}}\n" for number in range(cases))
    (folder / "golden" / "bench.yaml").write_text(head + body)
    (folder / "apps.py").write_text(APP)
    (folder / "test_trivial.py").write_text(TRIVIAL.format(cases=cases))


def main() -> None:
    cases, repeats = (int(each) for each in [*sys.argv[1:], *("1000", "3")[len(sys.argv) - 1 :]])
    rows: dict[str, float] = {}

    def measure(name: str, *arguments: str, times: int = repeats, **environment: str) -> None:
        found = [cpu_s(folder, cases, *arguments, **environment) for _ in range(times)]
        rows[name] = min(seconds for seconds, _ in found)
        spread = " ".join(f"{seconds:.2f}" for seconds, _ in found)
        print(f"{name:<44} {rows[name]:6.2f} CPU-s  ({spread})  {found[-1][1]}", flush=True)

    with tempfile.TemporaryDirectory() as name, JudgeServer(verdict=verdict) as server:
        folder = Path(name)
        for app, calls in (("plain", 2), ("client", 3)):
            environment = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none", "BENCH_APP": app}
            write_project(folder, cases, server.url, JUDGED)
            shutil.rmtree(folder / ".llmops", ignore_errors=True)
            if app == "plain":
                measure("pytest, trivial tests", "test_trivial.py")
            measure(f"{app} app, judged, first run", "--llm-golden", times=1, **environment)
            measure(f"{app} app, judged, unchanged", "--llm-golden", **environment)
            write_project(folder, cases, server.url, "  keywords: {any: [boots]}")
            measure(f"{app} app, no judge, unchanged", "--llm-golden", **environment)
            first, warm = rows[f"{app} app, judged, first run"], rows[f"{app} app, judged, unchanged"]
            bare = rows["pytest, trivial tests"]
            print(f"  first run: {1000 * (first - bare) / (calls * cases):.2f} ms a call")
            print(f"  unchanged, over pytest: {warm - bare:.2f} CPU-s")
            print(f"  unchanged, over no judge: {warm - rows[f'{app} app, no judge, unchanged']:.2f} CPU-s")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
