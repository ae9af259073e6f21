"""The tools of the app as the graph uses them: what a plan may call, and what decides about each call."""

from __future__ import annotations

from contextlib import ExitStack
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
    from reference_app.tools.registry import Confirmation, Decision, Registry, Tool

SQL_TOKENS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """
    Attributes:
        registry: What a plan may call.
        attachments: What the app itself calls for what a message brings along; the settings say what may be read.
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
    The tools of the shop's service or of an MCP server, and those that read what a message brings along.

    Raises:
        AppError: The policy, the orders, an address or the signatures cannot be used, or a tool of the app's
            own, which reads attachments, is not as somebody signed for it.
    """
    from reference_app.models.prompt import load_prompt
    from reference_app.tools.attachments import attachment_tools
    from reference_app.tools.policy import ROLES, Policy, load_policy
    from reference_app.tools.registry import Registry
    from reference_app.tools.signing import find_unsigned
    from reference_app.tools.toolbox import open_tools

    prompt = load_prompt(settings.prompts, "sql")
    with ExitStack() as closing:
        tools, close = open_tools(
            settings, lambda messages: models.complete(prompt, messages, max_tokens=SQL_TOKENS)
        )
        closing.callback(close)
        attached = attachment_tools(settings)
        unsigned = find_unsigned([*tools, *attached]) if "manifest" in settings.guards else frozenset()
        if own := unsigned & {tool.name for tool in attached}:
            raise RefusedError(f"The tool {min(own)} is refused: it is not as somebody signed for it.")
        anybody = {tool.name: dict.fromkeys(ROLES, "allow") for tool in attached}
        return Gate(
            settings=settings,
            registry=Registry(tools, load_policy(settings.policy)),
            attachments=Registry(attached, Policy(source=settings.policy, rules=anybody)),
            planned=tuple(tool for tool in tools if tool.name not in unsigned),
            close=closing.pop_all().close,
        )
