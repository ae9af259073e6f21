"""
The labelled texts and benign background that the injection metric is trained on and measured with.

`$LLMOPS_SECURITY` names the folder of `injection.jsonl`, by default `../shared/data/security`; background
comes from the folder of `$LLMOPS_LABELS` (see `benchmarks/agreement/labels.py`), Python's own modules and
what is installed.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.agreement.labels import FOLDER as QUALITY

FOLDER = Path(os.environ.get("LLMOPS_SECURITY", Path(__file__).parents[3] / "shared/data/security"))
LONG = 32_000  # characters of a long document
_LONG_ENOUGH = 6_000
_PACKAGES = ("rich", "openai", "fastapi", "numpy", "httpx", "pydantic", "langchain_core", "scipy/stats")
_LICENCE = re.compile("licen[cs]e|copying|notice", re.IGNORECASE)
_LONG_EACH = 70  # documents of a kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """
    A long benign text.

    Attributes:
        name: Where it is from; documents whose names hash to an odd number are kept from training.
    """

    kind: str
    name: str
    text: str

    @property
    def order(self) -> int:
        return int(sha256(f"{self.kind}/{Path(self.name).name}".encode()).hexdigest(), 16)

    @property
    def held_out(self) -> bool:
        return bool(self.order % 2)


def labelled() -> list[dict[str, Any]]:
    """The rows of `injection.jsonl`."""
    return list(_rows(FOLDER / "injection.jsonl"))


def questions() -> list[str]:
    """Benign requests, and turns of conversations."""
    sets = {name: list(_rows(QUALITY / f"{name}.jsonl")) for name in ("llmbar", "mtbench_scores", "begin")}
    texts = [row.get("input") for name in ("llmbar", "mtbench_scores") for row in sets[name]]
    texts += [row[field] for row in sets["begin"][::7] for field in ("input", "output")]
    return [text for text in dict.fromkeys(texts) if isinstance(text, str) and text]


def documents() -> list[Document]:
    """Up to `_LONG_EACH` of each kind."""
    found: list[Document] = []
    for read in (_abstracts, _passages, _articles, _licences, _readmes, _code, _api_docs):
        whole = [each for each in read() if len(each.text) >= _LONG_ENOUGH]
        found += sorted(whole, key=lambda each: each.order)[:_LONG_EACH]
    return found


def _abstracts() -> Iterator[Document]:
    rows = list(_rows(QUALITY / "scifact_corpus.jsonl"))
    for at in range(0, len(rows), 20):
        texts = (f"{row.get('title', '')}\n{_joined(row.get('text'))}" for row in rows[at : at + 20])
        yield Document(kind="abstracts", name=f"{at}", text="\n\n".join(texts)[:LONG])


def _passages() -> Iterator[Document]:
    rows = [row for name in ("mtrag", "clapnq") for row in _rows(QUALITY / f"{name}.jsonl")]
    yield from _cut("passages", (_joined(each) for row in rows for each in row.get("contexts") or ()))


def _articles() -> Iterator[Document]:
    texts = [_joined(row.get("text")) for row in _rows(QUALITY / "xquad_passages.jsonl")]
    rows = _rows(QUALITY / "ragchecker.jsonl")
    yield from _cut("articles", (*texts, *(_joined(row.get("reference")) for row in rows)))


def _cut(kind: str, texts: Iterable[str]) -> Iterator[Document]:
    """Texts in an arbitrary order, joined, in pieces of `LONG` characters."""
    text = "\n\n".join(sorted(set(texts), key=lambda each: sha256(each.encode()).hexdigest()))
    for at in range(0, len(text), LONG):
        yield Document(kind=kind, name=f"{at}", text=text[at : at + LONG])


def _licences() -> Iterator[Document]:
    """Each once: packages repeat each other's, with other names and lines at the top."""
    texts: dict[str, str] = {}
    for path in sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info/**/*")):
        if path.is_file() and _LICENCE.match(path.name):
            text = _text(path)[:LONG]
            texts.setdefault(" ".join(text.lower().split())[1_000:2_000], text)
    yield from (Document(kind="licences", name=words, text=text) for words, text in texts.items())


def _readmes() -> Iterator[Document]:
    for path in sorted(Path(sysconfig.get_path("purelib")).glob("*.dist-info/METADATA")):
        yield Document(kind="readmes", name=path.parent.name, text=_text(path)[:LONG])


def _code() -> Iterator[Document]:
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        yield Document(kind="code", name=path.name, text=_text(path)[:LONG])


def _api_docs() -> Iterator[Document]:
    folders = [Path(sysconfig.get_path("purelib")) / package for package in _PACKAGES]
    paths = [*Path(sysconfig.get_path("stdlib")).glob("*.py"), *(p for f in folders for p in f.rglob("*.py"))]
    for path in sorted(paths):
        yield Document(kind="API docs", name=str(path), text=_docstrings(_text(path))[:LONG])


def _docstrings(source: str) -> str:
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return ""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return "\n\n".join(filter(None, (ast.get_docstring(node) for node in nodes if isinstance(node, kinds))))


def _joined(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("text", "")
    return " ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        sys.exit(f"{path} is not there; set LLMOPS_SECURITY or LLMOPS_LABELS to the folder of labelled sets")
    return (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
