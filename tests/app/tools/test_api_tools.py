"""The shop's service as tools: what they take, and what a model reads of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_args

import pytest
import yaml

from reference_app.settings import HERE
from reference_app.shop.database import CATALOGUE
from reference_app.shop.replies import Category
from reference_app.shop.server import LocalShop, RemoteShop
from reference_app.tools.api import OPENAPI, ShopApi
from reference_app.tools.arguments import ToolError

GIVEN = HERE / "data" / "orders.yaml"
TAKES = {
    "order_status": (["order_id"], []),
    "shipment": (["order_id"], []),
    "loyalty_points": (["order_id"], []),
    "store_stock": (["product", "store"], []),
    "find_products": ([], ["name", "category", "colour", "min_price", "max_price", "sort", "limit"]),
    "find_reviews": (["product"], ["limit"]),
    "list_stores": ([], ["city"]),
    "request_refund": (["order_id"], []),
    "change_address": (["order_id", "postcode"], []),
    "adjust_points": (["order_id", "points"], []),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    api = ShopApi(LocalShop(GIVEN, tmp_path_factory.mktemp("cache")))
    tools = {tool.name: tool for tool in api.make_tools()}
    yield lambda tool, /, **arguments: tools[tool].run(arguments)
    api.close()


def test_the_tools_are_those_of_the_document():
    tools = {tool.name: tool for tool in ShopApi(RemoteShop("http://127.0.0.1:9")).make_tools()}

    assert set(tools) == set(TAKES)
    for name, (needed, optional) in TAKES.items():
        schema = tools[name].parameters
        assert (schema["required"], list(schema["properties"])) == (needed, needed + optional)
        assert tools[name].description.endswith(".")
        assert len(tools[name].description) < 100
    pattern = tools["order_status"].parameters["properties"]["order_id"]["pattern"]
    assert pattern == r"^FW-\d{5}$"
    assert tools["find_products"].parameters["properties"]["category"]["enum"] == list(get_args(Category))


def test_the_categories_of_the_tool_are_those_of_the_catalogue():
    assert get_args(Category) == tuple(yaml.safe_load(CATALOGUE.read_bytes())["categories"])


def test_tools_cost_no_server():
    code = """
