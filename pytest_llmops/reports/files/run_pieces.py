"""
A run file read result by result: fast, and with no more of its text in memory than a few results.

A result is decoded by msgspec; one that does not fit goes through the readers of `run_reading`, for it may be
none, or one that msgspec does not know, of lone surrogates.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_llmops.documents.json_document import parse_unique
from pytest_llmops.documents.reading import BrokenValueError
from pytest_llmops.documents.record_decoder import RecordDecoder
from pytest_llmops.records import CaseResult, Output, Passage, Run, Score
from pytest_llmops.reports.files.run_reading import (
    NOT_WRITTEN,
    make_result,
    make_run,
    read_head,
    read_result,
    read_rival,
)

# As `write_run` lays a file out. Text cannot hold them: in JSON, a line break within text is escaped.
_START, _BETWEEN, _END = b'\n "results": [\n', b"\n  },\n", b"\n  }\n ]"
_CLOSE = b"\n  }"
_MARK = "results are read apart"
_BLOCK = 4_000_000
_BEFORE_COLON = (b"\t", b"\r", b" :", b"\n:")  # a key that ends so is none that `RecordDecoder` counts


def read_pieces(path: Path) -> Run | None:
    """
    The run in a file of the layout that `write_run` writes.

    None for every other file, and for one that `read_run` refuses.
    """
    if not path.is_file():  # a pipe can be read only once
        return None
    try:
        return _read(path)
    except (BrokenValueError, OSError, RecursionError, ValueError):
        return None


def _read(path: Path) -> Run | None:
    read = _make_reader()
    results: list[CaseResult] = []
    with path.open("rb") as file:
        before, start, rest = file.read(_BLOCK).partition(_START)
        while start:
            *pieces, rest = rest.split(_BETWEEN)
            results += [read(piece + _CLOSE) for piece in pieces]
            block = file.read(_BLOCK)
            if not block:
                break
            rest += block
    last, end, after = rest.partition(_END)
    if not (start and end):
        return None
    results.append(read(last + _CLOSE))
    # The rest is a run whose results are a mark. Were they elsewhere, or there twice, it would not be there.
    value = _parse(before + _START + json.dumps(_MARK).encode() + b"\n ]" + after)
    if not isinstance(value, dict) or value.pop("results", None) != [_MARK]:
        return None
    return make_run(read_head(value), tuple(results))


def _parse(text: bytes) -> Any:
    return parse_unique(text.decode())


def _make_reader() -> Callable[[bytes], CaseResult]:
    """Reads the results of one file; equal scores, checks and usages of it are one record."""
    scores: RecordDecoder[Score] = RecordDecoder(Score, interned=("metric", "signature"), shared=True)
    outputs: RecordDecoder[Output] = RecordDecoder(
        Output, interned=("model",), decoders={"passages": RecordDecoder(Passage)}
    )
    decoder = RecordDecoder(
        CaseResult,
        make_result,
        without=NOT_WRITTEN,
        optional=("input_hash",),
        readers={"rival": read_rival},
        decoders={"outputs": outputs, "scores": scores},
    )

    def read(text: bytes) -> CaseResult:
        if any(each in text for each in _BEFORE_COLON):
            _parse(text)
        try:
            return decoder.read(text)
        except (BrokenValueError, RecursionError, ValueError):  # of msgspec, too
            return read_result(_parse(text))

    return read
