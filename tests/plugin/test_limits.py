"""Cases of an app whose provider limits its calls: none is an error, unless the limit never ends."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import jsonschema
import pytest

from pytest_llmops import load_run
from pytest_llmops.records import LimitWait
from tests.limited_server import (
    Apart,
    AtOnce,
    First,
    Half,
    Limit,
    LimitedServer,
    ThenAtOnce,
    Tokens,
    as_date,
    exactly,
    in_seconds,
    unsaid,
)
from tests.plugin.varying import outcomes_of

APPS = {
    "openai": """
        import openai

        def answer(question):
            with openai.OpenAI(max_retries=0) as client:
                reply = client.chat.completions.create(**body(question))
            return reply.choices[0].message.content
    """,
    "openai retries": """
        import openai

        def answer(question):
            with openai.OpenAI(max_retries=2) as client:
                reply = client.chat.completions.create(**body(question))
            return reply.choices[0].message.content
    """,
    "openai async": """
        import openai

        async def answer(question):
            async with openai.AsyncOpenAI(max_retries=0) as client:
                reply = await client.chat.completions.create(**body(question))
            return reply.choices[0].message.content
    """,
    "openai stream": """
        import openai

        async def answer(question):
            async with openai.AsyncOpenAI(max_retries=0) as client:
                chunks = await client.chat.completions.create(**body(question), stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])
    """,
    "httpx raises in a hook": """
        import httpx
        hooks = {"response": [lambda reply: reply.raise_for_status()]}

        def answer(question):
            with httpx.Client(event_hooks=hooks) as client:
                return text_of(client.post(URL, json=body(question)).json())
    """,
    "requests": """
        import requests

        def answer(question):
            reply = requests.post(URL, json=body(question), timeout=9)
            reply.raise_for_status()
            return text_of(reply.json())
    """,
    "urllib": """
        import json
        import urllib.request

        def answer(question):
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(URL, json.dumps(body(question)).encode(), headers)
            with urllib.request.urlopen(request) as reply:
                return text_of(json.load(reply))
    """,
    "urllib3": """
        import urllib3

        def answer(question):
            with urllib3.PoolManager(retries=False) as pool:
                return text_of(pool.request("POST", URL, json=body(question)).json())
    """,
    "aiohttp": """
        import aiohttp

        async def answer(question):
            limit = aiohttp.ClientTimeout(total=2)
            async with aiohttp.ClientSession(raise_for_status=True, timeout=limit) as session:
                async with session.post(URL, json=body(question)) as reply:
                    return text_of(await reply.json())
    """,
    "aiohttp pieces": """
        import json
        import aiohttp

        async def pieces(question):
            yield json.dumps(body(question)).encode()

        async def answer(question):
            async with aiohttp.ClientSession() as session:
                headers = {"Content-Type": "application/json"}
                async with session.post(URL, data=pieces(question), headers=headers) as reply:
                    return text_of(await reply.json())
    """,
    "two hosts": """
        import os
        import httpx
        OTHER = os.environ["OTHER_BASE_URL"] + "/chat/completions"

        def answer(question):
            httpx.post(OTHER, json=body(question)).raise_for_status()
            return text_of(httpx.post(URL, json=body(question)).raise_for_status().json())
    """,
    "fallback": """
        import httpx

        def answer(question):
            try:
                return text_of(httpx.post(URL, json=body(question)).raise_for_status().json())
            except httpx.HTTPError:
                return f"Echo: {question}, I think"
    """,
}
COMMON = """
import os
URL = os.environ["OPENAI_BASE_URL"] + "/chat/completions"

def body(question):
    return {"model": "small", "messages": [{"role": "user", "content": question}]}

def text_of(reply):
    return reply["choices"][0]["message"]["content"]

