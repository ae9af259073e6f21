"""Questions and the plans they call for."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any

from reference_app.training.examples.entities import blur, fill
from reference_app.training.examples.records import Example

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

    from reference_app.models.prompt import Prompt
    from reference_app.training.examples.entities import Entities

FILLS = {"train": 1, "test": 2}  # examples of a phrasing with places
COPYING = ("store_stock", "change_address", "adjust_points")  # twice as many: more to copy than a number
PAIR_FILLS = {"train": 40, "test": 8}  # examples of a pair of intents
ROUTE_FILLS = {"documents": 1.0, "database": 1.2, "refuse": 1.0}  # in training: repeated with other spelling
CAPITALS = ("order_id", "postcode")


def make_plans(
    split: str, phrasings: Mapping[str, Any], entities: Entities, random: Random, prompt: Prompt
) -> Iterator[Example]:
    """
    The examples of a split.

    Args:
        split: `train` or `test`.
        phrasings: `intents`, `pairs` and `routes` as in the YAML files.
    """
    for intent, texts in phrasings["intents"].items():
        for text in texts[split] * (2 if intent in COPYING else FILLS[split]):
            sign = text.startswith("-")
            yield _example(text.lstrip("-"), intent.split("+"), entities, random, prompt, negative=sign)
    for (first, heads), (second, tails) in product(
        phrasings["pairs"]["first"].items(), phrasings["pairs"]["second"].items()
    ):
        whole = list(product(heads[split], tails[split], phrasings["pairs"]["joints"][split]))
        for head, tail, joint in random.sample(whole, PAIR_FILLS[split]):
            text = fill(joint, {"a": head, "b": tail})
            yield _example(text, [first, second], entities, random, prompt)
    for route, texts in phrasings["routes"].items():
        count = round(len(texts[split]) * (ROUTE_FILLS[route] if split == "train" else 1))
        for place in range(count):
            text = texts[split][place % len(texts[split])]
            shown, values = blur(random, text, entities.draw(text))
            yield _plan(prompt, text, fill(shown, values), route, [])


def _example(  # noqa: PLR0913 - the parts that a plan is made from
    text: str,
    tools: Sequence[str],
    entities: Entities,
    random: Random,
    prompt: Prompt,
    *,
    negative: bool = False,
) -> Example:
    values = entities.draw(text)
    shown, values = blur(random, text, values)
    calls = [{"name": tool, "arguments": _arguments(tool, values, negative=negative)} for tool in tools]
    return _plan(prompt, text, fill(shown, values), "tools", calls)


def _arguments(tool: str, values: Mapping[str, str], *, negative: bool) -> dict[str, Any]:
    order = values["order"].upper() if "order" in values else None
    match tool:
        case "store_stock":
            return {"product": values["product"], "store": values["city"]}
        case "change_address":
            return {"order_id": order, "postcode": values["postcode"].upper()}
        case "adjust_points":
            return {"order_id": order, "points": int(values["points"]) * (-1 if negative else 1)}
    return {"order_id": order}


def _plan(prompt: Prompt, phrasing: str, question: str, route: str, calls: list[dict[str, Any]]) -> Example:
    plan = json.dumps({"route": route, "calls": calls}, separators=(",", ":"), ensure_ascii=False)
    return Example(
        task="plan",
        kind="+".join(call["name"] for call in calls) or route,
        phrasing=phrasing,
        system=prompt.fill(),
        user=prompt.fill_turn({"passage": "", "question": question}),
        assistant=plan,
    )
