"""
The code that makes the scores of a project's own metric, found without running it.

A version is a promise, and the code is a fact: scores of different code are never compared as equals. The
code is the part of each module that the metric can reach by names: its definition, the constants, patterns
and functions that this names, in its own and in imported modules, wherever the import is written. Comments,
docstrings and the names of files are not part of it.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from pytest_llmops.documents.python_source import parse_python
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Score
from pytest_llmops.registry import metric_factory

_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = {"site-packages", "dist-packages"}
_PLUGIN = _PACKAGE.name
_DIGITS = 12
_IMPORTING = {"import_module", "__import__"}
_ANY_NAME = "__getattr__"
"""The function of a module that is asked for names that it does not have."""

_IMPORTED = "__init__"
"""In the place of a name: what a package does as soon as one of its modules is imported."""

_RUN_AS_A_SCRIPT = "__main__"

_SCORING_NOTHING = {"Case", "Output", "Passage", "Score", "ToolCall", "metric"}
"""Names of this plugin that register a metric, or are records: a new version changes no score by them."""

Read = Callable[[Path], "bytes | None"]


class Place(NamedTuple):
    """A name at the top of a file; without one, all of the file."""

    file: Path
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """
    The code that places reach.

    Attributes:
        parts: Digest of the reached part of each file.
        libraries: Modules of libraries that it names, with the versions of those that are installed.
    """

    parts: Mapping[Path, str]
    libraries: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """Digest of all parts; names of files are not in it. Empty where nothing is reached."""
        return _hash(*sorted(self.parts.values()), *sorted(self.libraries)) if self.parts else ""


def sign_source(metric: Metric, score: Score) -> Score:
    """Return the score with a digest of its metric's code in its signature, once."""
    digest = _digest_of(tuple(_things_of(metric)))
    mark = f"code:{digest}"
    if not digest or score.signature.endswith(mark):
        return score
    return replace(score, signature="|".join(filter(None, (score.signature, mark))))


def find_places(metric: Metric) -> tuple[Place, ...]:
    """Return the functions and classes of the project that make a metric; none for one of a library."""
    return _places_of(tuple(_things_of(metric)))


def _things_of(metric: Metric) -> Iterator[type | FunctionType]:
    """The class of a metric, what registered it, and functions that it was made with."""
    things: list[Any] = [type(metric)]
    with suppress(LLMOpsError):  # a metric that nobody registered
        things.append(metric_factory(metric.name))
    with suppress(TypeError):  # it has slots
        things += vars(metric).values()
    things += [getattr(thing, "func", None) for thing in (*things, getattr(metric, "function", None))]
    things.append(getattr(metric, "function", None))
    return (thing for thing in things if isinstance(thing, type | FunctionType))


def _places_of(things: Iterable[type | FunctionType]) -> tuple[Place, ...]:
    places = set()
    for thing in things:
        file = _own_file(getattr(sys.modules.get(thing.__module__), "__file__", None))
        if file is not None:
            name = thing.__qualname__.partition(".")[0]
            places.add(Place(file, name if name.isidentifier() else ""))  # a lambda has no name
    return tuple(sorted(places))


@lru_cache(maxsize=512)
def _digest_of(things: tuple[type | FunctionType, ...]) -> str:
    """Return the digest of their code at the time of the first score."""
    places = _places_of(things)
    return read_code(places).digest if places else ""


def read_code(places: Iterable[Place], read: Read | None = None) -> Code:
    """
    Return the code that places reach.

    Args:
        read: Returns the content of a file, or None where there is none; by default, as it is on disk.
    """
    return _Reader(read or _read_file).follow(places)


def _read_file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def same_code(one: bytes, other: bytes) -> bool:
    """Return whether two Python files differ in comments, docstrings and layout only."""
    try:
        return _describe(parse_python(one)) == _describe(parse_python(other))
    except (SyntaxError, ValueError, RecursionError):
        return False


@dataclass(slots=True)
class _Module:
    """
    A parsed file.

    Attributes:
        bound: Name to the statements at the top that bind it.
        always: Statements at the top that do something else, whatever is used of the module.
        imports: Name to what an import anywhere in the file binds it to: a module, and a name in it.
        stars: Modules of which every name is imported.
        effects: Modules that are imported for what they do, since nothing uses their names.
    """

    tree: ast.Module
    bound: dict[str, list[ast.stmt]] = field(default_factory=lambda: defaultdict(list))
    always: list[ast.stmt] = field(default_factory=list)
    imports: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    stars: set[str] = field(default_factory=set)
    effects: set[str] = field(default_factory=set)


