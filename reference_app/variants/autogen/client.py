"""AutoGen's client for models that are too small to call functions by themselves."""

from __future__ import annotations

import json
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import CreateResult, SystemMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient


class JsonToolsClient(OpenAIChatCompletionClient):  # type: ignore[misc]  # its types are not installed here
    """Offers tools in the prompt, and holds the reply to one call by `response_format`."""

    async def create(self, messages: Any, *, tools: Any = (), **given: Any) -> CreateResult:
        """As AutoGen's, where no tools are offered."""
        if not tools:
            return await super().create(messages, **given)
        offered = list(tools)  # schemas: an agent lists them from its workbench
        system, *others = messages
        listed = "\n".join(
            f"- {each['name']}: {each['description']} {json.dumps(each['parameters']['properties'])}" for each in offered
        )
        calls = [
            {
                "type": "object",
                "properties": {"name": {"const": each["name"]}, "arguments": each["parameters"]},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for each in offered
        ]
        given.pop("tool_choice", None)
        schema = {"name": "call", "schema": {"anyOf": calls}}
        made = await super().create(
            [SystemMessage(content=f"{system.content}\nReply with one call of a tool, in JSON. Tools:\n{listed}"), *others],
            extra_create_args={"response_format": {"type": "json_schema", "json_schema": schema}},
            **given,
        )
        reply = json.loads(made.content)
        call = FunctionCall(id="call-1", name=reply["name"], arguments=json.dumps(reply["arguments"]))
        return CreateResult(finish_reason="function_calls", content=[call], usage=made.usage, cached=False)
