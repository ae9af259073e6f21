from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reference_app.guardrails.calls.request import Declaration
from reference_app.settings import HERE
from reference_app.shop.server import LocalShop, RemoteShop
from reference_app.tools.api import OPENAPI, ShopApi
from reference_app.tools.arguments import ToolError
from reference_app.tools.policy import Policy
from reference_app.tools.registry import Confirmation, Registry

GIVEN = HERE / "data" / "orders.yaml"
ORDER_ID = {"type": "string", "maxLength": 8, "pattern": r"^FW-\d{5}$"}
TOOLS = {
    "order_status": {"order_id": ORDER_ID},
    "shipment": {"order_id": ORDER_ID},
    "loyalty_points": {"order_id": ORDER_ID},
    "store_stock": {
        "product": {"type": "string", "maxLength": 60},
        "store": {"type": "string", "maxLength": 40},
    },
    "request_refund": {"order_id": ORDER_ID},
    "change_address": {
        "order_id": ORDER_ID,
        "postcode": {"type": "string", "maxLength": 8, "pattern": "^[A-Z0-9 ]{4,8}$"},
    },
    "adjust_points": {"order_id": ORDER_ID, "points": {"type": "integer", "minimum": -5000, "maximum": 5000}},
}
ALLOW = Declaration(outcomes={"staff": "allow"})
ALL = Policy(source=Path("all"), rules=dict.fromkeys(TOOLS, ALLOW))


def test_the_tools_are_those_of_the_document():
    tools = {tool.name: tool for tool in ShopApi(RemoteShop("http://127.0.0.1:9")).make_tools()}

    assert set(tools) == set(TOOLS)
    for name, properties in TOOLS.items():
        schema = tools[name].parameters
        assert schema["required"] == list(properties)
        assert schema["additionalProperties"] is False
        for argument, rules in properties.items():
            assert rules.items() <= schema["properties"][argument].items()
        assert tools[name].description.endswith(".")


