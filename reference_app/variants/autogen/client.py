"""AutoGen's client for models that are too small to call functions by themselves."""

from __future__ import annotations

import json
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import CreateResult, FunctionExecutionResultMessage, SystemMessage, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

CHOOSE = """\
You choose the tool for a question to a shop for outdoor gear. Reply with one call in JSON.
Tools:
{tools}
Where is my order FW-10001? {{"name": "order_status", "arguments": {{"order_id": "FW-10001"}}}}
How many points is FW-10002 worth? {{"name": "order_status", "arguments": {{"order_id": "FW-10002"}}}}
What is your lightest stove? {{"name": "find_products", "arguments": \
{{"category": "Stoves and cooking", "name": "", "sort": "lightest"}}}}
What does the Cairn fleece cost? {{"name": "find_products", "arguments": \
{{"category": "any", "name": "Cairn fleece", "sort": "cheapest"}}}}
Refund my order FW-10003! {{"name": "request_refund", "arguments": {{"order_id": "FW-10003"}}}}
Who is the king of Norway? {{"name": "cannot_help", "arguments": {{"topic": "another topic"}}}}"""


class JsonToolsClient(OpenAIChatCompletionClient):  # type: ignore[misc]  # its types are not installed here
    """Describes tools in the prompt, and holds the reply to one call by `response_format`."""

    async def create(
        self, messages: Any, *, tools: Any = (), tool_choice: Any = None, **given: Any
    ) -> CreateResult:
        """The choice of a tool, or, where none are offered, the answer from what the tools returned."""
        del tool_choice
        if not tools:
            found = [
                one.content[0].content for one in messages if isinstance(one, FunctionExecutionResultMessage)
            ]
            asked = f"{messages[1].content}\n\nThe shop's system says: {' '.join(found)}"
            return await super().create([messages[0], UserMessage(content=asked, source="user")], **given)
        calls = [
            {
                "type": "object",
                "properties": {"name": {"const": tool["name"]}, "arguments": tool["parameters"]},
                "required": ["name", "arguments"],
            }
            for tool in tools
        ]
        listed = "\n".join(
            f"- {tool['name']}: {tool['description']} {json.dumps(tool['parameters']['properties'])}"
            for tool in tools
        )
        made = await super().create(
            [SystemMessage(content=CHOOSE.format(tools=listed)), *messages[1:]],
            extra_create_args={
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "call", "schema": {"anyOf": calls}},
                }
            },
            **given,
        )
        reply = json.loads(made.content)
        call = FunctionCall(id="call-1", name=reply["name"], arguments=json.dumps(reply["arguments"]))
        return CreateResult(finish_reason="function_calls", content=[call], usage=made.usage, cached=False)
