"""Sentences that the app says itself: what a tool found, what it may not do, what a person has to confirm."""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Any

from reference_app.dialogue.orders import read_facts
from reference_app.dialogue.wording import LANGUAGES, find_language, find_orders
from reference_app.errors import PromptError
from reference_app.nodes.rows import write_rows
from reference_app.nodes.showing import MAX_ROWS, show
from reference_app.tools.registry import NOT_OWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from reference_app.state import ToolCall

_ORDER = ("order_id", "status", "carrier", "tracking", "sent", "expected", "delivered", "items")
LOOKUPS = {"order_status", "shipment", "loyalty_points"}
REPLIES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("unknown", "unknown_rest", "refuse", "failed", "row_none"), ()),
    **dict.fromkeys(
        [f"missing_{name}" for name in ("order_id", "postcode", "product", "store", "fewer")], ()
    ),
    **dict.fromkeys((f"language_{name}" for name in LANGUAGES), ()),
    **dict.fromkeys(("denied", "pending", "rejected"), ("call",)),
    "pending_order": ("order_id", "items", "total"),
    **dict.fromkeys(("not_own_order", "unknown_order", "already_refunded", "not_on_its_way"), ("order_id",)),
    "unknown_product": ("product",),
    "unknown_store": ("store",),
    "no_query": ("question",),
    **dict.fromkeys(
        (f"order_{state}" for state in ("processing", "shipped", "sent", "returned", "cancelled")), _ORDER
    ),
    **dict.fromkeys(("order_delivered", "order_arrived", "order_expected", "order_in_time"), _ORDER),
    **dict.fromkeys(("order_carrier", "order_untracked", "order_items"), _ORDER),
    "order_total": ("order_id", "total"),
    "order_ordered": ("order_id", "ordered"),
    "order_late": ("days",),
    **dict.fromkeys(("time_ahead", "time_over"), ("start", "time", "end")),
    "points_worth": ("points", "amount"),
    **dict.fromkeys(
        ("points_booked", "points_due", "points_open", "points_none"), ("order_id", "points", "day")
    ),
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

    def ask(self, call: ToolCall, order: Mapping[str, Any]) -> str:
        """What a person is asked before a call is made: the tool, its arguments, and the order."""
        text = self.say("pending", call=write_call(call))
        if not order.get("items"):
            return text
        return f"{text} {self.say('pending_order', **{**order, 'total': write_pounds(order['total'])})}"

    def language(self, question: str) -> str:
        """A line for who writes in another language than English; empty for all others."""
        language = find_language(question)
        return self.say(f"language_{language}") if language else ""

    def tell(self, calls: Sequence[ToolCall], question: str = "") -> str:
        """What each call found, in their order; of an order, what was asked for besides its state."""
        orders: dict[str, dict[str, Any]] = {}
        for call in calls:
            if _looked_up(call):
                orders.setdefault(call.arguments["order_id"], {}).update(call.result or {})
        said: list[str] = []
        for call in calls:
            if not _looked_up(call):
                said += [text for text in [self._tell(call)] if text not in said]
            elif order := orders.pop(call.arguments["order_id"], None):
                said += self._tell_order(order, read_facts(question))
        return " ".join(said)

    def _tell(self, call: ToolCall) -> str:
        result = call.result or {}
        if call.decision == "denied" or "error" in result:
            return self._tell_failure(call, result)
        if "rows" in result:
            return self._tell_rows(result)
        if call.name == "store_stock" and not result["quantity"]:
            return self.say("store_stock_none", **result)
        return self.say(call.name, **call.arguments | result)

    def _tell_failure(self, call: ToolCall, result: Mapping[str, Any]) -> str:
        if call.decision == "denied":
            if call.reason == SETTLED:
                return self.say(_TOO_LATE[call.name], **call.arguments)
            named = find_orders(" ".join(map(str, call.arguments.values())))
            if call.reason == NOT_OWN.reason and named:
                return self.say("not_own_order", order_id=" or ".join(named))
            return self.say("rejected" if call.reason == REJECTED else "denied", call=write_call(call))
        occasion = _REFUSALS.get(result["error"], "failed")  # a shop elsewhere chooses the word
        if not set(REPLIES[occasion]) <= set(call.arguments):
            occasion = "failed"
        return self.say(occasion, **call.arguments)

    def _tell_order(self, order: Mapping[str, Any], asked: AbstractSet[str]) -> Iterator[str]:
        """A model that rephrases facts can only lose, so none is asked to."""
        if "status" in order:
            yield from self._tell_state(order, asked)
            if order["carrier"] and (order["status"] in ("shipped", "delivered") or "carrier" in asked):
                yield self.say("order_carrier" if order["tracking"] else "order_untracked", **order)
            if order.get("items") and ("items" in asked or not asked):
                yield self.say("order_items", **order)
            if "ordered" in asked and order.get("ordered"):
                yield self.say("order_ordered", **order)
            if "total" in asked and order.get("items"):
                yield self.say("order_total", order_id=order["order_id"], total=write_pounds(order["total"]))
        if "points" in order:
            yield self.say(_points_occasion(order), **order)

    def _tell_state(self, order: Mapping[str, Any], asked: AbstractSet[str]) -> Iterator[str]:
        status = order["status"]
        if status == "shipped" and order.get("sent"):
            yield self.say("order_sent", **order)
        elif status == "delivered" and order.get("delivered"):
            yield self.say("order_arrived", **order)
        else:
            yield self.say(f"order_{status}", **order)
        if status == "processing" and order["expected"]:
            yield self.say("order_expected", **order)
        if status == "returned" and "late" in asked and order.get("delivered"):
            yield self.say("order_arrived", **order)
        if status != "cancelled" and "late" in order:
            days = order["days_late"]
            if order["late"]:
                yield self.say("order_late", days="1 day" if days == 1 else f"{days} days")
            elif status in ("shipped", "delivered"):
                yield self.say("order_in_time", **order)

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


def write_pounds(amount: float) -> str:
    """`£143.00`."""
    return f"£{amount:.2f}"


def _looked_up(call: ToolCall) -> bool:
    return (
        call.name in LOOKUPS
        and call.decision in ("allowed", "confirmed")
        and "error" not in (call.result or {})
    )


def _points_occasion(order: Mapping[str, Any]) -> str:
    if not order["points"]:
        return "points_none"
    if order["booked"]:
        return "points_booked"
    return "points_due" if order["day"] else "points_open"


def _show_figure(value: object) -> str:
    """A weight of 2.1 kg is no price, so no figure gets zeros."""
    return f"{round(value, 2):g}" if isinstance(value, float) else show(value)


REJECTED = "the person who was asked did not want it"
SETTLED = "the order is in a state in which the shop refuses it"
_TOO_LATE = {"request_refund": "already_refunded", "change_address": "not_on_its_way"}


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