def test_a_registry_costs_no_server():
    code = """
import sys
from reference_app.shop.server import LocalShop
from reference_app.guardrails.calls.request import Declaration
from reference_app.tools.api import ShopApi
from pathlib import Path
ShopApi(LocalShop(Path("none"), Path("none"))).make_tools()
print(sorted({"fastapi", "uvicorn", "pydantic", "httpx2", "tenacity"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603

    assert run.stdout == "[]\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    api = ShopApi(LocalShop(GIVEN, tmp_path_factory.mktemp("cache")))
    yield Registry(api.make_tools(), ALL)
    api.close()


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        (
            "order_status",
            {"order_id": "FW-10427"},
            {
                "order_id": "FW-10427",
                "status": "shipped",
                "carrier": "Harebell Parcels",
                "tracking": "HBP-Q7LZ-GB",
                "ordered": "2026-03-02",
                "expected": "2026-03-06",
                "items": ["Skerry 2 tent", "Footprint for Skerry 2"],
                "total": 323.0,
            },
        ),
        (
            "order_status",
            {"order_id": "FW-10421"},
            {
                "order_id": "FW-10421",
                "status": "cancelled",
                "carrier": None,
                "tracking": None,
                "ordered": "2026-02-09",
                "expected": None,
                "items": ["Tarn 4 family tent"],
                "total": 449.0,
            },
        ),
        ("order_status", {"order_id": "FW-99999"}, {"error": "unknown_order"}),
        (
            "shipment",
            {"order_id": "FW-10436"},
            {
                "order_id": "FW-10436",
                "status": "shipped",
                "carrier": "Kestrel Express",
                "tracking": "KXP-8WMT",
                "sent": "2026-03-04",
                "expected": "2026-03-04",
                "delivered": None,
                "late": True,
                "days_late": 1,
            },
        ),
        (
            "shipment",
            {"order_id": "FW-10427"},
            {
                "order_id": "FW-10427",
                "status": "shipped",
                "carrier": "Harebell Parcels",
                "tracking": "HBP-Q7LZ-GB",
                "sent": "2026-03-03",
                "expected": "2026-03-06",
                "delivered": None,
                "late": False,
                "days_late": 0,
            },
        ),
        (
            "shipment",
            {"order_id": "FW-10421"},
            {
                "order_id": "FW-10421",
                "status": "cancelled",
                "carrier": None,
                "tracking": None,
                "sent": None,
                "expected": None,
                "delivered": None,
                "late": False,
                "days_late": 0,
            },
        ),
        ("shipment", {"order_id": "FW-99999"}, {"error": "unknown_order"}),
        (
            "loyalty_points",
            {"order_id": "FW-10412"},
            {"order_id": "FW-10412", "points": 356, "booked": True, "day": "2026-02-20"},
        ),
        (
            "loyalty_points",
            {"order_id": "FW-10463"},
            {"order_id": "FW-10463", "points": 338, "booked": False, "day": "2026-03-12"},
        ),
        (
            "loyalty_points",
            {"order_id": "FW-10427"},
            {"order_id": "FW-10427", "points": 646, "booked": False, "day": None},
        ),
        (
            "loyalty_points",
            {"order_id": "FW-10421"},
            {"order_id": "FW-10421", "points": 0, "booked": False, "day": None},
        ),
        (
            "store_stock",
            {"product": "skery 2", "store": "harrowmere"},
            {"product": "Skerry 2 tent", "store": "Harrowmere", "quantity": 25},
        ),
        ("store_stock", {"product": "canoe", "store": "Harrowmere"}, {"error": "unknown_product"}),
        (
            "store_stock",
            {"product": "Corrie", "store": "Harrowmere"},
            {"error": "unknown_product", "similar": ["Corrie 65 backpack", "Corrie 45 backpack"]},
        ),
        ("request_refund", {"order_id": "FW-10415"}, {"error": "already_refunded"}),
        ("request_refund", {"order_id": "FW-99999"}, {"error": "unknown_order"}),
        (
            "request_refund",
            {"order_id": "FW-10412"},
            {"order_id": "FW-10412", "state": "requested", "request": "R-4C739D13", "amount": 178.0},
        ),
        (
            "change_address",
            {"order_id": "FW-10427", "postcode": "AB1 2CD"},
            {"order_id": "FW-10427", "state": "requested", "request": "R-BDF66641", "fee": 2.5},
        ),
        (
            "adjust_points",
            {"order_id": "FW-10412", "points": -50},
            {"order_id": "FW-10412", "state": "requested", "request": "R-51701917", "points": -50},
        ),
    ],
)
def test_the_service_answers_through_its_tools(shop, name, arguments, result):
    twice = [shop.run(name, arguments, "staff").result for _ in range(2)]

    assert twice == [result] * 2


def test_an_unknown_store_is_told_the_others(shop):
    call = shop.run("store_stock", {"product": "Corrie 65", "store": "Paris"}, "staff")

    assert call.result["error"] == "unknown_store"
    assert call.result["similar"][:3] == ["Harrowmere", "Stonebeck", "Portlaine"]


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


def test_what_a_person_confirmed_reaches_the_service(shop):
    rules = {**ALL.rules, "request_refund": Declaration(outcomes={"staff": "confirm"})}
    registry = Registry(shop.tools, Policy(source=Path("x"), rules=rules))
    arguments = {"order_id": "FW-10412"}
    calls = [
        registry.run("request_refund", arguments, "staff", confirmation)
        for confirmation in (
            None,
            Confirmation.of("request_refund", {"order_id": "FW-10418"}),
            Confirmation.of("request_refund", arguments),
        )
    ]

    assert [call.decision for call in calls] == ["pending", "denied", "confirmed"]
    assert [call.result is None for call in calls] == [True, True, False]


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
        ({"paths": {"/stock": {"get": {}}}}, "GET /stock: it has no 'operationId'"),
        (change(), None),
        (change(responses={}), "store_stock: no answer in JSON"),
        (change(responses={"default": answer({})}), "store_stock: no answer in JSON"),
        (change(responses={"200": answer({"type": 5})}), "store_stock: the answer 200 is no JSON Schema: 5 "),
        (
            change(responses={"200": answer({"items": {"$ref": "#/components/schemas/None"}})}),
            "store_stock: the answer 200 refers to #/components/schemas/None, which is not there",
        ),
        (change_part({"type": "strin"}), "store_stock: the answer 200 is no JSON Schema"),
        (change(parameters=[STORE, STORE]), "store_stock: two arguments are named store"),
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
