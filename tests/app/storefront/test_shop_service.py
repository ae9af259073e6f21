from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing

import httpx2
import pytest
import yaml

from reference_app.settings import HERE
from reference_app.shop import journal
from reference_app.shop.database import open_shop
from reference_app.shop.journal import Journal
from reference_app.shop.server import LocalShop
from reference_app.tools.api import OPENAPI

GIVEN = HERE / "data" / "orders.yaml"
READING = ("/orders/{}", "/orders/{}/shipment", "/orders/{}/points")
WRITING = [("refund", None), ("address", {"postcode": "AB1 2CD"}), ("points", {"points": -250})]


class Client:
    """A running service, asked as it is."""

    def __init__(self, cache):
        self.cache = cache
        self.server = LocalShop(GIVEN, cache)
        self.address = self.server.start()
        self.http = httpx2.Client(
            timeout=20, base_url=self.address.url, headers={"Authorization": f"Bearer {self.address.token}"}
        )

    def post(self, path, body=None, key="key-00001"):
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post(path, json=body, headers=headers)

    def close(self):
        self.http.close()
        self.server.close()

    def requests(self):
        with closing(sqlite3.connect(self.cache / "requests.sqlite")) as database:
            return database.execute("SELECT * FROM requests ORDER BY rowid").fetchall()


@pytest.fixture(scope="module")
def reading(tmp_path_factory):
    client = Client(tmp_path_factory.mktemp("cache"))
    yield client
    client.close()


@pytest.fixture
def service(reading):
    """The same one, with an empty journal."""
    yield reading
    journal_file = reading.cache / "requests.sqlite"
    journal_file.rmdir() if journal_file.is_dir() else journal_file.unlink(missing_ok=True)


def test_the_committed_document_is_the_services_own(tmp_path):
    from reference_app.shop.service import create_service

    said = create_service(tmp_path / "none", Journal(tmp_path), "").openapi()

    assert json.loads(OPENAPI.read_bytes()) == said, "python -m reference_app.shop.service > its openapi.json"


@pytest.mark.parametrize("order", yaml.safe_load(GIVEN.read_bytes()), ids=lambda order: order["order_id"])
def test_no_answer_tells_who_ordered(reading, order):
    answers = [reading.http.get(path.format(order["order_id"])) for path in READING]

    assert [answer.status_code for answer in answers] == [200] * 3
    told = json.dumps([answer.json() for answer in answers], ensure_ascii=False)
    assert order["order_id"] in told
    assert order["email"] not in told
    assert not [name for name in order["customer"].split() if name in told]


ORDER, OWNER = "FW-10430", 7


@pytest.mark.parametrize(
    ("customer", "status", "error"),
    [
        (None, 200, None),
        (str(OWNER), 200, None),
        ("6", 403, "not_yours"),
        ("999999", 403, "not_yours"),
        ("", 422, "invalid_arguments"),
        ("0", 422, "invalid_arguments"),
        ("-7", 422, "invalid_arguments"),
        ("seven", 422, "invalid_arguments"),
        ("7, 6", 422, "invalid_arguments"),
        (str(2**31), 422, "invalid_arguments"),
    ],
)
def test_a_customer_is_answered_about_orders_of_their_own(service, customer, status, error):
    headers = {} if customer is None else {"Customer-Number": customer}
    answers = [service.http.get(path.format(ORDER), headers=headers) for path in READING]
    for number, (path, body) in enumerate(WRITING):
        key = {"Idempotency-Key": f"key-0000{number}"}
        answers.append(service.http.post(f"/orders/{ORDER}/{path}", json=body, headers=headers | key))

    assert {answer.status_code for answer in answers} == {status}
    if error:
        assert [answer.json() for answer in answers] == [{"error": error}] * len(answers)
        assert not (service.cache / "requests.sqlite").exists()


def test_an_unknown_order_is_unknown_to_every_customer(reading):
    answer = reading.http.get("/orders/FW-99999", headers={"Customer-Number": "6"})

    assert (answer.status_code, answer.json()) == (404, {"error": "unknown_order"})


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer \u00fc"}],
)
@pytest.mark.parametrize("path", ["/orders/FW-10412", "/stock", "/openapi.json", "/docs", "/nothing"])
def test_whoever_has_no_token_learns_nothing(reading, headers, path):
    encoded = {name: value.encode() for name, value in headers.items()}
    with httpx2.Client(headers=encoded, verify=False) as stranger:
        answer = stranger.get(reading.address.url + path)

    assert (answer.status_code, answer.json()) == (401, {"error": "unauthorized"})


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/orders/FW-99999", 404, "unknown_order"),
        ("/orders/FW-99999/shipment", 404, "unknown_order"),
        ("/orders/FW-99999/points", 404, "unknown_order"),
        ("/orders/FW-1041", 422, "invalid_arguments"),
        ("/orders/FW-10412%0A", 422, "invalid_arguments"),
        ("/orders/FW-10412' OR '1'='1", 422, "invalid_arguments"),
        ("/orders/FW-10412%22;DROP TABLE orders", 422, "invalid_arguments"),
        ("/stock?product=Skerry 2&store=Paris", 404, "unknown_city"),
        ("/products?category=Boats", 422, "invalid_arguments"),
        ("/products?min_price=-1", 422, "invalid_arguments"),
        ("/products?limit=21", 422, "invalid_arguments"),
        ("/products?sort=name; DROP TABLE products", 422, "invalid_arguments"),
        ("/products?colour=' OR 1=1 --", 404, "unknown_colour"),
        ("/reviews?product=canoe", 404, "unknown_product"),
        ("/stores?city=Paris", 404, "unknown_city"),
        ("/stock?product=canoe&store=Stonebeck", 404, "unknown_product"),
        ("/stock?product=' OR 1=1 --&store=Stonebeck", 404, "unknown_product"),
        ("/stock?product=Skerry%002&store=Stonebeck", 422, "invalid_arguments"),
        ("/stock?product=Skerry 2", 422, "invalid_arguments"),
        (f"/stock?product={'x' * 61}&store=Stonebeck", 422, "invalid_arguments"),
    ],
)
def test_what_it_cannot_answer_it_refuses_in_a_word(reading, path, status, error):
    answer = reading.http.get(path)

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert reading.http.get("/orders/FW-10412").json()["status"] == "delivered"


