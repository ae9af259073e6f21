from __future__ import annotations

import pytest
import yaml

from reference_app.shop.database import CATALOGUE
from reference_app.shop.names import find_names, list_near

SOLD = yaml.safe_load(CATALOGUE.read_bytes())
PRODUCTS = {product[0]: kind for kind, products in SOLD["categories"].items() for product in products}
CITIES = dict.fromkeys(SOLD["stores"], "")


@pytest.mark.parametrize("name", [*PRODUCTS, *CITIES])
def test_every_name_is_found_however_it_is_written(name):
    kinds = PRODUCTS if name in PRODUCTS else CITIES

    for written in (name, name.upper(), f"the {name}", f"  {name}, size 41", name.replace("'", "\u2019")):
        assert find_names(written, kinds)[0] == [name]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Skerry 2", ["Skerry 2 tent"]),  # and not its footprint
        ("skery 2", ["Skerry 2 tent"]),
        ("Skerry", ["Skerry 2 tent", "Skerry 3 tent"]),
        ("jackets", ["Lapwing down jacket", "Plover wind jacket", "Jackets with printed logo"]),
        ("ember stove", ["Fellwind Ember stove"]),
        ("Fulmar minus 8", ["Fulmar -8 sleeping bag"]),
        ("Moorland Mid boot in size 41", ["Moorland Mid boots"]),
        ("gas cannister 230", ["Gas canister 230 g"]),
        ("gas canister", ["Gas canister 230 g", "Gas canister 450 g"]),
        ("rill cartridge", ["Cartridge for Rill water filter"]),
        ("headlmaps", ["Lumen headlamp", "Lumen Mini headlamp"]),
        ("lamps", ["Lumen headlamp", "Lumen Mini headlamp"]),
        ("Ridge", ["Ridge GPS handheld"]),  # neither Ridgeline nor cartridge
        ("water filter", ["Rill water filter"]),  # and not its cartridge
        ("Drift mat", ["Drift sleeping mat", "Drift Wide sleeping mat"]),
        ("Squall jackets", ["Squall rain shell"]),
        ("Corrie 45 packs", ["Corrie 45 backpack"]),
        ("tent pegs", ["Steel pegs, set of 8"]),
    ],
)
def test_a_product_is_found_by_what_people_call_it(text, names):
    assert find_names(text, PRODUCTS)[0] == names


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("Skerry 4 tent", ["Skerry 2 tent", "Skerry 3 tent"]),
        ("hiking boots", ["Moorland Mid boots", "Bergfell Pro boots"]),
        ("Fulmar 100", ["Fulmar 0 sleeping bag", "Fulmar -8 sleeping bag"]),
        ("2", []),
        ("canoe", []),
        ("", []),
        ("!!!", []),
        ("'; DROP DATABASE; --", []),
    ],
)
def test_what_is_not_sold_has_at_most_near_names(text, near):
    assert find_names(text, PRODUCTS) == []
    assert list_near(text, PRODUCTS)[: len(near) or None] == near


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("your Stonebeck shop", ["Stonebeck"]),
        ("harowmere", ["Harrowmere"]),
        ("Portland", None),
        ("Paris", None),
        ("", None),
    ],
)
def test_a_city_is_found_but_no_other_is_taken_for_it(text, names):
    assert next(iter(find_names(text, CITIES)), None) == names


def test_names_that_fit_less_well_come_later():
    tiers = find_names("jacket", PRODUCTS)

    assert "Squall rain shell" not in tiers[0]
    assert "Squall rain shell" in tiers[-1]
