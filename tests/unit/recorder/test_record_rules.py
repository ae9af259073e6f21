"""What a golden file lists under `record`: requests that are recorded too, parts that are ignored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import yaml

from pytest_llmops.recorder import CallRules
from pytest_llmops.recorder.identity import name_place, rule_of
from tests.provider_server import ProviderServer
from tests.unit.recorder.asking import CASE


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


def rank(url: str, query: str, path: str = "/rank/v2", **more: Any) -> Any:
    return requests.post(f"{url}{path}", json={"q": query, **more}, timeout=5).json()


def also(provider: ProviderServer) -> CallRules:
    place = f"127.0.0.1:{provider.port}"
    return CallRules(also=(f"POST {place}/rank*", f"GET {place}/prices"))


def test_a_listed_request_is_recorded_and_replayed(recorder, provider: ProviderServer):
    for mode in ("new", "none"):
        with recorder(mode).recording(CASE, 0, rules=also(provider)) as log:
            assert rank(provider.url, "boots") == {"ok": True}
            assert httpx.get(f"{provider.url}/prices", params={"of": "boots"}).json() == {"ok": True}
        assert [call.kind for call in log.calls] == ["http", "http"]
    assert provider.asked == ["/rank/v2", "/prices?of=boots"]


def test_one_that_is_not_listed_is_no_call(recorder, provider: ProviderServer):
    with recorder().recording(CASE, 0, rules=also(provider)) as log:
        rank(provider.url, "boots", path="/other")
    assert log.calls == []


def test_another_query_or_body_is_another_request(recorder, provider: ProviderServer):
    run = recorder()
    for query in ("boots", "tents"):
        with run.recording(CASE, 0, rules=also(provider)):
            rank(provider.url, query)
            httpx.get(f"{provider.url}/prices", params={"of": query})
    assert len(provider.asked) == 4


@pytest.mark.parametrize(
    "ignored",
    [("/run/id", "/items/*/seen"), ("/run", r"r-\d+", "/items/*")],
)
def test_ignored_parts_are_no_part_of_a_call(recorder, provider: ProviderServer, ignored):
    rules = CallRules(also=also(provider).also, ignored=ignored)
    for mode, at in (("new", 1), ("none", 2)):
        with recorder(mode).recording(CASE, 0, rules=rules) as log:
            items = [{"name": "boots", "seen": at}, {"name": "tent", "seen": at}]
            rank(provider.url, "boots", run={"id": f"r-{at}"}, items=items)
        assert [call.outcome for call in log.calls] == ["made" if mode == "new" else "replayed"]
    assert len(provider.asked) == 1


def test_a_part_that_is_not_ignored_still_tells_calls_apart(recorder, provider: ProviderServer):
    rules = CallRules(also=also(provider).also, ignored=("/run/id",))
    run = recorder()
    for query in ("boots", "tents"):
        with run.recording(CASE, 0, rules=rules):
            rank(provider.url, query, run={"id": "r-1"})
    assert len(provider.asked) == 2


@pytest.mark.parametrize("host", ["db.example.com", "192.0.2.7", "2001:db8::1"])
@pytest.mark.parametrize("port", [None, 5432])
def test_a_place_that_is_named_is_a_rule_as_it_is_written(host, port):
    place = name_place(host, port)
    (rule,) = yaml.safe_load(f"[{rule_of(place)}]")
    assert rule == place
    assert CallRules(allow=(rule,)).allows(host, port or 443)
    assert not CallRules(allow=(rule,)).allows("192.0.2.8", port or 443)
