"""
The app's own code: the files of the project that its module imports, directly or not.

The imports are followed in the sources and not in `sys.modules`: so the order of imports, the other tests of
a session and the cases that were run do not count, and each worker finds the same files.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from importlib.machinery import PathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pytest_llmops.gates.stamps import CHANGING, SEPARATOR
from pytest_llmops.runner.stamps.source_facts import SourceFacts, read_facts

# ruff: noqa: PTH100, PTH113, PTH116, PTH117, PTH118, PTH119, PTH120, PTH123, PTH206, PTH208  # thousands of paths in each run, and `Path` takes ten times as long

_OURS = str(Path(__file__).resolve().parents[2])
_INSTALLED = ("site-packages", "dist-packages")
_METADATA = (".egg-info", ".dist-info")  # of the project's own installation
_MOST_FILES = 5_000
_MOST_PARTS = 200
_MOST_BYTES = 2**22


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module's dotted name and file; a name is needed to follow relative imports."""

    name: str
    file: str

    @property
    def is_conftest(self) -> bool:
        return self.file.endswith(f"{os.sep}conftest.py")

    @property
    def package(self) -> str:
        is_package = self.file.endswith(f"{os.sep}__init__.py")
        return self.name if is_package else self.name.rpartition(".")[0]


@dataclass(slots=True)
class AppCode:
    """
    The files of an app.

    Attributes:
        facts: File to its facts.
        libraries: Dotted names that they import from elsewhere, at most two parts of each.
    """

    root: Path
    facts: dict[str, SourceFacts] = field(default_factory=dict)
    libraries: set[str] = field(default_factory=set)

    def named_files(self) -> Iterator[str]:
        """Yield the files of the project that the sources name, from their folder, one above, or the root."""
        top = os.path.realpath(self.root)
        for file, facts in self.facts.items():
            if not facts.paths or not _is_below(file, top):
                continue
            folders = [os.path.dirname(file)]
            while folders[-1] != top:
                folders.append(os.path.dirname(folders[-1]))
            for path in facts.paths:
                yield from (
                    place for folder in folders if os.path.isfile(place := os.path.join(folder, path))
                )

    def stamps(self, started_s: float) -> dict[str, str]:
        return {
            f"code:{name_file(file, self.root)}": mark_changing(fact.digest, file, started_s)
            for file, fact in self.facts.items()
        }


def mark_changing(digest: str, file: str, started_s: float) -> str:
    """Add to a digest that the file was written since then, in seconds since the epoch."""
    try:
        changing = os.stat(file).st_mtime > started_s
    except OSError:
        changing = True
    return f"{digest}{SEPARATOR}{CHANGING}" if changing else digest


def name_file(file: str, root: Path) -> str:
    """Return the path from the project's root, with forward slashes, so that two machines agree."""
    top = real_path(str(root))
    if _is_below(file, top):
        return file[len(top) + 1 :].replace(os.sep, "/")
    try:
        return os.path.relpath(file, top).replace(os.sep, "/")
    except ValueError:  # another drive
        return os.path.basename(file)


def find_code(apps: Iterable[Any], named: Iterable[str], root: Path, *, given: bool) -> AppCode:
    """
    Find the files of apps.

    Args:
        apps: The callables; where none is of the project, all that is loaded of it counts.
        named: Import paths of apps, `module:attribute`.
        given: An app came from a fixture or a script, so that a conftest may have set it up.
    """
    code = AppCode(root)
    places = _Places(os.path.realpath(root))
    names = {path.partition(":")[0] for path in named if "://" not in path}
    level = {module for name in names for module in places.find(name)}
    code.libraries.update(filter(None, map(places.library_of, names)))  # of an app that is installed
    for app in apps:
        own = set(_modules_of(app, places))
        level |= own
    if given or not level:
        level |= {module for module in places.loaded() if module.is_conftest or not level}
    seen: set[str] = set()
    looked_up: set[str] = set()
    while level and len(seen) < _MOST_FILES:
        modules = sorted((one for one in level if one.file not in seen), key=lambda one: (one.file, one.name))
        fresh = list({module.file: module for module in modules}.values())
        seen.update(module.file for module in fresh)
        readable = [(module, source) for module in fresh if (source := _read(module.file)) is not None]
        level = set()
        for (module, _), facts in zip(readable, read_facts([source for _, source in readable]), strict=True):
            code.facts[module.file] = facts
            for name in _imported(module, facts):
                if name not in looked_up:
                    looked_up.add(name)
                    level |= set(places.find(name))
                    if library := places.library_of(name):
                        code.libraries.add(library)
            for family in facts.families:
                level |= set(places.members(family.rstrip(".")))
    return code


