"""All tools of the app."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.safety import RefusedError
from reference_app.tools.signing import find_unsigned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference_app.settings import Settings
    from reference_app.tools.registry import Registry, Tool
    from reference_app.tools.sql.agent import Complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """
    Attributes:
        registry: What a plan may call: `tools`, `decide` and `run`.
        attachments: The same of what the app itself calls for what a question brings along; the settings say
            what may be read.
        close: Ends connections, and the shop's service where it was started here.
    """

    registry: Registry
    attachments: Registry
    close: Callable[[], None]


def open_tools(
    settings: Settings,
    complete_sql: Complete,
    check: Callable[[Sequence[Tool]], frozenset[str]] = find_unsigned,
) -> Toolbox:
    """
    The tools of the shop's service, `ask_database`, and those that read attachments.

    The service is started by the first call that needs it, an MCP server that has the tools instead at once.

    Args:
        settings: Where the shop is, and whose rights count.
        complete_sql: The chat model that writes queries; gets messages and returns its reply.
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
        planned = [*operations, database_tool(database, settings.prompts, complete_sql)]
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
        return Toolbox(
            registry=Registry(planned, policy, hosts=settings.pages.hosts, unsigned=unsigned),
            attachments=Registry(attached.values(), Policy(source=settings.policy, rules=declared)),
            close=closing.pop_all().close,
        )