class _Reader:
    def __init__(self, read: Read) -> None:
        self._read = read
        self._modules: dict[Path, _Module | None] = {}
        self._reached: dict[Path, set[int]] = defaultdict(set)
        self._found: dict[tuple[Path, str], Path | None] = {}
        self._libraries: set[str] = set()
        self._waiting: list[Place] = []

    def follow(self, places: Iterable[Place]) -> Code:
        self._waiting += places
        seen = set[Place]()
        while self._waiting:
            place = self._waiting.pop()
            if place not in seen:
                seen.add(place)
                self._visit(place)
        parts = {
            path: _hash(*(_describe(item) for item in module.tree.body if id(item) in self._reached[path]))
            for path, module in self._modules.items()
            if module is not None and path in self._reached
        }
        return Code(parts=parts, libraries=frozenset(self._libraries))

    def _visit(self, place: Place) -> None:
        module = self._module(place.file)
        if module is None:
            return
        effects = module.effects
        self._waiting += (Place(above, _IMPORTED) for above in self._packages_of(place.file))
        if place.name == _IMPORTED:
            statements, effects = module.always, set[str]()
        elif not place.name:
            statements = [item for item in module.tree.body if not _is_script(item)]
        else:
            known = place.name in module.bound or place.name in module.imports
            names = [place.name] if known else [place.name, _ANY_NAME]
            statements = [*(item for name in names for item in module.bound.get(name, ())), *module.always]
            self._follow_import(place.file, module, [place.name])  # `except ImportError` may define it, too
        for name in effects:
            self._follow_module(place.file, name, [])
        reached = self._reached[place.file]
        for statement in statements:
            if id(statement) not in reached:
                reached.add(id(statement))
                for chain in _names_in(statement):
                    if chain[0] in module.bound:
                        self._waiting.append(Place(place.file, chain[0]))
                    self._follow_import(place.file, module, chain)
                for name in _imported_by_call(statement):
                    self._follow_module(place.file, name, [])

    def _packages_of(self, file: Path) -> Iterator[Path]:
        """Yield the files of the packages that a module is in, if importing them does something."""
        for folder in file.parents:
            above = folder / "__init__.py"
            module = self._module(above)
            if module is None:
                return
            if above != file and module.always:
                yield above

    def _follow_import(self, file: Path, module: _Module, chain: list[str]) -> None:
        """Go on in the modules that the first word of `a.b.c` was imported from."""
        for name, symbol in module.imports.get(chain[0], ()):
            self._follow_module(file, name, [symbol, *chain[1:]] if symbol else chain[1:])
        if chain[0] not in module.bound and chain[0] not in module.imports:
            for name in module.stars:
                self._follow_module(file, name, chain)

    def _follow_module(self, file: Path, name: str, rest: list[str]) -> None:
        """
        Go on at `rest` of a module: in its submodules as far as these are files, then at a name.

        Args:
            name: With a dot in front for each folder upwards, as Python writes it.
        """
        for depth in range(len(rest), -1, -1):
            full = f"{name}{'' if name.endswith('.') or not depth else '.'}{'.'.join(rest[:depth])}"
            if found := self._find(file, full):
                self._waiting.append(Place(found, rest[depth] if depth < len(rest) else ""))
                return
        top = name.partition(".")[0]
        if top and not (name == _PLUGIN and rest[:1] and rest[0] in _SCORING_NOTHING):
            self._libraries.add(".".join([f"{name}{_version(top)}", *rest[:1]]))

    def _find(self, file: Path, name: str) -> Path | None:
        key = (file.parent, name)
        if key not in self._found:
            self._found[key] = self._search(file, name)
        return self._found[key]

    def _search(self, file: Path, name: str) -> Path | None:
        """The project's file of a module that a file imports; None for others."""
        bare = name.lstrip(".")
        parts = bare.split(".") if bare else []
        if dots := len(name) - len(bare):
            folders = [file.parents[dots - 1]] if dots <= len(file.parents) else []
        else:
            loaded = _own_file(getattr(sys.modules.get(name), "__file__", None))
            if loaded is not None and self._module(loaded) is not None:
                return loaded
            if parts[0] in sys.stdlib_module_names:
                return None
            folders = [*map(Path, filter(None, sys.path)), Path.cwd(), file.parent]
        for folder in folders:
            stem = folder.joinpath(*parts)
            for path in (stem / "__init__.py", *([stem.with_name(f"{stem.name}.py")] if parts else [])):
                if _is_own(path.resolve()) and self._module(path.resolve()) is not None:
                    return path.resolve()
                if path.is_file():  # of a library
                    return None
        return None

    def _module(self, path: Path) -> _Module | None:
        if path not in self._modules:
            content = self._read(path)
            self._modules[path] = None
            if content is not None:
                try:
                    self._modules[path] = _parse(content)
                except (SyntaxError, ValueError, RecursionError):  # its bytes are its code
                    body: list[ast.stmt] = [ast.Expr(ast.Constant(content))]
                    self._modules[path] = _Module(ast.Module(body, []), always=body)
        return self._modules[path]


