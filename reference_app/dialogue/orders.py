"""What a message asks about orders: which facts, which action, and what it leaves out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reference_app.dialogue.wording import find_orders
from reference_app.state import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

FACTS = {
    "items": r"\bitems?\b|\bcontents?\b|\bwhat(?:'s| is| was| did|'d)?\b.{0,20}\b(?:in|order(?:ed)?)\b|\binside\b|\bcontain",
    "carrier": r"\bcarrier\b|\bcouriers?\b|\bwho(?:'s| is| has)? (?:deliver|bring|carr|ship|got)\w*|\bcompany\b|\bby whom\b|\bbrought\b|\bbringing\b|\bhow (?:was|is) it sent\b",
    "tracking": r"\btrack",
    "sent": r"\bsent\b|\bdispatch|\bposted\b|\bshipped\b|\bsend it\b|\bleave\b|\bleft\b",
    "delivered": r"\barriv|\bdeliver(?:ed|y)\b|\bget(?:s)? (?:here|to)\b|\bgot\b|\breach|\bexpect|\bdue\b|\bcom(?:e|es|ing)\b|\bbe here\b|\breceiv|\bturn(?:s|ed)? up\b|\bwhen (?:will|should|do|does|can|is)\b|\bl(?:lega|legará)\b",
    "late": r"\blate\b|\bdelay|\bon time\b|\bin time\b|\boverdue\b|\bmeant to\b|\bsupposed to\b|\bstill (?:not|waiting|haven't)\b|\bwhat(?:'s| is) going on\b",
    "status": r"\bwhere\b|\bstatus\b|\bstate\b|\bstands?\b|\bhappen|\bnews\b|\bupdate\b|\bprogress\b|\bchecked in\b|\bheard\b|\bgoing on\b|\bdónde\b|\bwo ist\b",
    "points": r"\bpoints?\b|\btrailmarks\b|\bpuntos\b|\bpunkte\b|\bearn(?:ed)?\b",
}
_FACTS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in FACTS.items()}
_SHIPMENT = {"sent", "delivered", "late", "carrier", "tracking"}
_RULES = re.compile(
    r"\b(?:cancel|call off|stop|return|exchang|swap|warrant|guarantee|repair|complain|allowed|if (?:it|i|the)|floor|how do i|"
    r"can i|could i|may i|am i|do they|do you|what if|how long)",
    re.IGNORECASE,
)
POSTCODE = re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b", re.IGNORECASE)
ACTIONS = {
    "request_refund": re.compile(
        r"\brefund(?! (?:policy|time|take|status))|\b(?:my |the )?(?:money|cash) (?:back|for)\b|\bpay (?:me|it|that|us) back\b|\breimburse",
        re.IGNORECASE,
    ),
    "change_address": re.compile(
        r"\b(?:change|update|correct|edit|new|another|different|other)\b.{0,25}\b(?:address|postcode|place)\b|\bredirect\b|"
        r"\b(?:send|sent|deliver|delivered|go|ship)\b.{0,25}\b(?:to|instead)\b.{0,20}(?:\binstead\b|\b[A-Z]{1,2}\d)|\bdifferent place\b",
        re.IGNORECASE,
    ),
    "adjust_points": re.compile(r"\b(?:add|credit|give|grant|book|adjust|take|remove|deduct)\b.{0,40}\bpoints?\b", re.IGNORECASE),
}
"""What has to be said before a tool with consequences is called."""
_WHETHER = re.compile(
    r"^\W*(?:can|could|may|how|until|when|what|where|is|are|do|does|will|if|why)\b(?! you (?:please )?(?:change|refund|send|redirect|update))",
    re.IGNORECASE,
)
_OWN_ORDER = re.compile(
    r"\bmy (?:\w+ ){0,2}?(?:order|parcel|package|delivery|purchase|stuff|things|shipment|refund)\b|\b(?:i|we) (?:ordered|bought)\b.{0,30}\b(?:last|yesterday|week|ago|days?)\b",
    re.IGNORECASE,
)
_ASKS_STATE = re.compile(
    r"\bwhere(?:'s|s| is| are)? my\b|\btrack my\b|\b(?:status|state|whereabouts) of my\b|\b(?:has|have|did|is|was|when will|when does|when is) my (?:\w+ )?(?:order|parcel|package|delivery|purchase|refund)\b|"
    r"\bpoints\b.{0,30}\bmy (?:\w+ )?(?:order|purchase)\b|\bmy (?:last|latest|recent) (?:order|purchase)\b",
    re.IGNORECASE,
)
_REFUND_NOW = re.compile(r"\b(?:i want|i'd like|i would like|i need|please|pls|can you|could you|give me)\b|\bnow\b|^\W*refund\b", re.IGNORECASE)
STOCK = re.compile(r"\bstock\b|\bhave\b|\bgot\b|\bleft\b|\bany\b|\bavailable\b|\bsell\b|\bcarry\b|\bthere\b|\bhow many\b", re.IGNORECASE)
NEARBY = re.compile(r"\b(?:near|nearest|close to|local|my town|around here|nearby)\b", re.IGNORECASE)


def read_facts(text: str) -> frozenset[str]:
    """Which facts of an order are asked for."""
    bare = re.sub(r"\(?order FW-\d{5}\)?|FW-\d{5}", " ", text, flags=re.IGNORECASE)
    return frozenset(name for name, pattern in _FACTS.items() if pattern.search(bare))


def read_actions(text: str) -> frozenset[str]:
    """Which tools with consequences the text calls for; "can I get a refund?" asks for a rule."""
    return frozenset(name for name, pattern in ACTIONS.items() if pattern.search(text))


def asks_for_rule(text: str) -> bool:
    """Whether something is asked that no order holds."""
    return _RULES.search(text) is not None


def lookups(orders: Sequence[str], facts: frozenset[str]) -> tuple[Call, ...]:
    """The calls that find the facts of each order; its state where none is named."""
    names = [
        name
        for name, wanted in (
            ("order_status", bool(facts & {"items", "status"} or not facts)),
            ("shipment", bool(facts & _SHIPMENT)),
            ("loyalty_points", "points" in facts),
        )
        if wanted
    ]
    return tuple(Call(name=name, arguments={"order_id": order}) for order in orders for name in names)


def find_missing(text: str) -> str | None:
    """`order_id` or `postcode` where a message wants something done or looked up that needs it."""
    orders, actions = find_orders(text), read_actions(text)
    if orders:
        return "postcode" if "change_address" in actions and not POSTCODE.search(text) else None
    own = _OWN_ORDER.search(text) is not None
    if _ASKS_STATE.search(text):
        return "order_id"
    wants = not _WHETHER.search(text) or re.search(r"\b(?:can|could|would) you\b", text, re.IGNORECASE)
    if own and wants and (actions and _REFUND_NOW.search(text)):
        return "order_id"
    return None