@pytest.mark.parametrize(("path", "body"), WRITING)
def test_a_request_is_taken_down_once_for_each_key(service, path, body):
    answers = [
        service.post(f"/orders/FW-10430/{path}", body, key) for key in ("key-00001", "key-00001", "key-00002")
    ]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["state"] == "requested"
    assert [row[0] for row in service.requests()] == ["key-00001", "key-00002"]


def test_a_key_is_not_used_for_two_requests(service):
    first = service.post("/orders/FW-10430/points", {"points": 5})
    second = service.post("/orders/FW-10430/points", {"points": 500})

    assert first.json()["points"] == 5
    assert (second.status_code, second.json()) == (409, {"error": "key_used_before"})
    assert len(service.requests()) == 1


@pytest.mark.parametrize(
    ("asked", "status", "error"),
    [
        (("/orders/FW-10430/refund", None, None), 422, "invalid_arguments"),
        (("/orders/FW-10430/refund", None, "short"), 422, "invalid_arguments"),
        (("/orders/FW-99999/refund", None, "key-00001"), 404, "unknown_order"),
        (("/orders/FW-10415/refund", None, "key-00001"), 409, "already_refunded"),
        (("/orders/FW-10421/refund", None, "key-00001"), 409, "already_refunded"),
        (("/orders/FW-10412/address", {"postcode": "AB1 2CD"}, "key-00001"), 409, "not_on_its_way"),
        (("/orders/FW-10430/address", {"postcode": "ab1"}, "key-00001"), 422, "invalid_arguments"),
        (
            ("/orders/FW-10430/address", {"postcode": "AB1 2CD", "x": 1}, "key-00001"),
            422,
            "invalid_arguments",
        ),
        (("/orders/FW-10430/address", None, "key-00001"), 422, "invalid_arguments"),
        (("/orders/FW-10430/points", {"points": 5001}, "key-00001"), 422, "invalid_arguments"),
        (("/orders/FW-10430/points", {"points": "5"}, "key-00001"), 422, "invalid_arguments"),
        (("/orders/FW-10430/points", {"points": True}, "key-00001"), 422, "invalid_arguments"),
        (("/orders/FW-10430/points", {"points": 5, "why": "x" * 2000}, "key-00001"), 413, "too_large"),
    ],
)
def test_what_it_does_not_take_leaves_no_trace(service, asked, status, error):
    answer = service.post(*asked)

    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert not (service.cache / "requests.sqlite").exists()


def test_a_body_of_unknown_length_is_not_read(service):
    answer = service.http.post("/orders/FW-10430/points", content=iter([b"{}"]))

    assert answer.status_code == 413


def test_requests_change_no_answer_and_keep_no_address(service):
    shop = open_shop(GIVEN, service.cache)
    paths = [path.format("FW-10430") for path in READING]
    before = [service.http.get(path).text for path in paths], shop.read_bytes()
    for number, (path, body) in enumerate(WRITING):
        assert service.post(f"/orders/FW-10430/{path}", body, f"key-0000{number}").status_code == 200

    assert ([service.http.get(path).text for path in paths], shop.read_bytes()) == before
    assert stat.S_IMODE((service.cache / "requests.sqlite").stat().st_mode) == 0o600
    assert b"AB1 2CD" not in (service.cache / "requests.sqlite").read_bytes()


def lock(path):
    database = sqlite3.connect(path)
    database.execute("BEGIN EXCLUSIVE")
    return database


def spoil(path):
    path.write_bytes(b"no database" * 100)


def be_folder(path):
    path.mkdir()


@pytest.mark.parametrize("harm", [lock, spoil, be_folder])
def test_a_journal_that_cannot_be_written_takes_nothing(service, monkeypatch, harm):
    monkeypatch.setattr(journal, "PATIENCE_S", 0.01)
    held = harm(service.cache / "requests.sqlite")
    answer = service.post("/orders/FW-10430/refund")
    if held:
        held.close()

    assert (answer.status_code, answer.json()) == (500, {"error": "unavailable"})
    assert service.http.get("/orders/FW-10430").status_code == 200
    if held:
        assert service.post("/orders/FW-10430/refund").status_code == 200
        assert len(service.requests()) == 1


@pytest.mark.parametrize("harm", [spoil, lambda path: path.unlink()])
def test_a_database_lost_on_the_way_is_said_in_a_word(service, harm, capfd):
    shop = open_shop(GIVEN, service.cache)
    kept = shop.read_bytes()
    harm(shop)
    answers = [service.http.get(path.format("FW-10412")) for path in READING]
    shop.write_bytes(kept)

    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (500, {"error": "unavailable"})
    ] * 3
    assert capfd.readouterr() == ("", "")
