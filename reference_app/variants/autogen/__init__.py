"""
A shop's support as one AutoGen agent: the model chooses the tools, calls them, and words the answer.

Any endpoint that speaks OpenAI's protocol and calls functions will do: OPENAI_BASE_URL, OPENAI_API_KEY and
AUTOGEN_MODEL. Without them the agent asks a llama.cpp server on this machine.
"""

from __future__ import annotations

import json
import os
from typing import Any

from reference_app.variants.autogen import tools

SYSTEM = """\
You are the customer service of Fellwind Outfitters, a shop for outdoor gear. Call the tools that the question \
needs, one call for each thing that is asked. Then answer the customer in one or two short sentences, with the \
order's number and the figures that the tools returned, and nothing else. Prices are in £, weights in kg."""
MODEL, BASE_URL = "qwen2.5-coder-1.5b-instruct", "http://127.0.0.1:8080/v1"


async def answer(question: str) -> dict[str, Any]:
    """
    Answer one question about orders and products.

    Returns:
        `text`, `model`, and `tool_calls` with `name`, `arguments`, `result` and `decision` each.
    """
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.messages import ToolCallExecutionEvent, ToolCallRequestEvent

    client = _open_client()
    agent = AssistantAgent(
        "support",
        client,
        tools=[
            tools.order_status,
            tools.loyalty_points,
            tools.find_products,
            tools.request_refund,
            tools.cannot_help,
        ],
        system_message=SYSTEM,
        reflect_on_tool_use=True,  # a second call of the model words the answer
    )
    try:
        result = await agent.run(task=question)
    finally:
        await client.close()
    requests: dict[str, Any] = {}
    calls = []
    for event in result.messages:
        if isinstance(event, ToolCallRequestEvent):
            requests |= {call.id: call for call in event.content}
        elif isinstance(event, ToolCallExecutionEvent):
            calls += [_record(requests[done.call_id], done) for done in event.content]
    return {"text": result.messages[-1].to_text(), "tool_calls": calls, "model": client.name}


def _open_client() -> Any:
    """AutoGen's client of the endpoint; where it offers tools, the model has to choose one of them."""
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    class Client(OpenAIChatCompletionClient):  # type: ignore[misc]  # its types are not installed beside mypy
        name = os.environ.get("AUTOGEN_MODEL") or MODEL

        async def create(self, messages: Any, **given: Any) -> Any:
            if given.get("tools"):
                given["tool_choice"] = "required"  # a small model writes its calls as text otherwise
            return await super().create(messages, **given)

    able = dict.fromkeys(("vision", "json_output", "structured_output"), False)
    return Client(
        model=Client.name,
        base_url=os.environ.get("OPENAI_BASE_URL") or BASE_URL,
        api_key=os.environ.get("OPENAI_API_KEY") or "none",
        model_info={**able, "function_calling": True, "family": "unknown"},
        include_name_in_message=False,
        parallel_tool_calls=True,
        temperature=0,
        max_tokens=200,
        seed=1,
        timeout=300,
    )


def _record(request: Any, done: Any) -> dict[str, Any]:
    """A call as golden files check it; AutoGen reports unknown tools and wrong arguments as errors."""
    call = {"name": request.name, "arguments": json.loads(request.arguments or "{}")}
    if done.is_error:
        return {**call, "decision": "denied", "reason": done.content}
    return {**call, "decision": "allowed", "result": json.loads(done.content)}
