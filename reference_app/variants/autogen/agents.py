"""The agents, and the shop's tools as AutoGen takes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import HandoffMessage, TextMessage
from autogen_core.tools import BaseTool
from openai import OpenAIError
from pydantic import BaseModel

from reference_app.errors import AppError
from reference_app.state import Call, Plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from reference_app.variants.autogen.desk import Desk

PLANNER, SUPPORT, PERSON = "planner", "support", "user"


class PlanningAgent(AssistantAgent):  # type: ignore[misc]  # its types are not installed beside mypy
    """Hands its text, the plan, to the support agent."""

    produced_message_types = (HandoffMessage,)

    async def on_messages_stream(self, *given: Any) -> AsyncIterator[Any]:
        try:
            async for event in super().on_messages_stream(*given):
                if isinstance(event, Response):
                    said = event.chat_message
                    event.chat_message = HandoffMessage(
                        source=self.name, target=SUPPORT, content=said.content, models_usage=said.models_usage
                    )
                yield event
        except OpenAIError as error:  # of a connection; what the embedded endpoint says of it is its cause
            raise (error.__cause__ if isinstance(error.__cause__, AppError) else error) from None


class SupportAgent(BaseChatAgent):  # type: ignore[misc]
    """Carries out the plan that it is handed; hands over to a person if a call has to be confirmed."""

    produced_message_types = (TextMessage, HandoffMessage)

    def __init__(self, desk: Desk) -> None:
        super().__init__(SUPPORT, "Uses the shop's tools and answers.")
        self._desk = desk

    async def on_messages(self, messages: Any, _: Any) -> Response:
        text = self._desk.carry_out(messages[-1].content)
        if self._desk.pending:
            return Response(chat_message=HandoffMessage(source=SUPPORT, target=PERSON, content=text))
        return Response(chat_message=TextMessage(source=SUPPORT, content=text))

    async def on_reset(self, _: Any) -> None:
        """It keeps nothing."""


class ShopTool(BaseTool[BaseModel, str]):  # type: ignore[misc]
    """A tool of the app's registry under the registry's own schema; the registry traces its calls."""

    def __init__(self, definition: Mapping[str, Any], desk: Desk) -> None:
        super().__init__(BaseModel, str, definition["name"], definition["description"])
        self._definition, self._desk = definition, desk

    @property
    def schema(self) -> Any:
        return {name: self._definition[name] for name in ("name", "description", "parameters")}

    async def run_json(self, args: Mapping[str, Any], *_: Any, **__: Any) -> str:
        made = self._desk.make(Plan(route="tools", calls=(Call(name=self.name, arguments=dict(args)),)))[-1]
        return json.dumps(made.result or {made.decision: made.reason}, ensure_ascii=False)

    async def run(self, *_: Any) -> str:
        raise NotImplementedError