def _parse(content: bytes) -> _Module:
    module = _Module(parse_python(content))
    for statement in module.tree.body:
        names = _bound_by(statement)
        for name in names:
            module.bound[name].append(statement)
        plain = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
        assigns = isinstance(statement, ast.Assign | ast.AnnAssign) and names
        if not (isinstance(statement, plain) or assigns or _is_text(statement) or _is_script(statement)):
            module.always.append(statement)
    _note_imports(module)
    return module


def _note_imports(module: _Module) -> None:
    used = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                if name not in used:
                    module.effects.add(alias.name)
                module.imports[name].add((alias.name if alias.asname else name, ""))
        elif isinstance(node, ast.ImportFrom):
            source = f"{'.' * node.level}{node.module or ''}"
            module.stars |= {source for alias in node.names if alias.name == "*"}
            for alias in node.names:
                module.imports[alias.asname or alias.name].add((source, alias.name))


def _bound_by(statement: ast.stmt) -> set[str]:
    """Names that a statement at the top of a module binds, but for imports."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if any(not isinstance(target, ast.Name | ast.Tuple | ast.List) for target in targets):
            return set()  # it changes something that another name may stand for
        return {name for target in targets for name in _stored_in(target)}
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {*_stored_in(statement), *(node.name for node in ast.walk(statement) if isinstance(node, kinds))}


def _stored_in(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id


def _names_in(statement: ast.stmt) -> Iterator[list[str]]:
    """Yield each name in a statement, with the attributes that are read of it."""
    inner = set[int]()
    for node in ast.walk(statement):  # the outermost of a chain comes first
        chain, link = list[str](), node
        while isinstance(link, ast.Attribute):
            chain.append(link.attr)
            link = link.value
            inner.add(id(link))
        if isinstance(link, ast.Name) and (link is not node or id(node) not in inner):
            yield [link.id, *reversed(chain)]


def _imported_by_call(statement: ast.stmt) -> Iterator[str]:
    """Yield modules that a call such as `import_module("a.b")` names."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in _IMPORTING and isinstance(node.args[0].value, str) and node.args[0].value.strip("."):
                yield node.args[0].value


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_script(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":` without an `else`, which no import runs."""
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and isinstance(statement.test, ast.Compare)
        and isinstance(statement.test.left, ast.Name)
        and statement.test.left.id == "__name__"
        and [type(operator) for operator in statement.test.ops] == [ast.Eq]
        and isinstance(statement.test.comparators[0], ast.Constant)
        and statement.test.comparators[0].value == _RUN_AS_A_SCRIPT
    )


def _describe(node: object) -> str:
    """
    A text of code without docstrings, and without imports, which are followed.

    Unlike that of `ast.dump` it does not depend on the version of Python.
    """
    if isinstance(node, ast.Import | ast.ImportFrom):
        return ""
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__} {node.value!r}"
    if isinstance(node, ast.AST):
        body = getattr(node, "body", None)
        documented = isinstance(body, list) and body and _is_text(body[0])
        parts = []
        for name in node._fields:
            value = getattr(node, name, None)
            if name in {"kind", "type_comment"} or value is None or value == []:
                continue
            if isinstance(node, ast.JoinedStr):  # Python 3.12 ends some in an empty text
                value = [part for part in value if not (isinstance(part, ast.Constant) and part.value == "")]
            parts.append(f"{name}={_describe(value[1:] if documented and name == 'body' else value)}")
        return f"{type(node).__name__}({','.join(parts)})"
    if isinstance(node, list):
        return f"[{','.join(filter(None, map(_describe, node)))}]"
    return repr(node)


def _hash(*texts: str) -> str:
    return sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


@cache
def _version(top: str) -> str:
    """`==1.2` of the distribution that has a module; empty for the standard library and unknown ones."""
    if top in sys.stdlib_module_names:
        return ""
    with suppress(metadata.PackageNotFoundError, ValueError):
        return f"=={metadata.version(top)}"
    for name in metadata.packages_distributions().get(top, ())[:1]:
        return f"=={metadata.version(name)}"
    return ""


def _own_file(written: object) -> Path | None:
    """Return the file of a module of the project, or None for any other module."""
    if not isinstance(written, str) or not written.endswith(".py"):
        return None
    file = Path(written).resolve()
    return file if _is_own(file) and file.is_file() else None


@lru_cache(maxsize=4096)
def _is_own(file: Path) -> bool:
    return not _LIBRARIES & set(file.parts) and not any(map(file.is_relative_to, _installed()))


@lru_cache(maxsize=1)
def _installed() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return (_PACKAGE, *{Path(sysconfig.get_path(name)).resolve() for name in names})
