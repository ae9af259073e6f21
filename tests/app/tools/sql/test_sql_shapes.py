from __future__ import annotations

import pytest

from reference_app.tools.sql.guard.query import check_query
from reference_app.tools.sql.postgres import translate
from reference_app.tools.sql.shapes.linking import COLUMNS, Link
from reference_app.tools.sql.shapes.planning import MASKS
from reference_app.tools.sql.shapes.shape import fill_shape, find_joins, load_shapes

SHAPES = {shape.name: shape for shape in load_shapes()}


def make_link(kind, condition, number=None):
    return Link(start=0, stop=1, kind=kind, conditions={kind: condition}, number=number)


FILTERS = [
    *(make_link(kind, "{} = 'x'") for kind in COLUMNS),
    make_link("order", "{} = 'FW-10412'"),
    make_link("period", "{} >= '2026-01-01' AND {} < '2026-02-01'"),
    make_link("price", "{} < 50"),
    make_link("weight", "{} BETWEEN 1 AND 2"),
    make_link("stars", "{} = 5"),
]


@pytest.mark.parametrize(
    "shape", [shape for shape in SHAPES.values() if shape.table], ids=lambda shape: shape.name
)
def test_every_shape_passes_the_guard_bare_and_with_all_filters_it_can_reach(shape):
    for links in ([], FILTERS):
        sql = fill_shape(shape, links)

        check_query(sql)
        check_query(translate(sql), "postgres")


def test_phrasings_use_known_kinds_and_no_two_shapes_share_one():
    phrasings = [text for shape in SHAPES.values() for text in shape.phrasings]

    assert len(phrasings) == len(set(phrasings))
    for text in phrasings:
        text.format(**MASKS)


def test_filters_join_the_tables_in_which_they_stand():
    sql = fill_shape(
        SHAPES["units_sold"], [make_link("category", "{} = 'Tents'"), make_link("country", "{} = 'Spain'")]
    )

    assert sql == (
        "SELECT sum(order_items.quantity) AS pieces FROM order_items"
        " JOIN products ON order_items.product_id = products.product_id"
        " JOIN categories ON products.category_id = categories.category_id"
        " JOIN orders ON order_items.order_id = orders.order_id"
        " JOIN customers ON orders.customer_id = customers.customer_id"
        " WHERE categories.name = 'Tents' AND customers.country = 'Spain'"
    )


def test_two_values_of_a_column_are_alternatives_and_two_periods_narrow():
    links = [
        make_link("status", "{} = 'shipped'"),
        make_link("status", "{} = 'delivered'"),
        make_link("period", "{} >= '2026-01-01'"),
        make_link("period", "{} < '2026-02-01'"),
    ]

    assert fill_shape(SHAPES["count_orders"], links).endswith(
        "WHERE (orders.status = 'shipped' OR orders.status = 'delivered')"
        " AND orders.ordered >= '2026-01-01' AND orders.ordered < '2026-02-01'"
    )


def test_a_number_is_the_limit_of_a_ranking():
    assert fill_shape(SHAPES["best_sellers"], [make_link("number", "{} = 5", 5)]).endswith("LIMIT 5")
    assert fill_shape(SHAPES["best_sellers"], []).endswith("LIMIT 1")


def test_rows_are_never_counted_twice():
    """From orders no way leads to their items; joined, an order would count once for each item."""
    assert find_joins("order_items", "orders") is not None
    assert find_joins("orders", "order_items") is None
    assert SHAPES["count_orders"].place(make_link("product", "{} = 'x'")) is None


def test_a_shape_says_what_it_lacks():
    product, sort = make_link("product", "{} = 'x'"), make_link("sort", "{} IN ('x', 'y')")

    assert SHAPES["price_of_product"].lacks([])
    assert SHAPES["price_of_product"].lacks([sort])
    assert not SHAPES["price_of_product"].lacks([product])
    assert not SHAPES["stock"].lacks([sort])
