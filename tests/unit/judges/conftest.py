"""A judging server, and judges that reach it without long pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pytest_llmops.judges import completion
from pytest_llmops.judges import completion as client
from pytest_llmops.judges.model import JudgeModel
from pytest_llmops.records import Output, Passage, Sample
from tests.judge_server import JudgeServer


@pytest.fixture(autouse=True)
def connections(monkeypatch) -> Iterator[None]:
    """Pauses of milliseconds, and no connection or lesson that outlives its test."""
    monkeypatch.setattr(client, "FIRST_PAUSE_S", 0.001)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    yield
    completion.close()


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with JudgeServer() as running:
        yield running


@pytest.fixture
def judge(server: JudgeServer) -> Callable[..., JudgeModel]:
    """Makes judges at the server."""

    def make(**options) -> JudgeModel:
        return JudgeModel(**{"model": "small", "base_url": server.url, "timeout_s": 5.0, **options})

    return make


@pytest.fixture
def sample() -> Callable[..., Sample]:
    def make(text: str = "You have 60 days.", **options) -> Sample:
        passages = options.pop("passages", None)
        found = (
            None
            if passages is None
            else tuple(Passage(id=f"p{number}", text=each) for number, each in enumerate(passages))
        )
        output = Output(text=text, passages=found, repeat=options.pop("repeat", 0))
        return Sample(output=output, **{"input": "How long can I return boots?", **options})

    return make
