from __future__ import annotations

import socket
import struct
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reference_app.safety import RefusedError
from reference_app.safety.urls import Allowed, find_address, is_listed, read_url, resolve

HERE = Path(__file__).parent
HOSTILE = yaml.safe_load((HERE / "hostile.yaml").read_text(encoding="utf-8"))["urls"]
BENIGN = yaml.safe_load((HERE / "benign.yaml").read_text(encoding="utf-8"))["urls"]
ALLOWED = Allowed(hosts=("shop.example", ".docs.example", "bücher.example", "1.1.1.1", "2606:4700::1111"))
CLOSED = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
)


def check(case):
    target = read_url(case["url"], ALLOWED)
    find_address(target, ALLOWED, lambda _host, _port: case.get("answers", ["1.1.1.1"]))
    return target.url


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case["why"])
def test_a_hostile_url_is_refused(case):
    with pytest.raises(RefusedError, match=r"^The URL is refused: [\x20-\x7e]+\.$"):
        check(case)


@pytest.mark.parametrize("case", BENIGN, ids=lambda case: case["url"])
def test_its_benign_twin_passes(case):
    assert check(case) == case["sent"]


def spellings(number):
    """An IPv4 address in the forms that `inet_aton` takes."""
    parts = struct.pack(">I", number)
    cut = st.sampled_from([(0,), (1, 0), (1, 1, 0), (1, 1, 1, 0)])

    def write(cuts, bases):
        sizes, rest = list(cuts), 4 - sum(cuts)
        sizes[-1] = rest
        values, at = [], 0
        for size in sizes:
            values.append(int.from_bytes(parts[at : at + size]))
            at += size
        return ".".join(base.format(value) for base, value in zip(bases, values, strict=False))

    base = st.sampled_from(["{}", "0x{:x}", "0X{:X}", "0{:o}", "000{:o}", "0x000{:x}"])
    return st.builds(write, cut, st.lists(base, min_size=4, max_size=4))


def numbers(network):
    return st.integers(int(network[0]), int(network[-1]))


private = st.sampled_from([ip_network(one) for one in CLOSED]).flatmap(numbers)


@given(
    private.flatmap(lambda number: st.tuples(st.just(number), spellings(number))), st.sampled_from(["", "."])
)
def test_every_spelling_of_a_private_address_is_refused(address, ending):
    number, host = address
    assert struct.unpack(">I", socket.inet_aton(host))[0] == number
    everything = Allowed(hosts=(host, host.lower(), socket.inet_ntoa(struct.pack(">I", number))))

    with pytest.raises(RefusedError):
        find_address(read_url(f"http://{host}{ending}/", everything), everything, lambda *_: ["1.1.1.1"])


@given(private)
def test_every_private_address_in_ipv6_clothes_is_refused(number):
    quad = socket.inet_ntoa(struct.pack(">I", number))
    for host in (
        f"::ffff:{quad}",
        f"::{quad}",
        f"64:ff9b::{quad}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::",
    ):
        with pytest.raises(RefusedError):
            find_address(
                read_url("http://shop.example/", ALLOWED), ALLOWED, lambda _host, _port, host=host: [host]
            )


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    for url in (text, f"https://{text}", f"https://shop.example{text}", f"https://shop.example/{text}"):
        try:
            target = read_url(url, ALLOWED)
        except RefusedError:
            continue
        assert is_listed(target.host, ALLOWED.hosts)
        assert read_url(target.url, ALLOWED) == target


def test_a_number_longer_than_python_converts_is_refused():
    with pytest.raises(RefusedError):
        read_url(f"http://{'9' * 1900}/", ALLOWED)


def test_a_url_of_100_kb_is_refused():
    with pytest.raises(RefusedError, match="longer than 2048"):
        read_url("https://shop.example/" + "a" * 100_000, ALLOWED)


def test_an_unknown_host_is_refused(monkeypatch):
    def fail(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(RefusedError, match="not known"):
        resolve("shop.example", 443)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://user@shop.example/", "names a user"),
        ("https://shop.example%2f/", "percent-encoded"),
        ("http://0x7f.1/", "number that hides an address"),
        ("https://shop.example:22/", "port is not in the list"),
        ("https://gorse.example/", "host is not in the list"),
        ("ftp://shop.example/", "only http"),
    ],
)
def test_the_refusal_says_why(url, reason):
    with pytest.raises(RefusedError, match=reason):
        read_url(url, ALLOWED)
