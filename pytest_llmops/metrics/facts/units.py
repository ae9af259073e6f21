"""
Units with their dimensions and sizes: those of `values.UNITS`, SI units with their prefixes, and currencies.

A symbol is looked up as it is written first (`Mb` is a bit), then in small letters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from pytest_llmops.metrics.facts.values import UNITS, Unit

_PREFIXES: Mapping[str, tuple[str, float]] = {
    "T": ("tera", 1e12), "G": ("giga", 1e9), "M": ("mega", 1e6), "k": ("kilo", 1e3), "h": ("hecto", 1e2),
    "d": ("deci", 1e-1), "c": ("centi", 1e-2), "m": ("milli", 1e-3), "\u00b5": ("micro", 1e-6),
    "n": ("nano", 1e-9), "p": ("pico", 1e-12),
}  # fmt: skip
_HOUR = 3_600.0
# Symbol, words, dimension and size, and the prefixes that are in use; sizes as in `values`.
_PREFIXED: tuple[tuple[str, str, Unit, str], ...] = (
    ("g", "gram grams gramme grammes", Unit("mass"), "kdcm\u00b5np"),
    ("t", "tonne tonnes", Unit("mass", 1e6), "kM"),
    ("m", "metre metres meter meters", Unit("length", 1e3), "kdcm\u00b5np"),
    ("l", "litre litres liter liters", Unit("volume", 1e3), "hdcm\u00b5n"),
    ("L", "", Unit("volume", 1e3), "hdcm\u00b5n"),
    ("s", "second seconds", Unit("time"), "m\u00b5np"),
    ("W", "watt watts", Unit("power"), "TGMkm\u00b5"),
    ("Wh", "watt-hour watt-hours", Unit("energy"), "TGMk"),
    ("J", "joule joules", Unit("energy", 1 / _HOUR), "TGMkm"),
    ("cal", "calorie calories", Unit("energy", 4.184 / _HOUR), "k"),
    ("eV", "electronvolt electronvolts", Unit("electronvolt"), "TGMkm"),
    ("Pa", "pascal pascals", Unit("pressure"), "GMkhm"),
    ("bar", "bar bars", Unit("pressure", 1e5), "m"),
    ("V", "volt volts", Unit("voltage"), "Mkm\u00b5"),
    ("A", "amp amps ampere amperes", Unit("current"), "km\u00b5n"),
    ("Ah", "", Unit("charge"), "km"),
    ("\u03a9", "ohm ohms", Unit("resistance"), "Mkm"),
    ("Hz", "hertz", Unit("frequency"), "TGMk"),
    ("N", "newton newtons", Unit("force"), "Mkm"),
    ("mol", "mole moles", Unit("amount"), "m\u00b5n"),
    ("B", "byte bytes", Unit("data"), "TGMk"),
    ("bit", "bit bits", Unit("data", 1 / 8), "TGMk"),
    ("bps", "", Unit("data/time", 1 / 8), "TGMk"),
    ("Sv", "sievert sieverts", Unit("dose"), "m\u00b5"),
    ("Bq", "becquerel becquerels", Unit("activity"), "GMk"),
)
_OTHERS: Mapping[Unit, str] = {
    Unit("mass", 1e-6): "mcg ug \u03bcg",
    Unit("mass", 1e-3): "milligrams",
    Unit("mass", 6_350.29): "stone",
    Unit("mass", 28.3495): "ounce ounces",
    Unit("mass", 453.592): "lb lbs",
    Unit("mass", 907_184.74): "ton tons",
    Unit("length", 914.4): "yard yards yd yds",
    Unit("length", 25.4): "inch inches",
    Unit("length", 1.852e6): "nmi",
    Unit("length", 1e-3): "micron microns \u03bcm um",
    Unit("length", 9.4607e18): "light-year light-years",
    Unit("volume", 568.261): "pint pints",
    Unit("volume", 3_785.41): "gallon gallons gal",
    Unit("volume", 158_987.0): "barrel barrels bbl",
    Unit("volume", 236.588): "cup cups",
    Unit("volume", 14.787): "tablespoon tablespoons tbsp",
    Unit("volume", 4.929): "teaspoon teaspoons tsp",
    Unit("volume", 1.0): "cc cm3 cm\u00b3",
    Unit("volume", 1e6): "m3 m\u00b3",
    Unit("area", 1.0): "m2 m\u00b2 sqm",
    Unit("area", 1e6): "km2 km\u00b2",
    Unit("area", 1e-4): "cm2 cm\u00b2",
    Unit("area", 1e4): "ha hectare hectares",
    Unit("area", 4_046.86): "acre acres",
    Unit("area", 0.092903): "sqft ft2 ft\u00b2",
    Unit("length/time", 1e6 / _HOUR): "kmh kph km/h",
    Unit("length/time", 1.609344e6 / _HOUR): "mph",
    Unit("length/time", 1.852e6 / _HOUR): "knot knots kn",
    Unit("pressure", 6_894.757): "psi",
    Unit("pressure", 101_325.0): "atm",
    Unit("pressure", 133.322): "mmhg",
    Unit("power", 745.7): "hp horsepower",
    Unit("temperature"): "celsius centigrade \u2103",
    Unit("fahrenheit"): "fahrenheit \u2109",
    Unit("kelvin"): "kelvin kelvins",
    Unit("time", 60.0): "minute minutes",
    Unit("time", 10 * 365.25 * 86_400.0, exact=False): "decade decades",
    Unit("time", 100 * 365.25 * 86_400.0, exact=False): "century centuries",
    Unit("time", 1_000 * 365.25 * 86_400.0, exact=False): "millennium millennia",
    Unit("data", 2.0**10): "kib",
    Unit("data", 2.0**20): "mib",
    Unit("data", 2.0**30): "gib",
    Unit("data", 2.0**40): "tib",
    Unit("rotation"): "rpm",
    Unit("beats"): "bpm",
    Unit("frames"): "fps",
    Unit("level"): "db dba dbm decibel decibels",
    Unit("pixels"): "px pixel pixels",
    Unit("pixels", 1e6): "megapixel megapixels mpx",
    Unit("density of pixels"): "dpi ppi",
    Unit("share", 1e-6): "ppm",
    Unit("share", 1e-9): "ppb",
    Unit("light"): "lumen lumens",
    Unit("international units"): "iu",
    Unit("points of a percentage"): "percentage-points",
}  # fmt: skip
_CODES = (
    "AED ARS AUD BDT BGN BHD BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP GEL GHS HKD HRK HUF IDR ILS INR IQD "
    "IRR ISK JOD JPY KES KRW KWD KZT LBP LKR MAD MXN MYR NGN NOK NZD OMR PEN PHP PKR PLN QAR RON RSD RUB SAR "
    "SEK SGD THB TND TRY TWD TZS UAH UGX USD UYU UZS VND XAF XOF ZAR BTC ETH"
)
CURRENCY_CODES: frozenset[str] = frozenset(_CODES.split())
_SIGNS: Mapping[str, str] = {
    "US$": "USD", "A$": "AUD", "C$": "CAD", "HK$": "HKD", "NZ$": "NZD", "S$": "SGD", "R$": "BRL",
    "\u20b9": "INR", "\u20a9": "KRW", "\u20bd": "RUB", "\u20ba": "TRY", "\u0e3f": "THB", "\u20ab": "VND",
    "\u20aa": "ILS", "\u20b4": "UAH", "\u20a6": "NGN", "\u20b1": "PHP", "CN\u00a5": "CNY", "RMB": "CNY",
}  # fmt: skip
SIGNS: Mapping[str, Unit] = {
    **{sign: Unit(code) for sign, code in _SIGNS.items()},
    **{code: Unit(code) for code in CURRENCY_CODES},
    **{sign: UNITS[sign] for sign in "\u00a3\u20ac$\u00a5"},
}
"""Signs and codes of currencies; the longest comes first where one begins with another."""

_MONEY: Mapping[str, str] = {
    "INR": "rupee rupees", "KRW": "won", "CNY": "yuan renminbi rmb", "CHF": "franken",
    "PLN": "z\u0142 zloty zlotys",
    "RUB": "rouble roubles ruble rubles", "THB": "baht", "TRY": "lira", "ZAR": "rand", "CZK": "k\u010d",
    "ILS": "shekel shekels", "GBP": "sterling",
}  # fmt: skip
_ALONE = frozenset("AVNJBWLKFTmgslt")
"""Letters that are units right behind a number, and mostly something else behind a space."""


def find_unit(written: str, *, attached: bool = False) -> Unit | None:
    """
    Return the unit of a symbol or word, also of a quotient such as `mg/kg`; None if it is none.

    Args:
        attached: It stands right behind the number.
    """
    upper, slash, lower = written.partition("/")
    if slash and written.lower() not in _units():
        one, other = find_unit(upper, attached=True), find_unit(lower, attached=True)
        if one is None or other is None:
            return None
        dimension = f"{one.dimension}/{other.dimension}"
        return Unit(dimension, one.factor / other.factor, exact=one.exact and other.exact)
    if written in _ALONE and written.lower() not in UNITS and not attached:
        return None
    known = _units()
    return (
        known.get(written)
        or known.get(written.lower())
        or (Unit(written) if written in CURRENCY_CODES else None)
    )


@lru_cache(maxsize=1)
def _units() -> Mapping[str, Unit]:
    units = dict(_list_units())
    own = {word: unit for word, unit in UNITS.items() if len(word) > 1 or word in "%\u00b0wlsmgh"}
    return {**units, **own}


def _list_units() -> Iterator[tuple[str, Unit]]:
    for unit, words in _OTHERS.items():
        yield from ((word, unit) for word in words.split())
    for code, words in _MONEY.items():
        yield from ((word, Unit(code)) for word in words.split())
    for symbol, words, unit, prefixes in _PREFIXED:
        yield symbol, unit
        yield from ((word, unit) for word in words.split())
        for prefix in prefixes:
            spelled, size = _PREFIXES[prefix]
            larger = unit._replace(factor=unit.factor * size)
            yield prefix + symbol, larger
            if prefix == "\u00b5":  # the letter, and what typewriters have for it
                yield from ((f"{sign}{symbol}", larger) for sign in "\u03bcu")
            yield from ((spelled + word, larger) for word in words.split())