def add_files(code: AppCode, files: Iterable[str]) -> None:
    """Add files that the app imported by their path."""
    sources = {file: source for file in sorted(files) if (source := _read(file)) is not None}
    code.facts.update(zip(sources, read_facts(list(sources.values())), strict=True))


def _read(file: str) -> bytes | None:
    try:
        with open(file, "rb") as stream:
            source = stream.read(_MOST_BYTES)
    except OSError:
        return None
    return source


def _imported(module: Module, facts: SourceFacts) -> Iterator[str]:
    for part in facts.imports:
        written, _, names = part.partition(":")
        if base := _absolute(module, written):
            yield base
            yield from (f"{base}.{name}" for name in names.split(",") if name not in {"", "*"})
    yield from facts.mentions


def _absolute(module: Module, written: str) -> str:
    name = written.lstrip(".")
    level = len(written) - len(name)
    if not level:
        return name
    package = module.package.split(".")
    kept = package[: len(package) - level + 1]
    return ".".join([*kept, name] if name else kept)


def _modules_of(app: Any, places: _Places) -> Iterator[Module]:
    """Yield the modules in which an app is written, whatever it is wrapped in."""
    waiting: list[Any] = [app]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_PARTS:  # a proxy has every attribute, and each has all of them again
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, partial):
            waiting += [part.func, *part.args, *part.keywords.values()]
        for name in ("__func__", "__self__", "__wrapped__"):
            if (inner := _get(part, name)) is not None and not isinstance(inner, ModuleType):
                waiting.append(inner)
        cells = _get(part, "__closure__")
        for cell in cells if isinstance(cells, tuple) else ():
            try:
                inner = cell.cell_contents
            except ValueError:
                continue
            if callable(inner):
                waiting.append(inner)
        written = _get(part, "__code__")
        file = written.co_filename if isinstance(written, CodeType) else None
        module = _get(part, "__module__") or type(part).__module__
        loaded = sys.modules.get(module) if isinstance(module, str) else None
        yield from places.own(module or "", file or getattr(loaded, "__file__", None))
        if not isinstance(part, type) and type(part).__module__ != "builtins":
            waiting.append(type(part))


def _get(part: Any, name: str) -> Any:
    try:
        return getattr(part, name, None)
    except Exception:  # noqa: BLE001 - an app is anybody's object
        return None


