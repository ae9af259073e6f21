"""Facts of one source file: digest of its syntax tree, imports, and names of variables that it may read."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from pytest_llmops.cache import Memory
from pytest_llmops.documents.python_source import parse_python

VERSION = 4
"""Raised whenever a file may be read otherwise, so that no stored facts of an older version are used."""

_IN_MEMORY = 4_096
_DIGITS = 16
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*_?", re.ASCII)
_ANY_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SHORTEST = 3
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[A-Za-z_][\w.]*)?", re.ASCII)
_PATH = re.compile(r"[\w ./-]*[\w-]\.(?!pyc?$)[A-Za-z][A-Za-z0-9]{0,11}", re.ASCII)
_PREFIX_WORDS = frozenset({"env_prefix", "envvar_prefix", "prefix"})
_READERS = frozenset({"getenv", "getenvb"})
_IMPORTERS = frozenset({"import_module", "__import__"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """
    Facts of a Python file.

    Attributes:
        digest: Of the syntax tree, so that comments, layout and line ends do not count; of the bytes where
            the file cannot be parsed.
        imports: Everywhere in the file, functions included: `..shop:orders,rules` for
            `from ..shop import orders, rules`. Texts, since thousands of tuples set off garbage collection.
        mentions: Texts such as `shop.tools:search`, by which a module may be imported.
        families: Beginnings of such texts, `shop.plugins.`, to which a name is added.
        paths: Texts that may be the path of a file, also of several parts: `adapter/adapter.gguf`.
        variables: Texts that may name an environment variable.
        prefixes: Beginnings of names of variables.
        beginnings: Texts that another one may start with, `shop_` for `name.lower().startswith("shop_")`;
            an empty one for a text that is no constant there: `name.startswith(prefix)`, and a condition of
            a loop over variables that reads a name from outside, `for name in environ if prefix in name`.
    """

    digest: str
    imports: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    beginnings: tuple[str, ...] = ()


def read_facts(sources: Sequence[bytes]) -> list[SourceFacts]:
    """Return the facts of each source, from the cache where they are known."""
    keys = [sha256(b"%d\0" % VERSION + source).digest() for source in sources]
    by_key = dict(zip(keys, sources, strict=True))
    known = _memory.recall(keys, lambda missing: iter([{key: _find_facts(by_key[key]) for key in missing}]))
    return [known[key] for key in keys]


def _find_facts(source: bytes) -> SourceFacts:
    try:
        tree = parse_python(source)
        finder = _Finder()
        finder.walk(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return SourceFacts(digest=sha256(source.replace(b"\r\n", b"\n")).hexdigest()[:_DIGITS])
    return finder.facts()


@dataclass(slots=True)
class _Finder:
    """Walks a tree once. `ast.dump` would do for the digest, but its text differs between Python versions."""

    parts: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    mentions: set[str] = field(default_factory=set)
    families: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    prefixes: set[str] = field(default_factory=set)
    beginnings: set[str] = field(default_factory=set)

    def walk(self, node: ast.AST) -> None:
        kind = type(node).__name__
        self.parts.append(kind)
        note = _NOTES.get(kind)
        if note is not None:
            note(self, node)
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or name in {"kind", "type_ignores", "ctx"}:
                continue
            if isinstance(value, list):
                if value:
                    self.parts.append(name)
                    for part in value:
                        if isinstance(part, ast.AST):
                            self.walk(part)
                        else:
                            self.parts.append(repr(part))
                    self.parts.append("]")
            elif isinstance(value, ast.AST):
                self.parts.append(name)
                self.walk(value)
            else:
                self.parts.append(f"{name}={value!r}")

    def facts(self) -> SourceFacts:
        text = "\n".join(self.parts).encode("utf-8", "surrogatepass")
        return SourceFacts(
            digest=sha256(text).hexdigest()[:_DIGITS],
            imports=tuple(dict.fromkeys(self.imports)),
            mentions=tuple(sorted(self.mentions)),
            families=tuple(sorted(self.families)),
            paths=tuple(sorted(self.paths)),
            variables=tuple(sorted(self.variables)),
            prefixes=tuple(sorted(self.prefixes)),
            beginnings=tuple(sorted(self.beginnings)),
        )

    def note_import(self, node: ast.Import) -> None:
        self.imports += [f"{alias.name}:" for alias in node.names]

    def note_import_from(self, node: ast.ImportFrom) -> None:
        names = ",".join(alias.name for alias in node.names)
        self.imports.append(f"{'.' * node.level}{node.module or ''}:{names}")

    def note_text(self, node: ast.Constant) -> None:
        text = node.value
        if not isinstance(text, str) or len(text) < _SHORTEST:
            return
        if _PATH.fullmatch(text):
            self.paths.add(text)
        if _VARIABLE.fullmatch(text):
            (self.prefixes if text.endswith("_") else self.variables).add(text)
        elif _DOTTED.fullmatch(text):
            self.mentions.add(text.partition(":")[0])

    def note_joined(self, node: ast.JoinedStr) -> None:
        first = node.values[0] if node.values else None
        if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
            return
        if first.value.endswith(".") and _DOTTED.fullmatch(f"{first.value}x"):
            self.families.add(first.value)

    def note_joined_path(self, node: ast.BinOp) -> None:
        """Note the constant end of `HERE / "adapter" / "adapter.gguf"`."""
        parts: list[str] = []
        part: ast.AST = node
        while isinstance(part, ast.BinOp) and isinstance(part.op, ast.Div) and (text := _text(part.right)):
            parts.insert(0, text)
            part = part.left
        self._note_parts(parts)

    def _note_parts(self, parts: list[str]) -> None:
        path = "/".join(parts)
        if len(parts) > 1 and _PATH.fullmatch(path):
            self.paths.add(path)

    def note_call(self, node: ast.Call) -> None:
        function = node.func
        parts = [_text(argument) for argument in node.args]
        self._note_parts(parts[max((at for at, text in enumerate(parts) if not text), default=-1) + 1 :])
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        texts = [text for argument in node.args[:1] if (text := _text(argument))]
        if name in _READERS or (name in {"get", "pop", "setdefault"} and _is_environment(function)):
            self.variables.update(texts)
        elif name == "startswith":
            self.beginnings.update(filter(_ANY_VARIABLE.fullmatch, texts) if texts else [""])
        elif name in _IMPORTERS:
            self.mentions.update(text for text in texts if not text.startswith("."))
            self.imports += [f"{text}:" for text in texts if text.startswith(".")]
        elif name == "filter" and len(node.args) > 1 and isinstance(node.args[0], ast.Lambda):
            self._note_condition(node.args[1], node.args[0], [node.args[0].body])
        for keyword in node.keywords:
            text = _text(keyword.value) if keyword.arg in _PREFIX_WORDS else ""
            if len(text) >= _SHORTEST - 1 and _ANY_VARIABLE.fullmatch(text):
                self.prefixes.add(text)

    def note_comprehension(self, node: ast.comprehension) -> None:
        self._note_condition(node.iter, node.target, node.ifs)

    def note_loop(self, node: ast.For) -> None:
        tests = [part.test for part in ast.walk(node) if isinstance(part, ast.If | ast.IfExp)]
        self._note_condition(node.iter, node, tests)

    def _note_condition(self, items: ast.AST, loop: ast.AST, tests: Sequence[ast.expr]) -> None:
        """Note that variables are selected by something that the loop over them does not bind."""
        if not any(map(_is_environment_itself, ast.walk(items))):
            return
        bound = {
            getattr(part, "arg", getattr(part, "id", ""))
            for part in ast.walk(loop)
            if isinstance(part, ast.arg) or isinstance(getattr(part, "ctx", None), ast.Store)
        }
        called = {id(part.func) for test in tests for part in ast.walk(test) if isinstance(part, ast.Call)}
        if any(
            isinstance(part, ast.Name) and id(part) not in called and part.id not in bound
            for test in tests
            for part in ast.walk(test)
        ):
            self.beginnings.add("")

    def note_subscript(self, node: ast.Subscript) -> None:
        if _is_environment(node) and (text := _text(node.slice)):
            self.variables.add(text)

    def note_class(self, node: ast.ClassDef) -> None:
        """Note the fields of a pydantic settings class, which are variables in any case of letters."""
        bases = [
            base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases
        ]
        if not any(base.endswith("Settings") for base in bases):
            return
        own = "".join(
            _text(part.value)
            for part in ast.walk(node)
            if isinstance(part, ast.keyword | ast.Assign) and _is_prefix(part)
        )
        if own:
            self.prefixes.add(own)
            return
        fields = (part.target for part in node.body if isinstance(part, ast.AnnAssign))
        self.variables.update(f"{target.id}" for target in fields if isinstance(target, ast.Name))


_NOTES: Mapping[str, Callable[[_Finder, Any], None]] = {
    "Import": _Finder.note_import,
    "ImportFrom": _Finder.note_import_from,
    "Constant": _Finder.note_text,
    "JoinedStr": _Finder.note_joined,
    "BinOp": _Finder.note_joined_path,
    "Call": _Finder.note_call,
    "comprehension": _Finder.note_comprehension,
    "For": _Finder.note_loop,
    "Subscript": _Finder.note_subscript,
    "ClassDef": _Finder.note_class,
}


def _text(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _is_prefix(part: ast.keyword | ast.Assign) -> bool:
    """`env_prefix` as an argument, or in the class `Config`."""
    if isinstance(part, ast.keyword):
        return part.arg == "env_prefix"
    return any(isinstance(target, ast.Name) and target.id == "env_prefix" for target in part.targets)


def _is_environment(node: ast.AST) -> bool:
    """Return whether a node is a part of the environment."""
    return _is_environment_itself(getattr(node, "value", None))


def _is_environment_itself(node: ast.AST | None) -> bool:
    """`os.environ` or a mapping of that name."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in {"environ", "environb", "env"}


def _dump(facts: SourceFacts) -> bytes:
    return json.dumps(asdict(facts), separators=(",", ":")).encode()


def _load(stored: bytes) -> SourceFacts | None:
    try:
        fields = json.loads(stored)
        digest = fields.pop("digest")
        return SourceFacts(digest=digest, **{name: tuple(texts) for name, texts in fields.items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


_memory: Memory[SourceFacts] = Memory("sources", _IN_MEMORY, _dump, _load, signed=True)
