"""Questions and the plans they call for: `{"calls": [{"name": …, "arguments": {…}}]}`."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any

from reference_app.training.entities import blur, fill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

    from reference_app.training.entities import Entities

    Call = tuple[str, dict[str, Any]]
    Plan = tuple[str, str, list[Call]]

COPYING = ("store_stock", "change_address")  # twice as many in training: more to copy than a number
FILTERS = (
    "name",
    "category",
    "colour",
    "max_price",
    "min_price",
    "sort",
    "limit",
)  # of find_products, in order
FILLS = {"train": 2, "test": 1}  # examples of a phrasing on products
PAIRS = {"train": 18, "test": 6}  # examples of a pair of intents
MIXED = {"train": 66, "test": 12}  # of a question for the documents with one for a tool, and of two for them
CHANGES = {"train": 40, "test": 8}  # of a turn that has nothing to do with the one before it
KEPT = {"train": 0.5, "test": 0.6}  # of the questions for the documents, of which there are most
REFUSED = {"train": 0.7, "test": 1.0}  # of the phrasings to refuse


def make_plans(
    split: str, phrasings: Mapping[str, Any], questions: Sequence[str], entities: Entities, random: Random
) -> Iterator[Plan]:
    """
    The phrasing, the customer's turns, one a line, and the calls of each example.

    Args:
        split: `train` or `test`.
        phrasings: The YAML files by their names.
        questions: For the documents, beside those of routes.yaml.
    """
    single = [
        *_requests(split, phrasings["plans"], entities, random),
        *_products(split, phrasings["products"], entities, random),
        *_talk(split, phrasings["talk"], entities, random),
    ]
    documents = [*phrasings["routes"]["documents"][split], *questions]
    asked = random.sample(documents, round(len(documents) * KEPT[split]))
    single += [(text, shown, [_search(shown)]) for text in asked for shown in [blur(random, text, {})[0]]]
    refused = phrasings["routes"]["refuse"][split]
    for text in random.sample(refused, round(len(refused) * REFUSED[split])):
        shown, values = blur(random, text, entities.draw(text))
        single.append((text, fill(shown, values), [("refuse", {})]))
    yield from single
    yield from _mixed(split, phrasings, documents, entities, random)
    yield from _followups(split, phrasings["talk"], entities)
    for phrasing, last, calls in random.sample(single, CHANGES[split]):
        yield phrasing, f"{random.choice(single)[1]}\n{last}", calls


def write_plan(calls: Sequence[Call]) -> str:
    """The plan as the model writes it."""
    plan = {"calls": [{"name": name, "arguments": arguments} for name, arguments in calls]}
    return json.dumps(plan, separators=(",", ":"), ensure_ascii=False)


def _search(*asked: str) -> Call:
    """A search with the question as it is, so that nothing has to be thought of."""
    return "search_documents", {"query": " ".join(asked).rstrip("?.! ")}


def _call(tool: str, values: Mapping[str, str], *, negative: bool = False) -> Call:
    match tool:
        case "store_stock":
            return tool, {"product": values["product"], "store": values["city"]}
        case "find_products":
            return tool, {"name": values["product"]}
    arguments: dict[str, Any] = {"order_id": values["order"]}
    if tool == "change_address":
        arguments["postcode"] = values["postcode"]
    if tool == "adjust_points":
        arguments["points"] = int(values["points"]) * (-1 if negative else 1)
    return tool, arguments


def _typed(tool: str, values: Mapping[str, str], shown: Mapping[str, str], *, negative: bool = False) -> Call:
    """The call with names as they were typed, and orders and postcodes as they are."""
    kept = {place: values[place] for place in ("order", "postcode") if place in values}
    return _call(tool, {**shown, **kept}, negative=negative)


def _requests(split: str, plans: Mapping[str, Any], entities: Entities, random: Random) -> Iterator[Plan]:
    """What a customer wants of an order or a store, and pairs of it."""
    for intent, texts in plans["intents"].items():
        for text in texts[split] * (2 if intent in COPYING and split == "train" else 1):
            values = entities.draw(text)
            shown, typed = blur(random, text.removeprefix("-"), values)
            yield text, fill(shown, typed), [_typed(intent, values, typed, negative=text.startswith("-"))]
    pairs = plans["pairs"]
    for (first, heads), (second, tails) in product(pairs["first"].items(), pairs["second"].items()):
        whole = list(product(heads[split], tails[split], pairs["joints"][split]))
        for head, tail, joint in random.sample(whole, PAIRS[split]):
            text = fill(joint, {"a": head, "b": tail})
            values = entities.draw(text)
            shown, typed = blur(random, text, values)
            yield text, fill(shown, typed), [_typed(tool, values, typed) for tool in (first, second)]


def _products(split: str, rows: Mapping[str, Any], entities: Entities, random: Random) -> Iterator[Plan]:
    def draw(text: str) -> tuple[str, dict[str, str], Mapping[str, str]]:
        one, several, wanted = random.choice(rows["kinds"])
        chosen = {"thing": one, "things": several, "colour": random.choice(rows["colours"])}
        values = {**entities.draw(fill(text, chosen)), **chosen}
        shown, typed = blur(random, text, values)
        return fill(shown, typed), typed, wanted

    for text, wanted in rows["find"][split] * FILLS[split]:
        question, typed, kind = draw(text)
        filters: dict[str, Any] = dict(wanted)
        if filters.pop("kind", False):
            filters |= kind
        if filters.pop("product", False):
            filters["name"] = typed["product"]
        if "colour" in filters:
            filters["colour"] = typed["colour"]
        filters |= {bound: int(typed["price"]) for bound in filters if bound.endswith("_price")}
        yield (
            text,
            question,
            [("find_products", {name: filters[name] for name in FILTERS if name in filters})],
        )
    for text in rows["reviews"][split] * FILLS[split]:
        question, typed, _ = draw(text)
        yield text, question, [("find_reviews", {"product": typed["product"]})]
    for text in rows["stores"][split] * FILLS[split]:
        question, typed, _ = draw(text)
        yield text, question, [("list_stores", {"city": typed["city"]} if "{city}" in text else {})]
    for text in rows["database"][split]:
        question = draw(text)[0]
        yield text, question, [("ask_database", {"question": question.rstrip("?.! ")})]


def _talk(split: str, talk: Mapping[str, Any], entities: Entities, random: Random) -> Iterator[Plan]:
    """Greetings, requests that lack something, and the turn that fills them."""
    for group in talk["replies"]:
        yield from ((text, text, [("reply", {"text": group["reply"]})]) for text in group[split])
    for request in talk["missing"]:
        for text in request[split]:
            answer = random.choice(talk["turns"][request["turns"]][split])
            values = entities.draw(text + answer)
            shown, typed = blur(random, text, values)
            yield text, fill(shown, typed), [("ask", {"missing": request["missing"]})]
            said = f"{fill(text, values)}\n{fill(answer, values)}"
            yield f"{text} {answer}", said, [_call(request["tool"], values)]


def _mixed(
    split: str, phrasings: Mapping[str, Any], documents: Sequence[str], entities: Entities, random: Random
) -> Iterator[Plan]:
    """Two wishes in one message, the first or both for the documents."""
    heads = phrasings["plans"]["pairs"]["first"]
    tools = [(tool, text) for tool in heads for text in heads[tool][split]]
    tools += [("store_stock", text) for text in phrasings["plans"]["pairs"]["second"]["store_stock"][split]]
    for place in range(MIXED[split]):
        joint = random.choice(phrasings["talk"]["joints"][split])
        about = random.choice(documents).rstrip("?.! ")
        if place % 3 == 0:
            tool, tail = "", random.choice(documents).rstrip("?.! ")
        else:
            tool, tail = random.choice(tools)
        values = entities.draw(tail)
        second = _call(tool, values) if tool else _search(tail)
        calls = [_search(about), second]
        text = fill(joint, {"a": about, "b": tail})
        yield (
            f"{about} {tail}",
            fill(text, values),
            calls[::-1] if joint.index("{b}") < joint.index("{a}") else calls,
        )


def _followups(split: str, talk: Mapping[str, Any], entities: Entities) -> Iterator[Plan]:
    """Turns that lean on the one before; names that change stand in the second."""
    for group in talk["followups"]:
        for first, second in group[split] * FILLS[split]:
            values = entities.draw(first + second)
            said = [fill(first, values), fill(second, values)]
            if group["tool"] == "search_documents":
                call = _search(*said)
            else:
                changed = {
                    place: values[f"{place}2"] for place in ("city", "product") if f"{place}2" in values
                }
                call = _call(group["tool"], {**values, **changed})
            yield f"{first} {second}", "\n".join(said), [call]
