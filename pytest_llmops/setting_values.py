"""
What is written for a setting, as its value.

Each function takes what is written and the place that an error names, and raises SettingsError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, get_args

from pytest_llmops.errors import SettingsError, hint

MOST_REPEATS = 1000
"""Of a case, however they are asked for: more is a slip of the keyboard, and would never end."""


def read_text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{place} must be text, not {value!r}")
    return value


def read_choice(kind: Any, value: Any, place: str) -> Any:
    allowed = get_args(kind)
    if value not in allowed:
        near = hint(str(value), allowed)
        raise SettingsError(f"{place} must be one of {', '.join(allowed)}, not {value!r}.{near}")
    return value


def read_switch(value: Any, place: str) -> bool:
    known = {True: True, False: False, "true": True, "false": False}
    if not isinstance(value, bool | str) or value not in known:
        raise SettingsError(f"{place} must be true or false, not {value!r}")
    return known[value]


def read_repeats(value: Any, place: str) -> Any:
    return value if value == "auto" else read_repeat_count(value, place)


def read_repeat_count(value: Any, place: str) -> int:
    count = read_count(value, place)
    if count > MOST_REPEATS:
        raise SettingsError(f"{place} must be {MOST_REPEATS} or less, not {value!r}")
    return count


def read_budget(value: Any, place: str) -> str:
    return str(value) if type(value) in {int, float} else read_text(value, place)


def read_paths(value: Any, place: str) -> tuple[str, ...]:
    paths = [value] if isinstance(value, str) else value
    if (
        not isinstance(paths, list | tuple)
        or not paths
        or not all(isinstance(path, str) and path for path in paths)
    ):
        raise SettingsError(f"{place} must be a path or a list of paths, not {value!r}")
    return tuple(paths)


def read_count(value: Any, place: str) -> int:
    number = _positive(int, value)
    if number is None or (isinstance(value, float) and number != value):
        raise SettingsError(f"{place} must be a whole number above 0, not {value!r}")
    return int(number)


def read_seconds(value: Any, place: str) -> float:
    number = _positive(float, value)
    if number is None:
        raise SettingsError(f"{place} must be a number of seconds above 0, not {value!r}")
    return number


def _positive(kind: Callable[[Any], float], value: Any) -> float | None:
    try:
        number = kind(value)
    except (OverflowError, TypeError, ValueError):
        return None
    return number if 0 < number < math.inf and not isinstance(value, bool) else None


def read_judge(value: Any, place: str) -> Mapping[str, Any]:
    judge = {"model": value} if isinstance(value, str) else value
    if not isinstance(judge, Mapping) or not isinstance(judge.get("model"), str) or not judge["model"]:
        raise SettingsError(
            f'{place} must name a model, for example {{model = "gpt-4o-mini"}}, not {value!r}'
        )
    return dict(judge)


def read_prices(value: Any, place: str) -> Mapping[str, tuple[float, float]]:
    if isinstance(value, Mapping) and all(map(_is_pair, value.values())):
        return {
            str(model): (float(prompt), float(completion)) for model, (prompt, completion) in value.items()
        }
    raise SettingsError(
        f"{place} must map a model to [prompt, completion] in US dollars for a million tokens, "
        f'for example "gpt-4o-mini" = [0.15, 0.60]; not {value!r}'
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and [
        type(each) in {int, float} and 0 <= each < math.inf for each in value
    ] == [True, True]
