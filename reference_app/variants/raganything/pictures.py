"""The text in a picture and the rows of a table, as a customer sends them: bounded, and never trusted."""

from __future__ import annotations

import csv
import io
import threading
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.errors import QuestionError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES, MAX_PIXELS, MAX_SIDE = 20_000_000, 30_000_000, 1600
MAX_ROWS, MAX_CHARACTERS = 20, 1000
FORMATS = ("PNG", "JPEG", "WEBP")
_reading = threading.Lock()  # the OCR keeps the picture that it works on


def load_file(path: object, kind: str) -> bytes:
    """The bytes of a file that a question names; QuestionError if there is none, or it is too large."""
    file = Path(path) if isinstance(path, str) else None
    try:
        if file is None or not file.is_file():  # else a device or a pipe would be waited for
            raise QuestionError(f"There is no {kind} {path!r}.")
        if file.stat().st_size > MAX_BYTES:
            raise QuestionError(f"The {kind} {path} has more than {MAX_BYTES // 1_000_000} MB.")
        return file.read_bytes()
    except OSError as error:
        raise QuestionError(f"The {kind} {path} cannot be read: {error.strerror}.") from None


def read_picture(data: bytes, name: str) -> str:
    """The lines of text in a picture, as sentences; QuestionError with its name if it cannot be read."""
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are limited here
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            large = picture.width * picture.height > MAX_PIXELS
            if not large:
                picture = ImageOps.exif_transpose(picture).convert("RGB")
    except Exception:  # noqa: BLE001 - what a broken file makes Pillow raise is not listed anywhere
        raise QuestionError(f"{name} is no picture that can be read ({', '.join(FORMATS)}).") from None
    if large:
        raise QuestionError(f"The picture {name} has more than {MAX_PIXELS // 1_000_000} megapixels.")
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    with _reading:
        found, _ = _open_ocr()(np.asarray(picture))
    text = " ".join(line if line[-1] in ".!?" else f"{line}." for line in _join_lines(found or ()))
    return text[:MAX_CHARACTERS]


def read_table(data: bytes, name: str) -> str:
    """The first rows of a CSV file, each as a sentence; QuestionError with its name if it is none."""
    try:
        text = data.decode("utf-8-sig")
        rows = [row for _, row in zip(range(MAX_ROWS), csv.reader(io.StringIO(text)), strict=False)]
    except (UnicodeDecodeError, csv.Error):
        raise QuestionError(f"{name} is no table that can be read (CSV in UTF-8).") from None
    if "\0" in text or not any(cell.strip() for row in rows for cell in row):
        raise QuestionError(f"{name} is no table that can be read (CSV in UTF-8).")
    said = (", ".join(cell.strip() for cell in row) + "." for row in rows if any(row))
    return " ".join(said)[:MAX_CHARACTERS]


def _join_lines(found: Sequence[tuple[list[list[float]], str, float]]) -> list[str]:
    """The pieces that the OCR found, those at the same height as one line."""
    lines: list[tuple[float, list[tuple[float, str]]]] = []
    for box, text, _ in sorted(found, key=lambda each: _middle(each[0])):
        height = box[3][1] - box[0][1]
        if not lines or _middle(box) - lines[-1][0] > height / 2:
            lines.append((_middle(box), []))
        lines[-1][1].append((box[0][0], text.strip()))
    return [" ".join(text for _, text in sorted(pieces)) for _, pieces in lines if any(t for _, t in pieces)]


def _middle(box: list[list[float]]) -> float:
    return sum(corner[1] for corner in box) / len(box)


@cache
def _open_ocr() -> Any:
    """The models are files of the package; nothing is downloaded."""
    from rapidocr_onnxruntime import RapidOCR

    return RapidOCR()
