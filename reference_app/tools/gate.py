"""The tools of the app as the graph uses them: what a plan may call, and what decides about each call."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reference_app.guardrails.injection import scan
from reference_app.safety import RefusedError
from reference_app.safety.urls import read_url
from reference_app.tools.registry import NOT_OWN
from reference_app.tools.signing import find_unsigned
from reference_app.tracing import trace_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.tools import BaseTool

    from reference_app.guardrails.calls.request import Confirmation, Decision
    from reference_app.settings import Settings
    from reference_app.tools.calls import ToolCall
    from reference_app.tools.registry import Registry, Tool
    from reference_app.tools.sql.agent import Complete

REMOVED = "[removed]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """
    Decides about calls under fixed settings.

    Attributes:
        registry: What a plan may call.
        attachments: What the app itself calls for what a message brings along.
        planned: Of the former, what somebody signed for.
        withheld: The others, which no plan is offered.
        close: Ends connections, and the shop's service where it was started here.
    """

    settings: Settings
    registry: Registry
    attachments: Registry
    planned: tuple[Tool, ...]
    withheld: tuple[Tool, ...]
    close: Callable[[], None]

    def decide(self, name: str, arguments: dict[str, Any], said: Sequence[str]) -> Decision:
        """What would happen to a call of a plan; runs nothing. `said` is all that the customer wrote."""
        return self.registry.decide(
            name, arguments, self.settings.role, said=said, guards=self.settings.guards
        )

    def run(  # noqa: PLR0913 - what a call is decided by
        self,
        name: str,
        arguments: dict[str, Any],
        said: Sequence[str],
        confirmation: Confirmation | None = None,
        customer: int | None = None,
        *,
        attached: bool = False,
    ) -> ToolCall:
        """
        Make the call if it may be made, and record it; what gives orders to the model is cut out.

        Args:
            customer: Who is signed in, and may see no other's orders; staff may see all.
            attached: Whether the app itself calls it for what a message brings along, and no plan.
        """
        guards = self.settings.guards
        if attached:
            return self.attachments.run(name, arguments, self.settings.role)
        owner = self._owner(customer)
        record = self.registry.run(
            name, arguments, self.settings.role, confirmation, said=said, guards=guards, customer=owner
        )
        return replace(record, result=clean(record.result)) if "input" in guards else record

    def is_foreign(self, arguments: Mapping[str, Any], customer: int | None) -> bool:
        """Whether a call would be about another customer's order."""
        owner, order = self._owner(customer), arguments.get("order_id")
        if owner is None or order is None:
            return False
        looked = self.registry.run("order_status", {"order_id": order}, self.settings.role, customer=owner)
        return looked.reason == NOT_OWN.reason

    def _owner(self, customer: int | None) -> int | None:
        """Whose orders alone a call may be about; None for anybody's."""
        return customer if "owner" in self.settings.guards and self.settings.role != "staff" else None

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


def open_gate(
    settings: Settings,
    complete: Complete,
    check: Callable[[Sequence[Tool]], frozenset[str]] = find_unsigned,
) -> Gate:
    """
    The tools of the shop's service, `ask_database`, and those that read attachments.

    The service is started by the first call that needs it, an MCP server that has the tools instead at once.

    Args:
        settings: Where the shop is, and whose rights count.
        complete: `Models.complete`, for the queries that a chat model writes.
        check: Returns the names of the tools that are not to be called.

    Raises:
        AppError: The policy, the orders, an address or the signatures cannot be used, or a tool of the app's
            own, which reads attachments, is not to be called.
    """
    from reference_app.guardrails.calls.request import Declaration
    from reference_app.shop.database import open_shop
    from reference_app.shop.server import LocalShop, RemoteShop
    from reference_app.tools.api import ShopApi
    from reference_app.tools.attachments import attachment_tools
    from reference_app.tools.policy import ROLES, Policy, load_policy
    from reference_app.tools.registry import Registry
    from reference_app.tools.sql.agent import database_tool

    if settings.shop_url is None:
        shop: LocalShop | RemoteShop = LocalShop(settings.orders, settings.cache)
    else:
        shop = RemoteShop(settings.shop_url, settings.shop_token or "")
    api = ShopApi(shop, source=settings.openapi)
    policy = load_policy(settings.policy)
    with ExitStack() as closing:
        closing.callback(api.close)
        operations = api.make_tools()
        database = open_shop(settings.orders, settings.cache)
        planned = [*operations, database_tool(database, settings.prompts, complete)]
        if settings.mcp is not None:
            from reference_app.tools.mcp.client import McpTools

            public = {tool.name for tool in operations if "order_id" not in tool.parameters["properties"]}
            served = McpTools(
                settings.mcp, lambda name: policy.decide(name, settings.role) == "confirm", public
            )
            closing.callback(served.close)
            planned = served.make_tools()
        attached = {tool.name: tool for tool in attachment_tools(settings)}
        unsigned = check([*planned, *attached.values()]) if "manifest" in settings.guards else frozenset()
        if own := unsigned & attached.keys():
            raise RefusedError(f"The tool {min(own)} is refused: it is not as somebody signed for it.")
        declared = {name: Declaration(outcomes=dict.fromkeys(ROLES, "allow")) for name in attached}
        return Gate(
            settings=settings,
            registry=Registry(planned, policy, hosts=settings.pages.hosts, unsigned=unsigned),
            attachments=Registry(attached.values(), Policy(source=settings.policy, rules=declared)),
            planned=tuple(tool for tool in planned if tool.name not in unsigned),
            withheld=tuple(tool for tool in planned if tool.name in unsigned),
            close=closing.pop_all().close,
        )


def clean(value: Any) -> Any:
    """The result of a tool without the texts in it that give orders to the model."""
    if isinstance(value, Mapping):
        return {name: clean(one) for name, one in value.items()}
    if isinstance(value, list):
        return [clean(one) for one in value]
    return REMOVED if isinstance(value, str) and is_poisoned(value) else value


def is_poisoned(text: str) -> bool:
    """Whether a text gives orders to the model that would read it, which the input guard then traces."""
    suspicion = scan(text)
    if suspicion.flagged:
        trace_guard("input", suspicion.reason, text=text)
    return suspicion.flagged
