"""
A shop's support as one AutoGen agent: the model chooses the tools, calls them, and words the answer.

OPENAI_BASE_URL, OPENAI_API_KEY and AUTOGEN_MODEL name any endpoint and a model that calls functions. Without
AUTOGEN_MODEL the model is a small one, which chooses its tool by a JSON schema.
"""

from __future__ import annotations

import json
import os
from typing import Any

from reference_app.variants.autogen import tools

SYSTEM = """\
You are the customer service of Fellwind Outfitters, a shop for outdoor gear. Answer the customer in one or \
two short sentences, with the order's number and the figures that the shop's system says, and nothing else."""
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
        tools=[tools.order_status, tools.find_products, tools.request_refund, tools.cannot_help],
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
    return {
        "text": result.messages[-1].to_text(),
        "tool_calls": calls,
        "model": os.environ.get("AUTOGEN_MODEL") or MODEL,
    }


def _open_client() -> Any:
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    from reference_app.variants.autogen.client import JsonToolsClient

    model = os.environ.get("AUTOGEN_MODEL")
    able = dict.fromkeys(("vision", "json_output", "structured_output"), False)
    return (OpenAIChatCompletionClient if model else JsonToolsClient)(
        model=model or MODEL,
        base_url=os.environ.get("OPENAI_BASE_URL") or BASE_URL,
        api_key=os.environ.get("OPENAI_API_KEY") or "none",
        model_info={**able, "function_calling": True, "family": "unknown"},
        include_name_in_message=False,
        temperature=0,
        max_tokens=150,
        seed=1,
        timeout=300,
    )


def _record(request: Any, done: Any) -> dict[str, Any]:
    """A call as golden files check it; AutoGen reports unknown tools and wrong arguments as errors."""
    call = {"name": request.name, "arguments": json.loads(request.arguments or "{}")}
    if done.is_error:
        return {**call, "decision": "denied", "reason": done.content}
    return {**call, "decision": "allowed", "result": json.loads(done.content)}
