"""The tools of the app as the graph uses them: what a plan may call, and what decides about each call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_app.safety import RefusedError
from reference_app.safety.urls import read_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.tools import BaseTool

    from reference_app.models.client import Models
    from reference_app.settings import Settings
    from reference_app.state import State
    from reference_app.tools.calls import ToolCall
    from reference_app.tools.policy import Outcome
    from reference_app.tools.registry import Confirmation, Decision, Registry, Tool

SQL_TOKENS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """
    Attributes:
        registry: What a plan may call.
        attachments: What the app itself calls for what a message brings along.
        close: Ends connections, and the shop's service where it was started here.
    """

    settings: Settings
    registry: Registry
    attachments: Registry
    planned: tuple[Tool, ...]
    close: Callable[[], None]

    def decide(self, name: str, arguments: dict[str, Any], state: State) -> Decision:
        """What would happen to this call; runs nothing."""
        return self._find(name).decide(name, arguments, self.settings.role)

    def run(
        self, name: str, arguments: dict[str, Any], state: State, confirmation: Confirmation | None
    ) -> ToolCall:
        """Make the call, if it may be made, and record it."""
        return self._find(name).run(
            name,
            arguments,
            self.settings.role,
            confirmation,
            customer=state["customer"] if "owner" in self.settings.guards else None,
        )

    def may_read(self, url: str) -> bool:
        """Whether this is a page of the shop."""
        try:
            read_url(url, self.settings.pages)
        except RefusedError:
            return False
        return True

    def as_langchain(self) -> list[BaseTool]:
        """All tools in LangChain's form, which `ToolNode` takes; they run behind `call_tool` alone."""
        from langchain_core.tools import StructuredTool

        return [
            StructuredTool.from_function(
                func=lambda **_: None,
                name=tool.name,
                description=tool.description,
                args_schema=dict(tool.parameters),
            )
            for tool in (*self.planned, *self.attachments.tools)
        ]

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """What a plan may call, as the conventions for spans write it."""
        return [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            }
            for tool in self.planned
        ]

    def _find(self, name: str) -> Registry:
        own = any(tool.name == name for tool in self.attachments.tools)
        return self.attachments if own else self.registry


def open_gate(settings: Settings, models: Models) -> Gate:
    """
    All tools, asked by the chat model of `models`.

    Raises:
        AppError: As `open_tools`.
    """
    from reference_app.models.prompt import load_prompt
    from reference_app.tools.policy import ROLES, Policy
    from reference_app.tools.registry import Registry
    from reference_app.tools.toolbox import open_tools

    prompt = load_prompt(settings.prompts, "sql")
    box = open_tools(settings, lambda messages: models.complete(prompt, messages, max_tokens=SQL_TOKENS))
    everybody: dict[str, Outcome] = dict.fromkeys(ROLES, "allow")  # the settings say what may be read
    anybody = dict.fromkeys(box.attachments, everybody)
    return Gate(
        settings=settings,
        registry=box.registry,
        attachments=Registry(box.attachments.values(), Policy(source=settings.policy, rules=anybody)),
        planned=tuple(tool for tool in box.registry.tools if tool.name not in box.unsigned),
        close=box.close,
    )
