"""How these tests ask a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openai

KEY = "sk-test-0123456789abcdefghij"
CASE = "golden/support.yaml::returns-window"
LOCAL_FILE = Path(".llmops/cassettes/support/returns-window.yaml")
COMMITTED_FILE = Path("golden/cassettes/support/returns-window.yaml")


def messages(text: str) -> list[Any]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def ask(client: openai.OpenAI, text: str = "How long?", **options: Any) -> str:
    reply = client.chat.completions.create(model="small", messages=messages(text), **options)
    return reply.choices[0].message.content or ""


def ask_streamed(client: openai.OpenAI, text: str = "How long?", **options: Any) -> str:
    stream = client.chat.completions.create(model="small", messages=messages(text), stream=True, **options)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