class _Places:
    """Finds modules of the project without importing them."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._listed: dict[str, frozenset[str]] = {}
        self._top: dict[str, tuple[str | None, tuple[str, ...]]] = {}

    def own(self, name: str, file: str | None) -> Iterator[Module]:
        """Yield the module if its file is a source of the project."""
        if file and file.endswith(".py") and _is_own(file, self._root):
            yield Module(name="" if name == "__main__" else name, file=real_path(file))

    def loaded(self) -> Iterator[Module]:
        """Yield the modules below the project's root that were imported by now."""
        for name, module in sorted(sys.modules.copy().items()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and _is_below(real_path(file), self._root):
                yield from self.own(name, file)

    def library_of(self, name: str) -> str:
        """Return the importable name of a library; empty for the project's and the standard library's."""
        top, *rest = name.split(".")
        if top in sys.stdlib_module_names:
            return ""
        file, folders = self._locate_top(top)
        if any(is_own(place, self._root) for place in filter(None, (file, *folders))):
            return ""
        is_namespace = not file and len(folders) > 0 and rest  # such as `google`, of many distributions
        return f"{top}.{rest[0]}" if is_namespace else top

    def find(self, dotted: str) -> Iterator[Module]:
        """Yield the module and the packages above it, as far as they are the project's."""
        top, *rest = dotted.split(".")
        if not top or top in sys.stdlib_module_names:
            return
        file, folders = self._locate_top(top)
        name = top
        yield from self.own(name, file)
        for part in rest:
            if not folders or not any(is_own(folder, self._root) for folder in folders):
                return
            name = f"{name}.{part}"
            file, folders = self._locate_below(folders, part)
            yield from self.own(name, file)

    def members(self, package: str) -> Iterator[Module]:
        """Yield the modules in a package's folders, not below."""
        top, *rest = package.split(".")
        _, folders = self._locate_top(top)
        for part in rest:
            _, folders = self._locate_below(folders, part)
        for folder in folders:
            if is_own(folder, self._root):
                for entry in sorted(self._list(folder)):
                    yield from self.find(f"{package}.{entry.removesuffix('.py')}")

    def _locate_top(self, name: str) -> tuple[str | None, tuple[str, ...]]:
        if name not in self._top:
            self._top[name] = self._look_up_top(name)
        return self._top[name]

    def _look_up_top(self, name: str) -> tuple[str | None, tuple[str, ...]]:
        module = sys.modules.get(name)
        spec = getattr(module, "__spec__", None) if module is not None else _find_spec(name)
        file = getattr(module, "__file__", None) or getattr(spec, "origin", None)
        folders = getattr(module, "__path__", None) or getattr(spec, "submodule_search_locations", None) or ()
        return file if file and file.endswith(".py") else None, tuple(map(str, folders))

    def _locate_below(self, folders: Iterable[str], part: str) -> tuple[str | None, tuple[str, ...]]:
        for folder in folders:
            below = f"{folder}{os.sep}{part}"
            entries = self._list(folder)
            if part in entries and "__init__.py" in self._list(below):
                return f"{below}{os.sep}__init__.py", (below,)
            if f"{part}.py" in entries:
                return f"{below}.py", ()
            if part in entries and self._list(below):
                return None, (below,)
        return None, ()

    def _list(self, folder: str) -> frozenset[str]:
        if folder not in self._listed:
            try:
                self._listed[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listed[folder] = frozenset()
        return self._listed[folder]


def _find_spec(name: str) -> Any:
    """Find a top-level module that is not loaded; finders of editable installs are asked, too."""
    try:
        if spec := PathFinder.find_spec(name):
            return spec
        for finder in sys.meta_path:
            if "editable" in (getattr(finder, "__module__", "") or "") and (
                spec := finder.find_spec(name, None)
            ):
                return spec
    except Exception:  # noqa: BLE001 - a finder is anybody's
        return None
    return None


def is_own(place: str, root: str) -> bool:
    """Return whether a place is the project's or of an editable install; neither a library's nor ours."""
    return _is_own(place, root) if os.path.isabs(place) else _is_own(os.path.abspath(place), root)


def is_inside(place: str, root: str) -> bool:
    """Return whether a place is the project's, below its root."""
    return is_own(place, root) and _is_below(real_path(place), root)


@lru_cache(maxsize=65_536)
def real_path(file: str) -> str:
    """Return where a source or module lies, past all links; looked up once."""
    return os.path.realpath(file)


@lru_cache(maxsize=65_536)
def _is_own(place: str, root: str) -> bool:
    place = real_path(place)
    if place == _OURS or place.startswith(f"{_OURS}{os.sep}"):
        return False
    parts = place.split(os.sep)
    if any(part in _INSTALLED or part.endswith(_METADATA) for part in parts):
        return False
    inside = place == root or place.startswith(f"{root}{os.sep}")
    if inside and any(part.startswith(".") for part in place[len(root) :].split(os.sep)[1:]):
        return False
    return not any(
        _is_below(place, foreign) and not (inside and _is_below(root, foreign)) for foreign in _foreign()
    )


def _is_below(place: str, folder: str) -> bool:
    return place == folder or place.startswith(f"{folder}{os.sep}")


@cache
def _foreign() -> tuple[str, ...]:
    """Folders of the interpreter and of the environment, in which no project lies, unless it holds them."""
    names = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    places = {os.path.realpath(sysconfig.get_path(name)) for name in names}
    places.add(os.path.realpath(sys.prefix))
    places.add(os.path.realpath(sys.base_prefix)) if sys.base_prefix not in {"/usr", "/"} else None
    return tuple(sorted(places))