import sys
from reference_app.shop.server import LocalShop
from reference_app.tools.api import ShopApi
from pathlib import Path
ShopApi(LocalShop(Path("none"), Path("none"))).make_tools()
print(sorted({"fastapi", "uvicorn", "pydantic", "httpx2", "tenacity"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603

    assert run.stdout == "[]\n"


ORDER = {
    "order_id": "FW-10493",
    "status": "processing",
    "carrier": None,
    "tracking": None,
    "ordered": "2026-03-05",
    "expected": "2026-03-13",
    "items": ["24 x Jackets with printed logo (\u00a3112.00 each)"],
    "total": "\u00a32688.00",
}
PARCEL = {
    "order_id": "FW-10436",
    "status": "shipped",
    "carrier": "Kestrel Express",
    "tracking": "KXP-8WMT",
    "sent": "2026-03-04",
    "expected": "2026-03-04",
    "delivered": None,
    "late": True,
    "days_late": 1,
}
ON_TIME = {
    "order_id": "FW-10445",
    "status": "delivered",
    "carrier": "Letter post",
    "tracking": None,
    "sent": "2026-02-20",
    "expected": "2026-02-23",
    "delivered": "2026-02-23",
    "late": False,
    "days_late": 0,
}
NO_PARCEL = {
    **dict.fromkeys(PARCEL),
    "order_id": "FW-10421",
    "status": "cancelled",
    "late": False,
    "days_late": 0,
}


def requested(order_id, number, **details):
    return {"order_id": order_id, "state": "requested", "request": number, **details}


def points(order_id, number, day, *, booked=False):
    return {"order_id": order_id, "points": number, "booked": booked, "booking_day": day}


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("order_status", {"order_id": "FW-10493"}, ORDER),
        ("order_status", {"order_id": "FW-99999"}, {"error": "unknown_order"}),
        ("shipment", {"order_id": "FW-10436"}, PARCEL),
        ("shipment", {"order_id": "FW-10421"}, NO_PARCEL),
        ("shipment", {"order_id": "FW-10445"}, ON_TIME),
        ("loyalty_points", {"order_id": "FW-10412"}, points("FW-10412", 356, "2026-02-20", booked=True)),
        ("loyalty_points", {"order_id": "FW-10463"}, points("FW-10463", 338, "2026-03-12")),
        ("loyalty_points", {"order_id": "FW-10427"}, points("FW-10427", 646, None)),
        ("loyalty_points", {"order_id": "FW-10421"}, points("FW-10421", 0, None)),
        (
            "store_stock",
            {"product": "skery 2", "store": "harrowmere"},
            {"stock": [{"product": "Skerry 2 tent", "store": "Harrowmere", "pieces": 25}]},
        ),
        (
            "store_stock",
            {"product": "Corrie", "store": "Eastermere"},
            {
                "stock": [
                    {"product": "Corrie 65 backpack", "store": "Eastermere", "pieces": 26},
                    {"product": "Corrie 45 backpack", "store": "Eastermere", "pieces": 30},
                ]
            },
        ),
        ("store_stock", {"product": "canoe", "store": "Harrowmere"}, {"error": "unknown_product"}),
        (
            "list_stores",
            {"city": "harowmere"},
            {"stores": [{"city": "Harrowmere", "opened_on": "2009-04-18"}]},
        ),
        ("request_refund", {"order_id": "FW-10415"}, {"error": "already_refunded"}),
        ("request_refund", {"order_id": "FW-99999"}, {"error": "unknown_order"}),
        (
            "request_refund",
            {"order_id": "FW-10412"},
            requested("FW-10412", "R-4C739D13", amount="\u00a3178.00"),
        ),
        (
            "change_address",
            {"order_id": "FW-10427", "postcode": "AB1 2CD"},
            requested("FW-10427", "R-BDF66641", fee="\u00a32.50"),
        ),
        (
            "adjust_points",
            {"order_id": "FW-10412", "points": -50},
            requested("FW-10412", "R-51701917", points=-50),
        ),
    ],
)
def test_the_service_answers_through_its_tools(run, name, arguments, result):
    assert [run(name, **arguments) for _ in range(2)] == [result] * 2


def test_a_product_has_all_that_the_catalogue_says_of_it(run):
    assert run("find_products", name="gannet") == {
        "found": 1,
        "products": [
            {
                "name": "Gannet 1 tent",
                "category": "Tents",
                "price": "\u00a3329.00",
                "weight_kg": 1.15,
                "colour": "orange",
                "released": "2025-04-10",
                "rating": 4.07,
                "reviews": 14,
                "stock": 138,
            }
        ],
    }


@pytest.mark.parametrize(
    ("search", "found", "names"),
    [
        ({"name": "tents", "sort": "weight", "limit": 1}, 5, ["Gannet 1 tent"]),
        ({"sort": "-weight", "limit": 1}, 79, ["Tarn 6 family tent"]),
        ({"name": "the lightest tent", "sort": "weight", "limit": 1}, 5, ["Gannet 1 tent"]),
        ({"name": "a £329 product", "min_price": 329, "max_price": 329}, 1, ["Gannet 1 tent"]),
        ({"name": "gannet", "category": "Electronics"}, 1, ["Gannet 1 tent"]),
        ({"sort": "rating", "limit": 1}, 79, ["Lapwing down jacket"]),
        ({"sort": "-released", "limit": 2}, 79, ["Solar panel 20 W", "Gannet 1 tent"]),
        ({"min_price": 199, "max_price": 199}, 2, ["Lapwing down jacket", "Corrie 65 backpack"]),
        ({"max_price": 19.99, "sort": "price", "limit": 1}, 16, ["Sealing ring for Ember stove"]),
        ({"category": "Tents", "colour": "Orange"}, 1, ["Gannet 1 tent"]),
        ({"name": "jackets", "colour": "black"}, 1, ["Curlew softshell"]),  # by its category
        ({"name": "gloves", "colour": "red"}, 0, []),
    ],
)
def test_products_are_searched_by_what_is_known_of_them(run, search, found, names):
    result = run("find_products", **search)

    assert result["found"] == found
    assert [product["name"] for product in result["products"]] == names


def test_no_more_products_are_shown_than_asked_for(run):
    assert len(run("find_products")["products"]) == 5
    assert len(run("find_products", limit=20)["products"]) == 20


@pytest.mark.parametrize(
    ("name", "arguments", "error", "near"),
    [
        ("find_products", {"name": "Skerry 4 tent"}, "unknown_product", "Skerry 3 tent"),
        ("find_products", {"colour": "mauve"}, "unknown_colour", "orange"),
        ("find_reviews", {"product": "Skerry 4 tent"}, "unknown_product", "Skerry 3 tent"),
        ("store_stock", {"product": "Corrie 65", "store": "Paris"}, "unknown_city", "Stonebeck"),
        ("list_stores", {"city": "Portland"}, "unknown_city", "Portlaine"),
    ],
)
def test_an_unknown_name_has_near_ones(run, name, arguments, error, near):
    result = run(name, **arguments)

    assert result["error"] == error
    assert near in result["near"]


def test_reviews_are_counted_and_the_newest_shown(run):
    (reviewed,) = run("find_reviews", product="Gannet", limit=2)["products"]

    assert (reviewed["product"], reviewed["mean_rating"], reviewed["reviews"]) == ("Gannet 1 tent", 4.07, 14)
    assert reviewed["newest"] == [{"rating": 5, "day": "2026-03-03"}, {"rating": 4, "day": "2025-12-21"}]


def test_all_stores_are_listed_the_newest_first(run):
    stores = run("list_stores")["stores"]

    assert (len(stores), stores[0]["city"], stores[-1]["city"]) == (8, "Eastermere", "Harrowmere")


def test_a_shop_closed_between_two_questions_is_opened_again(tmp_path):
    api = ShopApi(LocalShop(GIVEN, tmp_path))
    tools = {tool.name: tool for tool in api.make_tools()}
    first = tools["order_status"].run({"order_id": "FW-10427"})
    api.close()
    second = tools["order_status"].run({"order_id": "FW-10427"})
    api.close()
    api.close()

    assert first == second
    assert first["status"] == "shipped"


DOCUMENT = json.loads(OPENAPI.read_bytes())


def change(**changed):
    operation = {**DOCUMENT["paths"]["/stock"]["get"], **changed}
    return {**DOCUMENT, "paths": {"/stock": {"get": operation}}}


def change_part(part):
    """An answer that refers to a broken part, which refers to itself."""
    document = change(responses={"200": answer({"$ref": "#/components/schemas/Part"})})
    inner = {"properties": {"again": {"$ref": "#/components/schemas/Part"}, "broken": part}}
    return {**document, "components": {"schemas": {"Part": inner}}}


def answer(schema):
    return {"content": {"application/json": {"schema": schema}}}


STORE = DOCUMENT["paths"]["/stock"]["get"]["parameters"][1]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "no OpenAPI document"),
        ("[" * 100_000, "cannot be read"),
        ({"paths": {}}, "it has no 'components'"),
        ({**DOCUMENT, "paths": {"/stock": {"get": {}}}}, "GET /stock: it has no 'responses'"),
        (change(), None),
        (change(responses={}), "GET /stock: no answer in JSON"),
        (change(responses={"default": answer({})}), "GET /stock: no answer in JSON"),
        (change(responses={"200": answer({"type": 5})}), "a schema is no JSON Schema: 5 "),
        (
            change(responses={"200": answer({"items": {"$ref": "#/components/schemas/None"}})}),
            "#/components/schemas/None is not there",
        ),
        (change_part({"type": "strin"}), "a schema is no JSON Schema"),
        (change(parameters=[STORE, STORE]), "GET /stock: two arguments have one name"),
        (change(parameters=[{**STORE, "schema": {"type": "string"}}]), r"store_stock\.store: string needs"),
        (change(requestBody={"content": {"text/plain": {}}}), "GET /stock: it has no 'application/json'"),
    ],
)
def test_a_document_that_no_tools_can_be_made_of_is_explained(tmp_path, document, said):
    source = tmp_path / "openapi.json"
    source.write_text(document if isinstance(document, str) else json.dumps(document))
    shop = RemoteShop("http://127.0.0.1:9")

    if said is None:
        assert len(ShopApi(shop, source=source).make_tools()) == 1
    else:
        with pytest.raises(ToolError, match=said) as raised:
            ShopApi(shop, source=source).make_tools()
        assert str(source) in str(raised.value)


def test_a_document_that_is_not_there_is_explained(tmp_path):
    with pytest.raises(ToolError, match=r"nothing\.json"):
        ShopApi(RemoteShop("http://127.0.0.1:9"), source=tmp_path / "nothing.json")
