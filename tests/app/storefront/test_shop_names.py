from __future__ import annotations

import pytest
import yaml

from reference_app.shop.database import CATALOGUE
from reference_app.shop.names import find_name

SOLD = yaml.safe_load(CATALOGUE.read_bytes())
PRODUCTS = [product[0] for products in SOLD["categories"].values() for product in products]
CITIES = list(SOLD["stores"])


@pytest.mark.parametrize("name", [*PRODUCTS, *CITIES])
def test_every_name_is_found_however_it_is_written(name):
    names = PRODUCTS if name in PRODUCTS else CITIES

    written = (name, name.upper(), f"the {name}", f"  {name}, size 41", name.replace("'", "\u2019"))
    assert [find_name(one, names).name for one in written] == [name] * 5


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("Skerry 2", "Skerry 2 tent"),
        ("skery 2", "Skerry 2 tent"),
        ("tarn 4", "Tarn 4 family tent"),
        ("ember stove", "Fellwind Ember stove"),
        ("Fulmar minus 8", "Fulmar -8 sleeping bag"),
        ("Moorland Mid boot in size 41", "Moorland Mid boots"),
        ("gas cannister 230", "Gas canister 230 g"),
        ("rill cartridge", "Cartridge for Rill water filter"),
        ("headlamp", "Lumen headlamp"),
        ("Merino sock", "Merino socks"),
    ],
)
def test_a_product_is_found_by_what_people_call_it(asked, meant):
    assert find_name(asked, PRODUCTS).name == meant


@pytest.mark.parametrize(
    ("asked", "similar"),
    [
        ("Corrie", ("Corrie 65 backpack", "Corrie 45 backpack")),
        ("Skerry tent", ("Skerry 2 tent", "Skerry 3 tent")),
        ("gas canister", ("Gas canister 230 g", "Gas canister 450 g")),
        ("Skerry 4 tent", ("Skerry 3 tent", "Skerry 2 tent", "Gannet 1 tent", "Tarn 4 family tent")),
        ("2", ()),
        ("Fulmar 100", ()),
        ("canoe", ()),
        ("", ()),
        ("!!!", ()),
        ("'; DROP TABLE stock; --", ()),
    ],
)
def test_nothing_is_guessed(asked, similar):
    match = find_name(asked, PRODUCTS)

    assert match.name is None
    assert match.similar[: len(similar)] == similar


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("your Stonebeck shop", "Stonebeck"), ("harowmere", "Harrowmere"), ("Portland", None), ("Paris", None)],
)
def test_a_city_is_found_but_no_other_is_taken_for_it(asked, meant):
    assert find_name(asked, CITIES).name == meant
