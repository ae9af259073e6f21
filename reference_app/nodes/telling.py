"""Sentences that the app says itself: what a tool found, what it may not do, what a person has to confirm."""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Any

from reference_app.errors import PromptError
from reference_app.nodes.facts import MAX_ROWS, show
from reference_app.nodes.rows import write_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_app.state import ToolCall

_ORDER = ("order_id", "status", "carrier", "tracking", "ordered", "expected")
_SHIPMENT = (*_ORDER[:4], "sent", "expected", "delivered", "days_late")
REPLIES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("unknown", "refuse", "failed", "row_none"), ()),
    "mend": ("reason",),
    **dict.fromkeys(("denied", "pending", "rejected"), ("call",)),
    **dict.fromkeys(("unknown_order", "already_refunded", "not_on_its_way"), ("order_id",)),
    "unknown_product": ("product",),
    "unknown_store": ("store",),
    "no_query": ("question",),
    **dict.fromkeys(
        ("order_processing", "order_shipped", "order_delivered", "order_returned", "order_cancelled"), _ORDER
    ),
    "order_carrier": _ORDER,
    **dict.fromkeys(("shipment_none", "shipment_late", "shipment_in_time", "shipment_delivered"), _SHIPMENT),
    "loyalty_points": ("order_id", "points", "day"),
    **dict.fromkeys(("store_stock", "store_stock_none"), ("product", "store", "quantity")),
    "request_refund": ("order_id", "amount", "request"),
    "change_address": ("order_id", "postcode", "fee", "request"),
    "adjust_points": ("order_id", "points", "request"),
    "row_one": ("row",),
    "row_found": ("understood", "rows"),
    **dict.fromkeys(("row_yes", "row_no"), ("understood", "rows")),
    **dict.fromkeys(("row_missing", "row_no_missing"), ("understood",)),
    **dict.fromkeys(
        ("row_cheaper", "row_lighter", "row_earlier", "row_equal"),
        ("verdict", "first", "first_value", "second", "second_value", "difference"),
    ),
    "row_more": ("count", "rows"),
}
"""What the app says, by occasion, with the places that each may hold."""
_REFUSALS = {
    **{
        word: word
        for word in (
            "unknown_order",
            "unknown_product",
            "unknown_store",
            "no_query",
            "already_refunded",
            "not_on_its_way",
        )
    },
    **dict.fromkeys(("refused", "empty", "suspicious"), "unknown"),  # of what a customer sent along
    **dict.fromkeys(("denied", "too_slow"), "no_query"),  # the query was at fault, not the shop
}


class Telling:
    """Fills the replies of the answerer's prompt file; a value is never read as a template."""

    def __init__(self, replies: Mapping[str, str]) -> None:
        """Raises PromptError where a reply holds a place that is never filled."""
        for occasion, places in REPLIES.items():
            if wrong := _find_wrong_place(replies[occasion], places):
                known = ", ".join(f"{{{place}}}" for place in places) or "none"
                raise PromptError(f"The reply {occasion!r} holds {wrong}; its places are {known}.")
        self._replies = replies

    def say(self, occasion: str, **values: Any) -> str:
        """The reply for an occasion, its places filled."""
        return self._replies[occasion].format_map({name: show(value) for name, value in values.items()})

    def ask(self, call: ToolCall) -> str:
        """What a person is asked before a call is made: the tool and all its arguments."""
        return self.say("pending", call=write_call(call))

    def tell(self, calls: Sequence[ToolCall]) -> str:
        """One sentence or two a call, in their order."""
        return " ".join(self._tell(call) for call in calls)

    def _tell(self, call: ToolCall) -> str:
        result = call.result or {}
        if call.decision == "denied" or "error" in result:
            return self._tell_failure(call, result)
        if "rows" in result:
            return self._tell_rows(result)
        if call.name == "order_status":
            return self._tell_order(result)
        if call.name == "shipment":
            return self._tell_shipment(result)
        if call.name == "store_stock" and not result["quantity"]:
            return self.say("store_stock_none", **result)
        return self.say(call.name, **call.arguments | result)

    def _tell_failure(self, call: ToolCall, result: Mapping[str, Any]) -> str:
        if call.decision == "denied":
            rejected = call.reason == REJECTED
            return self.say("rejected" if rejected else "denied", call=write_call(call))
        occasion = _REFUSALS.get(result["error"], "failed")  # a shop elsewhere chooses the word
        if not set(REPLIES[occasion]) <= set(call.arguments):
            occasion = "failed"
        return self.say(occasion, **call.arguments)

    def _tell_order(self, order: Mapping[str, Any]) -> str:
        """A model that rephrases facts can only lose; so the untuned one is not asked to."""
        text = self.say(f"order_{order['status']}", **order)
        if order["status"] in ("shipped", "delivered") and order["carrier"]:
            text += " " + self.say("order_carrier", **order)
        return text

    def _tell_shipment(self, shipment: Mapping[str, Any]) -> str:
        if shipment.get("delivered"):
            return self.say("shipment_delivered", **shipment)
        if not shipment.get("carrier"):
            return self.say("shipment_none", **shipment)
        return self.say("shipment_late" if shipment["late"] else "shipment_in_time", **shipment)

    def _tell_rows(self, result: Mapping[str, Any]) -> str:
        if "understood" in result:
            occasion, values = write_rows(result)
            return self.say(occasion, **values)
        rows = [", ".join(map(_show_figure, row)) for row in result["rows"]]
        if not rows or result["rows"] == [[None]]:
            return self.say("row_none")
        if len(rows) == 1:
            return self.say("row_one", row=rows[0])
        more = len(rows) - MAX_ROWS
        listed = "; ".join(rows[:MAX_ROWS]) + (f"; and {more} more" if more > 0 else "")
        return self.say("row_more", count=len(rows), rows=listed)


def _show_figure(value: object) -> str:
    """A weight of 2.1 kg is no price, so no figure gets zeros."""
    return f"{round(value, 2):g}" if isinstance(value, float) else show(value)


REJECTED = "the person who was asked did not want it"


def _find_wrong_place(reply: str, places: Sequence[str]) -> str:
    try:
        parts = list(Formatter().parse(reply))
    except ValueError as error:
        return f"a brace that is no place ({error})"
    wrong = (name for _, name, form, how in parts if name is not None and (name not in places or form or how))
    return next((f"a wrong {{{name}}}" for name in wrong), "")


def write_call(call: ToolCall) -> str:
    """`request_refund(order_id FW-10427)`."""
    return f"{call.name}({', '.join(f'{name} {show(value)}' for name, value in call.arguments.items())})"
