"""Values of settings, from TOML or from text, since flags and ini files have only text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pytest_llmops.documents.reading import (
    BrokenValueError,
    Reader,
    any_of,
    checked,
    list_of,
    mapping_of,
    number,
    one_of,
    read_fields,
    read_flag,
    read_number,
    read_text,
    reader_of,
    show,
    some,
    whole,
)
from pytest_llmops.records import RunsOn

_SHARD = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")
MOST_REPEATS = 1000
"""The most repeats of a case that can be requested: more is a typing error, and would never end."""


def read_setting(kind: Any, value: Any) -> Any:
    """
    Return the value of a setting of that type; a word that goes with the type names the reader.

    Raises:
        BrokenValueError: The value cannot be.
    """
    named = get_args(kind)[1] if get_origin(kind) is Annotated else kind
    return (_READERS.get(named) or reader_of(kind))(value)


def _number(kind: Callable[[str], float]) -> Reader:
    return lambda value: kind(value) if isinstance(value, str) else read_number(value)


def _read_repeat_count(value: Any) -> int:
    count = int(_WHOLE(value))
    if count > MOST_REPEATS:
        raise BrokenValueError(f"must be {MOST_REPEATS} or less, not {show(value)}")
    return count


def _read_judge(value: Any) -> Mapping[str, Any]:
    judge = {"model": value} if isinstance(value, str) else value
    if not isinstance(judge, Mapping) or not isinstance(judge.get("model"), str) or not judge["model"]:
        raise BrokenValueError(f'must name a model, for example {{model = "gpt-4o-mini"}}, not {value!r}')
    return dict(judge)


def _read_attack(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BrokenValueError(
            f'must be a table, such as {{placements = {{file = "shop:attach"}}}}, not {value!r}'
        )
    return read_fields(value, {"placements": mapping_of(read_text)})


def _read_trace_formats(value: Any) -> tuple[str, ...]:
    formats = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    return tuple(dict.fromkeys(list_of(one_of("otlp", "langsmith"))(formats)))


def read_shard(value: Any) -> str:
    """Read `3/8`, the third of eight shards."""
    written = _SHARD.fullmatch(value.strip()) if isinstance(value, str) else None
    if written is None:
        raise BrokenValueError(f"must be a shard and the number of all, such as 3/8, not {show(value)}")
    number, count = map(int, written.groups())
    if not 1 <= number <= count:
        if not count:
            raise BrokenValueError(f"must be one of 1 shard or more, not {show(value)}")
        raise BrokenValueError(f"must be from 1/{count} to {count}/{count}, not {show(value)}")
    return f"{number}/{count}"


def _read_place(value: Any) -> str:
    """Read where an app is called."""
    if value == "process":
        raise BrokenValueError(
            "cannot be process: a process for each call could not share its recordings, spans and budget. "
            "--llm-isolate runs the app in one other process, --llm-concurrency 1 makes one call at a time"
        )
    return str(one_of(*get_args(RunsOn))(value))


def _read_app(value: Any) -> str | Mapping[str, Any]:
    """Read how an app is named; the shape of a mapping is checked as that of `app` in a golden file."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, Mapping) and value:
        return dict(value)
    raise BrokenValueError(
        f'must be "module:attribute", a URL, or a table with http or command, not {show(value)}'
    )


_WHOLE = checked(_number(int), "a whole number above 0", lambda count: count > 0 and count % 1 == 0)
_READERS: Mapping[Any, Reader] = {
    bool: lambda value: value == "true" if value in ("true", "false") else read_flag(value),
    int: lambda value: int(_WHOLE(value)),
    float: checked(_number(float), "a number of seconds above 0", lambda seconds: 0 < seconds < math.inf),
    tuple[str, ...]: checked(some(checked(read_text, "", bool)), "a path or a list of paths", bool),
    "html": checked(
        read_text, "a file that ends in .html", lambda name: Path(name).suffix in {".html", ".htm"}
    ),
    "concurrency": any_of(one_of("auto"), lambda value: int(_WHOLE(value))),
    "repeats": any_of(one_of("auto"), _read_repeat_count),
    "repeat_count": _read_repeat_count,
    "shard": read_shard,
    "runs_on": _read_place,
    "app": _read_app,
    "seconds": checked(_number(float), "a number of seconds above 0", lambda seconds: 0 < seconds < math.inf),
    "statuses": any_of(read_text, whole(100, 599), list_of(any_of(read_text, whole(100, 599)))),
    "budget": lambda value: str(value) if type(value) in {int, float} else read_text(value),
    "judge": _read_judge,
    "attack": _read_attack,
    "prices": checked(
        mapping_of(checked(list_of(number(0)), "", lambda prices: len(prices) == 2)),  # noqa: PLR2004 - a pair
        "a table of models with [prompt, completion] in US dollars for a million tokens, "
        'for example "gpt-4o-mini" = [0.15, 0.60]',
    ),
    "trace_formats": _read_trace_formats,
}