"""
CASES = 24


@pytest.fixture
def limited(project):
    """Runs an app against a server with a limit."""
    rows = "\n".join(
        f"  - {{id: c{number}, input: 'no {number}', checks: {{keywords: {{all: ['Echo: no {number}']}}}}}}"
        for number in range(CASES)
    )
    project.golden(f"app: capitals:answer\ncases:\n{rows}")

    def run(app: str, limit: Limit, *arguments: str, **options):
        import textwrap

        project.app(COMMON + textwrap.dedent(APPS[app]))
        with LimitedServer(limit, **options) as server:
            project.environment.setenv("OPENAI_BASE_URL", server.url)
            project.environment.setenv("OPENAI_API_KEY", "none")
            return project.run_here(*arguments), server

    return run


def usage_in(project):
    return json.loads((project.path / ".llmops/runs/last.json").read_text())["usage"]


def waited_in(result) -> list[str]:
    return [line for line in result.outlines if line.startswith("waited ")]


@pytest.mark.parametrize("app", [name for name in APPS if name not in {"two hosts", "fallback"}])
def test_no_client_breaks_at_two_calls_at_once(project, limited, app):
    if app.startswith("aiohttp"):
        pytest.importorskip("aiohttp")
    result, server = limited(app, AtOnce(2, says=exactly), "--llm-timeout-s", "30", latency_s=0.1)

    assert outcomes_of(result)["passed"] == CASES
    assert server.answered == CASES
    assert server.refused > 0
    (line,) = waited_in(result)
    host = re.escape(f"127.0.0.1:{server.port}")
    assert re.fullmatch(rf"waited [\d.]+ s for limits of {host} \(\d+ times\)", line)
    usage = usage_in(project)
    assert (usage["calls"], usage["replayed"], usage["failed"]) == (CASES, 0, 0)
    cost = usage["limits"][f"127.0.0.1:{server.port}"]
    assert cost["waited_s"] > 0
    assert cost["calls"] > 0
    file = project.path / ".llmops/runs/last.json"
    schema = json.loads((files("pytest_llmops") / "reports/files/run.schema.json").read_text())
    jsonschema.validate(json.loads(file.read_text()), schema)
    assert load_run(file).limits == {f"127.0.0.1:{server.port}": LimitWait(**cost)}

    again = project.run_here("--llm-record", "none")
    assert outcomes_of(again)["passed"] == CASES
    assert waited_in(again) == []
    assert "limits" not in usage_in(project)


PATTERNS = {
    "apart, whole seconds": lambda: Apart(0.04, says=in_seconds),
    "apart, exact": lambda: Apart(0.04, says=exactly),
    "apart, unsaid": lambda: Apart(0.04, says=unsaid),
    "as a date": lambda: Apart(0.04, says=as_date),
    "tokens": lambda: Tokens(100, 200, 20, says=exactly),
    "tokens, unsaid": lambda: Tokens(100, 200, 20, says=unsaid),
    "half": lambda: Half(0.1, says=exactly),
    "changing": lambda: ThenAtOnce(8, 2, 8, says=exactly),
    "overloaded, 529": lambda: First(15, says=exactly, status=529),
    "overloaded, 503": lambda: First(15, says=exactly, status=503),
    "negative": lambda: First(9, says=lambda _: {"Retry-After": "-5"}),
    "no number": lambda: First(
        9, says=lambda _: {"Retry-After": "NaN", "x-ratelimit-reset-requests": "Infinity"}
    ),
    "nonsense": lambda: First(9, says=lambda _: {"Retry-After": "9" * 400, "retry-after-ms": "x"}),
    "hostile quota": lambda: First(
        9, says=lambda _: {"x-ratelimit-remaining-requests": "-1e400", "x-ratelimit-reset-requests": "1e308s"}
    ),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_limit_breaks_a_case(limited, pattern):
    result, server = limited("openai async", PATTERNS[pattern](), "--llm-timeout-s", "30")

    assert outcomes_of(result)["passed"] == CASES
    assert server.answered == CASES


def test_of_two_hosts_each_has_its_limit(project, limited):
    with LimitedServer(Apart(0.03, says=exactly)) as other:
        project.environment.setenv("OTHER_BASE_URL", other.url)
        result, server = limited("two hosts", AtOnce(1, says=exactly), latency_s=0.1)

    assert outcomes_of(result)["passed"] == CASES
    assert (server.answered, other.answered) == (CASES, CASES)
    assert set(usage_in(project)["limits"]) == {f"127.0.0.1:{port}" for port in (server.port, other.port)}


@pytest.mark.parametrize("number", ["4", "24"])
def test_a_number_of_cases_at_once_obeys_limits_too(limited, number):
    result, server = limited("openai", AtOnce(2, says=exactly), "--llm-concurrency", number, latency_s=0.1)

    assert outcomes_of(result)["passed"] == CASES
    assert server.answered == CASES
    assert server.refused > 0


def test_the_time_limit_of_a_case_does_not_count_waiting(project, limited):
    """The last case waits three times as long as an answer may take."""
    result, _ = limited("requests", Apart(0.4, says=exactly), "--llm-timeout-s", "3")

    assert outcomes_of(result)["passed"] == CASES
    assert usage_in(project)["failed"] == 0  # none was called again either


def test_latency_does_not_count_waiting(project, limited):
    limited("requests", Apart(0.4, says=exactly))

    results = json.loads((project.path / ".llmops/runs/last.json").read_text())["results"]
    assert max(result["outputs"][0]["latency_s"] for result in results) < 4


@pytest.mark.parametrize("app", ["openai", "openai async", "openai retries"])
def test_a_provider_that_lets_nothing_through_is_an_error_that_says_so(limited, app):
    result, server = limited(app, First(10**6, says=exactly), "--llm-timeout-s", "8")

    assert outcomes_of(result)["error"] >= CASES
    result.stdout.fnmatch_lines([f"*limited by 127.0.0.1:{server.port} for * s: *"])


def test_a_pause_of_a_day_is_an_error_that_says_so(limited):
    result, server = limited("openai", First(10**6, says=lambda _: {"Retry-After": "86400"}))

    assert outcomes_of(result)["error"] >= CASES
    result.stdout.fnmatch_lines(
        [f"*limited by 127.0.0.1:{server.port} for 86,400 s, as it says itself (Retry-After): *"]
    )


def test_a_spent_quota_is_not_waited_for(limited):
    spent = {"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}}
    result, _ = limited("openai", First(10**6, says=exactly), body=spent)

    assert outcomes_of(result)["error"] >= CASES
    assert waited_in(result) == []


def test_an_app_with_a_fallback_gets_the_refusal_in_the_end(limited):
    result, _ = limited("fallback", First(10**6, says=exactly), "--llm-timeout-s", "8")

    assert outcomes_of(result)["passed"] == CASES
    result.stdout.fnmatch_lines([f"warning: {CASES} model calls failed: status 429 at loopback: *"])


def test_workers_wait_each_for_itself(project, limited):
    result, server = limited("openai", AtOnce(2, says=exactly), "-n", "2", latency_s=0.1)

    assert outcomes_of(result)["passed"] == CASES
    assert server.answered == CASES
    (line,) = waited_in(result)
    assert f"127.0.0.1:{server.port}" in line
    assert set(usage_in(project)["limits"]) == {f"127.0.0.1:{server.port}"}


def test_other_hosts_are_not_asked_again(project):
    """What is no model call may not be sent twice."""
    project.app("""
        import os
        import httpx

        def answer(question):
            url = os.environ["OPENAI_BASE_URL"].removesuffix("/v1") + "/orders"
            return f"status {httpx.post(url, json={'order': question}).status_code}"
    """)
    project.golden(
        "app: capitals:answer\ncases: [{id: a, input: '1', checks: {keywords: {all: ['status 429']}}}]"
    )
    with LimitedServer(First(1)) as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        result = project.run_here()
    assert outcomes_of(result)["passed"] == 1
    assert (server.refused, server.answered) == (1, 0)
