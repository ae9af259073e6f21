"""English words for units, amounts of money and months, each with what it measures and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Unit(NamedTuple):
    """
    What a unit measures, such as `mass`, and how many of the smallest unit it is.

    Attributes:
        exact: False for months and years, which are no fixed number of days.
    """

    dimension: str
    factor: float = 1.0
    exact: bool = True


_DAY = 86_400.0
_LISTED: Mapping[Unit, str] = {
    Unit("time"): "s sec secs second seconds",
    Unit("time", 60.0): "min mins minute minutes",
    Unit("time", 3_600.0): "h hr hrs hour hours",
    Unit("time", _DAY): "day days",
    Unit("time", 7 * _DAY): "week weeks",
    Unit("time", 14 * _DAY): "fortnight fortnights",
    Unit("time", 30.4375 * _DAY, exact=False): "month months",
    Unit("time", 365.25 * _DAY, exact=False): "yr yrs year years",
    Unit("mass"): "g gram grams gramme grammes",
    Unit("mass", 1e3): "kg kilo kilos kilogram kilograms",
    Unit("mass", 28.3495): "oz ounce ounces",
    Unit("mass", 453.592): "lb lbs",
    Unit("mass", 1e6): "tonne tonnes",
    Unit("length"): "mm millimetre millimetres millimeter millimeters",
    Unit("length", 10.0): "cm centimetre centimetres centimeter centimeters",
    Unit("length", 25.4): "inch inches",
    Unit("length", 304.8): "ft foot feet",
    Unit("length", 1e3): "m metre metres meter meters",
    Unit("length", 1e6): "km kilometre kilometres kilometer kilometers",
    Unit("length", 1.609344e6): "mile miles",
    Unit("volume"): "ml millilitre millilitres milliliter milliliters",
    Unit("volume", 1e3): "l litre litres liter liters",
    Unit("temperature"): "° °c c degree degrees",
    Unit("fahrenheit"): "°f",
    Unit("percent"): "% percent pct",
    Unit("power"): "w watt watts",
    Unit("energy"): "wh watt-hour watt-hours",
    Unit("energy", 1e3): "kwh kilowatt-hour kilowatt-hours",
    Unit("data", 1e3): "kb",
    Unit("data", 1e6): "mb",
    Unit("data", 1e9): "gb",
    Unit("data", 1e12): "tb",
    Unit("GBP"): "£ gbp pound pounds quid",
    Unit("GBP", 0.01): "pence",
    Unit("EUR"): "€ eur euro euros",
    Unit("USD"): "$ usd dollar dollars",
    Unit("USD", 0.01): "cents",
    Unit("JPY"): "¥ jpy yen",
}
UNITS: Mapping[str, Unit] = {word: unit for unit, words in _LISTED.items() for word in words.split()}
CURRENCIES = "£€$¥"
SCALES: Mapping[str, float] = {
    "k": 1e3,
    "thousand": 1e3,
    "m": 1e6,
    "million": 1e6,
    "bn": 1e9,
    "billion": 1e9,
    "hundred": 1e2,
    "dozen": 12.0,
}
MONTHS: Mapping[str, int] = {
    word: at
    for at, words in enumerate(
        (
            "january jan",
            "february feb",
            "march mar",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sept sep",
            "october oct",
            "november nov",
            "december dec",
        ),
        1,
    )
    for word in words.split()
}
DAYS_OF_THE_WEEK = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
