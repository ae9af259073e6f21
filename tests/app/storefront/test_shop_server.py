from __future__ import annotations

import errno
import threading

import httpx2
import pytest

from reference_app.errors import OrdersError
from reference_app.shop.server import LocalShop, RemoteShop, ShopError
from tests.app.shop import ORDERS


@pytest.fixture
def local(tmp_path):
    (tmp_path / "orders.yaml").write_text(ORDERS)
    shop = LocalShop(tmp_path / "orders.yaml", tmp_path / "cache")
    yield shop
    shop.close()


def ask(address, order_id="FW-20001"):
    headers = {"Authorization": f"Bearer {address.token}"}
    with httpx2.Client(headers=headers, verify=False) as client:
        return client.get(f"{address.url}/orders/{order_id}").json()


def test_many_threads_start_one_service(local):
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(local.start())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert ask(seen[0])["tracking"] == "TP-1"
    assert ask(seen[0], "FW-20002")["items"] == []
    assert seen[0].url.startswith("http://127.0.0.1:")


def test_a_closed_service_is_gone_and_can_be_started_again(local):
    first = local.start()
    ask(first)
    local.close()
    with pytest.raises(httpx2.ConnectError):
        ask(first)
    local.close()
    second = local.start()

    assert ask(second)["order_id"] == "FW-20001"
    assert second.token != first.token
    assert first.token not in repr(first)


def test_a_service_that_died_is_started_again(local):
    first = local.start()
    local._running[1].close()

    assert ask(local.start())["order_id"] == "FW-20001"
    assert local.start() != first


def test_orders_that_cannot_be_read_are_explained_at_the_start(tmp_path):
    with pytest.raises(OrdersError, match=r"nowhere\.yaml"):
        LocalShop(tmp_path / "nowhere.yaml", tmp_path).start()


def test_a_service_that_does_not_start_is_explained(local, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("socket.create_server", refuse)
    with pytest.raises(ShopError, match="did not start"):
        local.start()


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "https://shop.example.com/api/", "http://[::1]:8000"])
def test_an_address_elsewhere_is_kept(url):
    shop = RemoteShop(url, "secret")
    shop.close()

    assert (shop.start().url, shop.start().token) == (url.rstrip("/"), "secret")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example.com",
        "ftp://shop.example.com",
        "file:///etc/passwd",
        "http://",
        "http://ada:pass1@shop.example.com",
        "http://shop.example.com:port",
        "http://shop.example.com:99999",
        "http://[::1",
        "http://shop.example.com/?a=pass1",
        "http://shop.example.com/#pass1",
        "http://shop.exa mple.com",
        "http://shop.example.com\r\nHost: pass1",
        "http://shop.example.com\\@evil.example",
    ],
)
def test_an_address_that_is_none_is_explained_and_not_shown(url):
    with pytest.raises(ShopError, match=r"must be like https://shop\.example\.com/api") as error:
        RemoteShop(url)
    assert "pass1" not in str(error.value)


@pytest.mark.parametrize("token", ["a\nb", "\u00fc", "a "])
def test_a_token_that_no_header_holds_is_explained(token):
    with pytest.raises(ShopError, match="printable ASCII"):
        RemoteShop("http://127.0.0.1", token)
