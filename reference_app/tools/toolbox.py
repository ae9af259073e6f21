"""All tools of the app behind one registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_app.documents.index import Encode
    from reference_app.settings import Settings
    from reference_app.tools.registry import Registry

    Complete = Callable[[list[dict[str, str]]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """
    Attributes:
        close: Ends connections, and the shop's service where it was started here.
    """

    registry: Registry
    close: Callable[[], None]


def open_toolbox(settings: Settings, encode: Encode, complete: Complete | None) -> Toolbox:
    """
    The tools of the shop's service and the one that asks its database.

    The service is started by the first call that needs it.

    Args:
        settings: Where the shop is, and whose rights count.
        encode: For the words of questions and of the database.
        complete: A chat model that can write SQL; None leaves it to the shapes that the app knows.

    Raises:
        AppError: The policy, the orders or an address cannot be used.
    """
    from reference_app.shop.database import open_shop
    from reference_app.shop.server import LocalShop, RemoteShop
    from reference_app.tools.api import ShopApi
    from reference_app.tools.policy import load_policy
    from reference_app.tools.registry import Registry
    from reference_app.tools.sql.agent import SqlAgent, query_tool

    if settings.shop_url is None:
        shop: LocalShop | RemoteShop = LocalShop(settings.orders, settings.cache)
    else:
        shop = RemoteShop(settings.shop_url, settings.shop_token or "")
    api = ShopApi(shop)
    database = settings.database_url or open_shop(settings.orders, settings.cache)
    agent = SqlAgent(database, encode, complete, settings.prompts)
    registry = Registry([*api.make_tools(), query_tool(agent)], load_policy(settings.policy))
    return Toolbox(registry=registry, close=api.close)
