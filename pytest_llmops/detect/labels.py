"""
The name before each value of a mapping or a list: its key, or the name that is paired with it.

Files pair names and values in many shapes: attributes of OTLP and Jaeger, headers of HAR, variables of
Kubernetes, tags of AWS, fields of forms, columns of tables. In `{"key": "ssn", "value": {"stringValue": …}}`
the keys say nothing of the value, and `ssn` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeGuard

Names = str | tuple[str, ...]
"""The name of a value, or the names of the columns of each row in it."""

_LONGEST_NAME = 100
_PAIR = 2  # a name and a value in a list
_MOST_WORDS = 3  # in such a name; a longer text is what somebody said
_A_NAME = re.compile(r"[^\n{}\[\]]*[^\W\d][^\n{}\[\]]*")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DOT = re.compile(r"(?<=\w\w)\.(?=\w\w)")

_WRAPPERS = frozenset({
    "S", "N", "B", "L", "M", "SS", "NS", "BS", "#text", "_text", "__text", "$", "$t", "$numberLong",
    "$numberInt", "$numberDouble", "$numberDecimal", "vStr", "vInt64", "vFloat64", "vBinary", "v", "before",
    "after", "old", "new", "val",
})  # fmt: skip
"""Keys of a value that say nothing of it: of DynamoDB, XML, MongoDB, Jaeger and audit logs."""
_VALUE = re.compile(
    r"(?P<stem>.*?)(?:values?|werte?|valeurs?|valor(?:es)?|valor[ei]|waarden?|wartość|värde|verdi|值)"
)
_TYPES = frozenset("""
    string str integer int int32 int64 long double float bool boolean bytes number num decimal text raw
    default current new old previous prev array list kvlist map any timestamp date field
""".split())  # fmt: skip  # noqa: SIM905 - a list of words, read as such
_NAMES = frozenset("""
    key name k n field label header attribute attr property prop param parameter variable var setting option
    column col term entry bezeichnung feld merkmal schlüssel nom champ clé libellé nombre campo clave nome
    chiave naam veld sleutel nazwa pole klucz namn navn fält felt 名称
""".split())  # fmt: skip  # noqa: SIM905 - as above
_NAME_ENDS = ("name", "key", "label", "field")
_RANKS = range(3)
_BY_STEM, _BY_END, _BY_KIND = _RANKS
_KINDS = frozenset("type kind system id tag title entity slot category path pointer code".split())  # noqa: SIM905 - as above
_COMMON = frozenset("""
    home work other main primary secondary private business custom official string str integer int number text
    default input hidden value none
""".split())  # fmt: skip  # noqa: SIM905 - as above
"""Names of which a value has one whatever it is, so that they do not replace the key above."""
_COLUMNS = frozenset("columns cols columnnames fields headers header keys names".split())  # noqa: SIM905 - as above
_ROW = frozenset({"row", "data", "record"})


class Pairs(tuple[tuple[str, Any], ...]):
    """A mapping as written, with all values of a repeated key."""

    __slots__ = ()


@lru_cache(maxsize=1000)  # records of one kind have the same keys
def label_of(name: str) -> str:
    """Return what is read before a value: `customer tax_Id: ` of `customer.taxId`; empty without a name."""
    return f"{_HUMP.sub('_', _DOT.sub(' ', name))}: " if name else ""


def name_items(value: Mapping[Any, Any] | Pairs, names: Names) -> Iterator[tuple[str, Any, Names]]:
    """
    Yield key, value and name of each item of a mapping.

    Args:
        names: The name of the mapping itself, for values whose key says nothing.
    """
    pairs = value.items() if isinstance(value, Mapping) else value
    items = [(str(key), item) for key, item in pairs]
    stems = {key: stem for key, _ in items if (stem := _stem(key)) is not None}
    columns = _find_columns(items)
    paired = {stem: _find_names(items, stem, names) for stem in set(stems.values())}
    for key, item in items:
        if columns and _is_row(item) and _is_table(key, item, len(columns)):
            yield key, item, columns
        elif key in stems:
            yield key, item, paired[stems[key]] or ("" if stems[key] else names) or key
        else:
            yield key, item, key


def name_rows(value: Any, names: Names) -> Iterator[tuple[Any, Names]]:
    """Yield the items of a list and their names: that of the list, or the columns' of a row."""
    if isinstance(names, str):
        for item in value:
            is_pair = _is_row(item) and len(item) == _PAIR and _is_name(item[0])
            yield item, (names, item[0]) if is_pair and len(item[0].split()) <= _MOST_WORDS else names
    elif all(map(_is_row, value)):
        yield from ((item, names) for item in value)
    else:
        of_each = names if len(names) == len(value) else ("",) * len(value)
        yield from zip(value, of_each, strict=True)


@lru_cache(maxsize=1000)
def _stem(key: str) -> str | None:
    """Return the beginning of a key of a value: `parameter` of `ParameterValue`; empty for `value`."""
    if key in _WRAPPERS or key.isdigit():
        return ""
    match = _VALUE.fullmatch(_fold(key))
    if match is None:
        return None
    return "" if match["stem"] in _TYPES else match["stem"]


def _fold(key: str) -> str:
    return re.sub(r"[\W_]", "", key.lower())


def _find_names(items: Sequence[tuple[str, Any]], stem: str, above: Names) -> str:
    """Return the names next to a value, the most telling one last; empty where there is none."""
    ranked: dict[int, list[str]] = {}
    for key, item in items:
        rank = _rank(key, stem)
        if rank is not None and _is_name(item) and _fold(item) not in _COMMON:
            ranked.setdefault(rank, []).append(item)
    if not ranked:
        return ""
    best = min(ranked)
    if best == _BY_KIND and isinstance(above, str):  # of what the key above names
        return " ".join(filter(None, (above, *ranked[best])))
    return ", ".join(sorted(ranked[best], key=lambda name: not any(map(str.isdigit, name))))


@lru_cache(maxsize=1000)
def _rank(key: str, stem: str) -> int | None:
    """Return how much a key says of a value with that stem, from the most on; None for nothing."""
    folded = _fold(key)
    if stem:
        end = folded.removeprefix(stem)
        return _BY_STEM if end != folded and end in {*_NAME_ENDS, "id"} else None
    if folded in _NAMES:
        return _BY_STEM
    if folded.endswith(_NAME_ENDS):
        return _BY_END
    return _BY_KIND if folded in _KINDS else None


def _find_columns(items: Sequence[tuple[str, Any]]) -> tuple[str, ...]:
    """Return the names of the columns of a table, such as `columns` or `fields` next to `rows`."""
    for key, item in items:
        if _fold(key) in _COLUMNS and _is_row(item) and item:
            parts = [dict(part) if isinstance(part, Pairs) else part for part in item]
            columns = [part.get("name") if isinstance(part, Mapping) else part for part in parts]
            names = tuple(column for column in columns if _is_name(column))
            if len(names) == len(item):
                return names
    return ()


def _is_row(value: Any) -> bool:
    return isinstance(value, list | tuple) and not isinstance(value, Pairs)


def _is_table(key: str, item: Sequence[Any], width: int) -> bool:
    """Return whether a list contains rows of that width, or is one."""
    rows = [row for row in item if _is_row(row)]
    if rows:
        return len(rows) == len(item) and all(len(row) == width for row in rows)
    return len(item) == width and (key.lower() in _ROW or _stem(key) is not None)


def _is_name(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= _LONGEST_NAME and _A_NAME.fullmatch(value) is not None
