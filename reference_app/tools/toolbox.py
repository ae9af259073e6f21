"""All tools of the app behind one registry."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.safety import RefusedError
from reference_app.tools.signing import find_unsigned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference_app.documents.index import Encode
    from reference_app.settings import Settings
    from reference_app.tools.registry import Registry, Tool
    from reference_app.tools.sql.agent import Named
    from reference_app.tools.sql.understood import Understood

    Complete = Callable[[list[dict[str, str]]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """
    Attributes:
        registry: What a plan may call.
        attachments: What the app itself calls for what a question brings along; no policy is asked, since the
            settings say what may be read.
        understand: A question as a query of the database, None where it cannot be read as one; runs nothing.
        concerns: Whether a question is of the database's figures, even if it cannot be read as a query.
        find_names: The products and stores that a text names.
        unsigned: Names of the planned tools that are not as somebody signed for them.
        close: Ends connections, and the shop's service where it was started here.
    """

    registry: Registry
    attachments: Registry
    understand: Callable[[str], Understood | None]
    concerns: Callable[[str], bool]
    find_names: Callable[[str], Named]
    unsigned: frozenset[str]
    close: Callable[[], None]


def open_toolbox(
    settings: Settings,
    encode: Encode,
    complete: Complete | None,
    check: Callable[[Sequence[Tool]], frozenset[str]] = find_unsigned,
) -> Toolbox:
    """
    The tools of the shop's service, the one that asks its database, and those that read attachments.

    The service is started by the first call that needs it, an MCP server that has the tools instead at once.

    Args:
        settings: Where the shop is, and whose rights count.
        encode: For the words of questions and of the database.
        complete: A chat model that can write SQL; None leaves it to the words of the question.
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
    from reference_app.tools.sql.agent import SqlAgent, query_tool

    if settings.shop_url is None:
        shop: LocalShop | RemoteShop = LocalShop(settings.orders, settings.cache)
    else:
        shop = RemoteShop(settings.shop_url, settings.shop_token or "")
    api = ShopApi(shop, source=settings.openapi)
    database = settings.database_url or open_shop(settings.orders, settings.cache)
    agent = SqlAgent(database, encode, complete, settings.prompts)
    policy = load_policy(settings.policy)
    with ExitStack() as closing:
        closing.callback(api.close)
        operations = api.make_tools()
        planned = [*operations, query_tool(agent)]
        if settings.mcp is not None:
            from reference_app.tools.mcp.client import McpTools

            public = {tool.name for tool in operations if "order_id" not in tool.parameters["properties"]}
            served = McpTools(
                settings.mcp, lambda name: policy.decide(name, settings.role) == "confirm", public
            )
            closing.callback(served.close)
            planned = served.make_tools()
        attached = attachment_tools(settings)
        unsigned = check([*planned, *attached]) if "manifest" in settings.guards else frozenset()
        if own := unsigned & {tool.name for tool in attached}:
            raise RefusedError(f"The tool {min(own)} is refused: it is not as somebody signed for it.")
        rules = {tool.name: Declaration(outcomes=dict.fromkeys(ROLES, "allow")) for tool in attached}
        return Toolbox(
            registry=Registry(planned, policy, hosts=settings.pages.hosts, unsigned=unsigned),
            attachments=Registry(attached, Policy(source=settings.policy, rules=rules)),
            understand=agent.understand,
            concerns=agent.concerns,
            find_names=agent.find_names,
            unsigned=unsigned,
            close=closing.pop_all().close,
        )
