from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.recorder.identity import find_kind, identify, is_host, is_loopback, key_of
from tests.unit.recorder.json_values import json_objects, json_values


def shuffled(value: Any, source: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        source.shuffle(names)
        return {name: shuffled(value[name], source) for name in names}
    return [shuffled(item, source) for item in value] if isinstance(value, list) else value


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, name or number) in a value."""
    names = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for name in names for place in [(value, name), *places(value[name])]]


@given(json_objects(), st.randoms(use_true_random=False))
def test_the_order_of_names_changes_nothing(body, source):
    content = json.dumps(body).encode()
    other = json.dumps(shuffled(body, source), indent=2).encode()
    assert (
        identify("a.test", None, "/v1/embeddings", content).key
        == identify("a.test", None, "/v1/embeddings", other).key
    )


@given(json_objects().filter(bool), json_values(), st.data())
def test_any_changed_value_is_another_call(body, value, data):
    before = key_of("a.test", "/v1/embeddings", body)
    text = json.dumps(body, sort_keys=True)
    holder, name = data.draw(st.sampled_from(places(body)))
    holder[name] = value
    same = json.dumps(body, sort_keys=True) == text
    assert (key_of("a.test", "/v1/embeddings", body) == before) == same


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (True, 1), (None, "null"), ("1", 1), ([], {}), (0.1, 0.2), ("é", "e\u0301")]
)
def test_values_that_look_alike_are_told_apart(one, other):
    assert key_of("a", "/", {"v": one}) != key_of("a", "/", {"v": other})


def test_provider_and_path_count_and_the_port_of_this_machine_does_not():
    def key(host: str, port: int | None, path: str = "/v1/responses") -> str:
        return identify(host, port, path, b"{}").key

    assert key("127.0.0.1", 8000) == key("localhost", 9000) == key("::1", None)
    different = {
        key("a.test", None),
        key("a.test", 81),
        key("b.test", None),
        key("a.test", None, "/responses"),
    }
    assert len(different) == 4


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True), ("LOCALHOST", True), ("model.localhost", True), ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True), ("localhost.example.test", False), ("127.0.0.1.example.test", False),
        ("10.0.0.1", False), ("api.openai.com", False), ("notlocalhost", False),
    ],
)  # fmt: skip
def test_hosts_of_this_machine(host, loopback):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("method", "path", "asks"),
    [
        ("POST", "/v1/chat/completions", True), ("POST", "/openai/deployments/x/chat/completions", True),
        ("POST", "/v1/messages", True), ("POST", "/v1/responses", True), ("POST", "/v1/embeddings", True),
        ("GET", "/v1/responses", False), ("POST", "/v1/files", False), ("POST", "/v1/messages/count", False),
    ],
)  # fmt: skip
def test_requests_that_ask_a_model(method, path, asks):
    body = b'{"model": "small", "input": "hi", "messages": []}'
    assert bool(find_kind(method, path, body)) is asks


@pytest.mark.parametrize(
    ("path", "body", "asks"),
    [
        ("/tickets/7/messages", b'{"text": "hi"}', False), ("/tickets/7/messages", b"text=hi", False),
        ("/survey/responses", b'{"answers": [1]}', False), ("/courses/7/completions", b'{"user": 1}', False),
        ("/v1/completions", b'{"prompt": "hi"}', True), ("/v1/embeddings", b'{"input": "hi"}', True),
        ("/openai/deployments/x/embeddings", b"{}", True),
        ("/v1/responses", b'{"prompt": {"id": "p"}}', True),
        ("/v1/messages", b"[1]", False), ("/v1/chat/completions", b"not JSON", True),
    ],
)  # fmt: skip
def test_a_backend_of_the_apps_own_is_no_model(path, body, asks):
    assert bool(find_kind("POST", path, body)) is asks


@pytest.mark.parametrize(
    ("written", "host", "port", "same"),
    [
        ("api.shop.example", "API.shop.example.", 8443, True),
        ("api.shop.example", "shop.example", None, False),
        ("api.shop.example:443", "api.shop.example", None, True), ("localhost:8000", "127.0.0.1", 8000, True),
        ("localhost:8000", "127.0.0.1", 8001, False), ("127.0.0.1", "localhost", 8001, True),
        ("::1", "localhost", 8001, True), ("[::1]:8000", "::1", 8000, True),
        ("[::1]:8000", "::1", 9000, False),
        ("api.shop.example:8000", "api.shop.example", None, False),
    ],
)  # fmt: skip
def test_hosts_as_golden_files_name_them(written, host, port, same):
    assert is_host(written, host, port) is same


def test_a_body_that_is_not_json_is_its_text():
    assert identify("a", None, "/embeddings", b"a=1\xff").body == "a=1\udcff"
