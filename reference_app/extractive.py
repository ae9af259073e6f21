"""
The app without a chat model, to compare with: it searches the documents and quotes the nearest sentences.

`pytest --llm-golden golden/support.yaml --llm-app reference_app.extractive:answer` scores search alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app.documents.words import split_sentences

if TYPE_CHECKING:
    from reference_app.documents.knowledge import Section
    from reference_app.documents.search import Library
    from reference_app.settings import Settings

LIMIT = 0.82  # of the score of a section; nine of ten questions that have an answer reach it
SENTENCES = 2
_ORDER = re.compile(r"\bFW[ -]?(\d{5})\b", re.IGNORECASE)


def answer(question: str | Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """
    Answer as `reference_app.answer` does, with the same record, by quotes and facts of orders alone.

    Raises:
        reference_app.errors.AppError: The app lacks something, such as weights or a document.
    """
    from reference_app.settings import read_settings
    from reference_app.state import APOLOGY
    from reference_app.tracing import trace

    turns: Mapping[str, Any] = question if isinstance(question, Mapping) else {"question": question}
    asked, customer = turns["question"], turns.get("customer")
    last = asked if isinstance(asked, str) else asked[-1]
    settings = read_settings()
    library, model = _open(settings)
    with trace("retrieval knowledge", gen_ai__operation__name="retrieval") as span:
        found = library.search([last], settings.top_k)
        passages = [
            {"id": one.section.id, "text": one.section.text, "score": round(one.score, 6)} for one in found
        ]
        span.describe({"gen_ai.retrieval.documents": passages})
    calls = [
        _read_order(settings, f"FW-{number}", customer) for number in dict.fromkeys(_ORDER.findall(last))
    ]
    if calls:
        text = " ".join(tell_order(call["arguments"]["order_id"], call["result"]) for call in calls)
    elif found[0].score < LIMIT:
        text = APOLOGY
    else:
        text = quote(last, [one.section for one in found[:SENTENCES]], library)
    return {"text": text, "passages": passages, "tool_calls": calls, "model": model}


def quote(question: str, sections: Sequence[Section], library: Library) -> str:
    """The sentences of the sections nearest to the question, in their order, each with its citation."""
    every = [(section, sentence) for section in sections for sentence in split_sentences(section.text)]
    best = library.find_sentences(question, sections, SENTENCES)
    return " ".join(f"{text} [{section.id}]" for section, text in every if (section, text) in best)


def tell_order(order_id: str, result: Mapping[str, Any]) -> str:
    """One sentence of what `order_status` returned."""
    if "error" in result:
        return f"There is no order {order_id}. Please check the number in the confirmation e-mail."
    carrier = f" with {result['carrier']}, tracking number {result['tracking']}" if result["carrier"] else ""
    expected = f", expected on {result['expected']}" if result["status"] in {"processing", "shipped"} else ""
    return f"Order {order_id} is {result['status']}{carrier}{expected}: {', '.join(result['items'])}."


def _read_order(settings: Settings, order_id: str, customer: int | None) -> dict[str, Any]:
    """The record of an `order_status`, as if there were no order where it is another customer's."""
    from reference_app.shop.database import open_shop
    from reference_app.shop.queries import read_order

    order = read_order(open_shop(settings.orders, settings.cache), order_id) or {}
    names = ("order_id", "status", "carrier", "tracking", "ordered", "expected", "items", "total")
    known = order and customer in {None, order.get("customer_id")}
    result = {name: order[name] for name in names} if known else {"error": "unknown_order"}
    call = {"name": "order_status", "arguments": {"order_id": order_id}, "decision": "allowed"}
    return {**call, "result": result, "reason": ""}


@cache
def _open(settings: Settings) -> tuple[Library, str]:
    from reference_app.documents.search import open_library
    from reference_app.models.client import open_models
    from reference_app.models.weights import find_weights

    weights = find_weights(settings.weights) if settings.embedding_model is None else None
    models = open_models(settings, weights)
    return open_library(settings, weights, models), models.search_model
