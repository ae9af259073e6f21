"""
Compares the language of our code with other projects: docstrings, names, messages, comments, helpers.

Prints a row for each metric and a column for each project; a project that is not installed is skipped.
Usage: python benchmarks/language.py [--list METRIC [PATH ...]]
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import statistics
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest_llmops

ROOT = Path(__file__).resolve().parents[1]
OURS = {name: ROOT / name for name in ("pytest_llmops", "reference_app", "tests")}
ANCHORS = ("_pytest", "pluggy", "attr", "httpx", "stamina", "inline_snapshot", "syrupy", "inspect_ai")

QUESTION = r"\A\s*(What|How|Which|Why|Where|Whose|Whether)\b"
# "what to do", "what kind of" and real questions need no other noun.
WHAT = r"\b[Ww]hat(?:'s)?\s+(?!(?:to|kinds?|sort|if|about|of|for|in)\b)[\w`'\"](?![^.?]*\?)"
VAGUE_NAMES = {"found", "given", "said", "was", "told"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Loop = ast.For | ast.AsyncFor | ast.comprehension


class Module(NamedTuple):
    path: Path
    lines: list[str]
    tree: ast.Module
    nodes: list[ast.AST]  # of the tree, which is slow to walk for each metric
    comments: dict[int, str]  # by first line; one comment for consecutive lines of their own
    own_lines: set[int]


class Entry(NamedTuple):
    """A docstring, name, line … that a metric looked at, and whether it is one to count."""

    module: Module
    line: int
    counts: bool
    weight: int = 1


def read_modules(root: Path) -> list[Module]:
    paths = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    return [read_module(p) for p in paths if not any(part[0] == "." for part in p.relative_to(root).parts)]


def read_module(path: Path) -> Module:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    comments: dict[int, str] = {}
    own_lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline) if "#" in source else ():
        if token.type == tokenize.COMMENT:
            line, own = token.start[0], not token.line[: token.start[1]].strip()
            start = max(comments) if own and line - 1 in own_lines else line
            comments[start] = f"{comments[start]}\n{token.string}" if start < line else token.string
            own_lines |= {line} if own else set()
    return Module(path, source.splitlines(), tree, list(ast.walk(tree)), comments, own_lines)


def texts(modules: Sequence[Module], pattern: str, *, comments: bool = False) -> Iterator[Entry]:
    for module in modules:
        documented = [n for n in module.nodes if isinstance(n, ast.Module | ast.ClassDef | Function)]
        prose = [(n.body[0].lineno, ast.get_docstring(n, clean=False)) for n in documented if n.body]
        for line, text in prose + (list(module.comments.items()) if comments else []):
            if text is not None:
                match = re.search(pattern, text.replace("\n#", "\n "))
                start = match.end() - len(match[0].lstrip()) if match else 0
                yield Entry(module, line + text[:start].count("\n"), match is not None)


def loops_over_each(modules: Sequence[Module]) -> Iterator[Entry]:
    for module, node in nodes_of(modules):
        if isinstance(node, Loop):
            yield Entry(module, node.target.lineno, "each" in names_in(node.target))


def nodes_of(modules: Sequence[Module]) -> Iterator[tuple[Module, ast.AST]]:
    return ((module, node) for module in modules for node in module.nodes)


def names_in(node: ast.AST) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def bound_names(modules: Sequence[Module]) -> Iterator[Entry]:
    for module, node in nodes_of(modules):
        match node:
            case (
                ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(name)
            ):
                yield Entry(module, node.lineno, name in VAGUE_NAMES)


def messages(modules: Sequence[Module]) -> Iterator[Entry]:
    for module, node in nodes_of(modules):
        match node:
            case ast.Raise() | ast.Call(ast.Name("print" | "warn") | ast.Attribute(attr="print" | "warn")):
                for line, text in strings_in(node):
                    if len(text.split()) >= 5:
                        yield Entry(module, line, bool(re.search(r"\b(says|said|nobody|what is)\b", text)))


def strings_in(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Constant(str() as text):
            yield node.lineno, text
        case ast.JoinedStr(parts):
            yield node.lineno, "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in parts)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from strings_in(child)


def lines(modules: Sequence[Module]) -> Iterator[Entry]:
    for module in modules:
        yield from (Entry(module, n, n in module.own_lines) for n in range(1, len(module.lines) + 1))


def private_functions(modules: Sequence[Module], *, short: int = 0) -> Iterator[Entry]:
    """
    Yields private functions and methods and whether they have one use; with `short`, those of one use.

    A function is used by its name in its module or an import by another; a method as an attribute in its
    module, or in its class where the module defines several of that name.
    """
    imports = Counter(a.name for _, n in nodes_of(modules) if isinstance(n, ast.ImportFrom) for a in n.names)
    for module in modules:
        scopes = [node for node in module.nodes if isinstance(node, ast.Module | ast.ClassDef)]
        functions = [(scope, node) for scope in scopes for node in scope.body if isinstance(node, Function)]
        defined, used = Counter((type(scope), f.name) for scope, f in functions), count_uses(module.nodes)
        for scope, function in functions:
            if re.match("_(?!_)", function.name):
                key = (type(scope), function.name)
                uses = (used if defined[key] == 1 else count_uses(ast.walk(scope)))[key]
                once = uses + (imports[function.name] if scope is module.tree else 0) == 1
                body = function.body[ast.get_docstring(function) is not None :]
                if once or not short:
                    length = span(body[0], body[-1]) if body else 0
                    yield Entry(module, function.lineno, length <= short if short else once)


def count_uses(nodes: Iterable[ast.AST]) -> Counter[tuple[type, str]]:
    uses: Counter[tuple[type, str]] = Counter()
    for node in nodes:
        match node:
            case ast.Name(name, ast.Load()):
                uses[ast.Module, name] += 1
            case ast.Attribute(_, name, ast.Load()):
                uses[ast.ClassDef, name] += 1
    return uses


def span(first: ast.stmt, last: ast.stmt) -> int:
    return (last.end_lineno or last.lineno) - first.lineno + 1


def headers(modules: Sequence[Module]) -> Iterator[Entry]:
    for module in modules:
        body = module.tree.body
        header: list[ast.stmt] = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
        header += [
            node for node in body if isinstance(node, ast.If) and "TYPE_CHECKING" in names_in(node.test)
        ]
        header += body[: ast.get_docstring(module.tree) is not None]
        length = sum(span(node, node) for node in header)
        for counts, size in ((True, length), (False, len(module.lines) - length)):
            yield Entry(module, 1, counts, size)


def whole_modules(modules: Sequence[Module], *, internal: bool = False) -> Iterator[Entry]:
    for module in modules:
        yield Entry(module, 1, not internal or bool(internals(module)), len(module.lines))


def internals(module: Module) -> set[str]:
    """Returns the names that a test imports from the package though they are not public."""
    names = set()
    for node in module.nodes:
        match node:
            case ast.Import(aliases):
                names |= {a.asname or "pytest_llmops" for a in aliases if a.name.startswith("pytest_llmops.")}
            case ast.ImportFrom(str() as source, aliases) if source.split(".")[0] == "pytest_llmops":
                public = pytest_llmops.__all__ if source == "pytest_llmops" else ()
                names |= {a.asname or a.name for a in aliases if a.name not in public}
    return names


def functions_of_tests(modules: Sequence[Module], *, by_line: bool = False) -> Iterator[Entry]:
    for module in modules:
        names = internals(module)
        for test in module.nodes:
            if isinstance(test, Function) and test.name.startswith("test"):
                uses = {n.lineno for n in ast.walk(test) if isinstance(n, ast.Name) and n.id in names}
                if by_line:
                    numbers = range(test.lineno, test.lineno + span(test, test))
                    yield from (Entry(module, number, number in uses) for number in numbers)
                else:
                    yield Entry(module, test.lineno, bool(uses), span(test, test))


def weight(entries: Iterable[Entry]) -> int:
    return sum(entry.weight for entry in entries)


def share(entries: Sequence[Entry]) -> str:
    return f"{weight(entry for entry in entries if entry.counts) / (weight(entries) or 1):.1%}"


def count_and_share(entries: Sequence[Entry]) -> str:
    return f"{sum(entry.counts for entry in entries)} ({share(entries)})"


def per_thousand(entries: Sequence[Entry]) -> str:
    return f"{1000 * sum(entry.counts for entry in entries) / len(entries):.1f}"


def median_weight(entries: Sequence[Entry]) -> str:
    return f"{statistics.median(entry.weight for entry in entries):.0f}"


class Metric(NamedTuple):
    title: str
    entries: Callable[[Sequence[Module]], Iterator[Entry]]
    show: Callable[[Sequence[Entry]], str] = share


def word(*forms: str) -> Metric:
    pattern = rf"(?i)\b({'|'.join(forms)})\b"
    return Metric(f"docstrings with {', '.join(forms)}", partial(texts, pattern=pattern))


METRICS = {
    "question": Metric("docstrings that start with What, How …", partial(texts, pattern=QUESTION)),
    "what": Metric("docstrings and comments, what …", partial(texts, pattern=WHAT, comments=True)),
    "says": word("says", "said", "say"),
    "alone": word("alone"),
    "stands": word("stands"),
    "nobody": word("nobody"),
    "beside": word("beside"),
    "each": Metric("loop variables named `each`", loops_over_each, count_and_share),
    "names": Metric("names found, given, said, was, told per 1,000", bound_names, per_thousand),
    "messages": Metric("messages with says, said, nobody, what is", messages),
    "comments": Metric("lines, own-line comments", lines),
    "once": Metric("private functions used once", private_functions),
    "short": Metric("of these, at most 6 lines", partial(private_functions, short=6)),
    "median": Metric("lines of a module, median", whole_modules, median_weight),
    "header": Metric("lines, module docstring and imports", headers),
    "modules": Metric("modules", whole_modules, lambda entries: f"{len(entries):,}"),
    "lines": Metric("lines", whole_modules, lambda entries: f"{weight(entries):,}"),
    "internal-files": Metric("lines, files that import internals", partial(whole_modules, internal=True)),
    "internal-tests": Metric("lines of tests that use internals", functions_of_tests),
    "internal-lines": Metric("lines of tests with internals", partial(functions_of_tests, by_line=True)),
}


def print_table() -> None:
    columns = {name: read_modules(root) for name, root in OURS.items()}
    for name in ANCHORS:
        if (spec := find_spec(name)) and spec.submodule_search_locations:
            columns[name] = read_modules(Path(spec.submodule_search_locations[0]))
        else:
            print(f"{name} is not installed: skipped")
    print(f"\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for key, metric in METRICS.items():
        row = [f"`{key}`: {metric.title}"]
        for name, modules in columns.items():
            row.append(
                metric.show([*metric.entries(modules)]) if name == "tests" or "internal" not in key else ""
            )
        print(f"| {' | '.join(row)} |")


def print_list(metric: Metric, paths: Sequence[Path]) -> None:
    for path in (path.resolve() for path in paths or OURS.values()):
        home = next((root for root in OURS.values() if path.is_relative_to(root)), path)
        for module, line, counts, size in metric.entries(read_modules(home)):
            if counts and module.path.is_relative_to(path):
                text = "".join(module.lines[line - 1 : line]).strip()
                shown = module.path.relative_to(ROOT) if module.path.is_relative_to(ROOT) else module.path
                print(f"{shown}:{line}: {text}" + (f" ({size} lines)" if size > 1 else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", choices=METRICS, metavar="METRIC", help=f"one of {', '.join(METRICS)}")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="default: all of our code")
    options = parser.parse_args()
    if options.list:
        print_list(METRICS[options.list], options.paths)
    else:
        print_table()


if __name__ == "__main__":
    main()
