"""`@pytest.mark.golden("golden/shop.yaml")`: an ordinary test that runs for each case of a golden file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from pytest_llmops.documents.document import SUFFIXES
from pytest_llmops.errors import GoldenError, LLMOpsError, Problem
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.plugin import GOLDEN, MARKERS
from pytest_llmops.records import Case, Golden

_ARGUMENT = "case"
_MARKS_THAT_ACT = {name for name, _ in MARKERS} | {
    "skip", "skipif", "xfail", "usefixtures", "parametrize", "filterwarnings",
}  # fmt: skip
_STASH = pytest.StashKey[dict[str, Golden]]()
_EXPECTED = (AssertionError, pytest.fail.Exception)
"""What a test raises that missed; an app that breaks raises another error, and is no expected failure."""


def parametrize(metafunc: pytest.Metafunc) -> None:
    """
    Have a marked test run for each case.

    Raises:
        CollectError: The golden file cannot be used, or the test does not take `case`; with file and line.
    """
    mark = find_mark(metafunc.definition)
    if mark is None:
        return
    path, line, _ = metafunc.definition.location
    place = f"{path}:{(line or 0) + 1}: @pytest.mark.{GOLDEN}"
    if len(mark.args) > 1 or mark.kwargs:
        raise pytest.Collector.CollectError(f'{place} takes one path, such as {GOLDEN}("golden/shop.yaml")')
    if _ARGUMENT not in metafunc.fixturenames:
        raise pytest.Collector.CollectError(f"{place}: the test must take the argument {_ARGUMENT}")
    try:
        golden = _load(metafunc.config, mark.args[0])
    except LLMOpsError as error:
        raise pytest.Collector.CollectError(f"{place}: {error}") from None
    metafunc.parametrize(
        _ARGUMENT, [pytest.param(case, id=case.id, marks=list(_list_marks(case))) for case in golden.cases]
    )


def find_mark(node: pytest.Item) -> pytest.Mark | None:
    """
    Return the mark of a test that names a golden file.

    A mark of this name that names another thing, or nothing, is of the project or of another plugin.
    """
    for mark in node.iter_markers(GOLDEN):
        if mark.args and isinstance(mark.args[0], str) and mark.args[0].endswith(SUFFIXES):
            return mark
    return None


def golden_of(node: pytest.Item) -> Golden | None:
    """Return the golden file of a marked test; None for another test."""
    mark = find_mark(node)
    return None if mark is None else _load(node.config, mark.args[0])


def _load(config: pytest.Config, path: str) -> Golden:
    """Read a golden file once in a session; the path is from the project's root."""
    loaded = config.stash.setdefault(_STASH, {})
    if path not in loaded:
        golden = load_golden(path, root=config.rootpath)
        if problems := list(find_wrong_tags(golden)):
            raise GoldenError(problems)
        for tag in sorted({tag for case in golden.cases for tag in case.tags}):
            config.addinivalue_line("markers", f"{tag}: a tag of golden cases")
        loaded[path] = golden
    return loaded[path]


def _list_marks(case: Case) -> Iterator[Any]:
    from pytest_llmops.gates.expected import show_reason  # with all gates

    for tag in case.tags:
        yield pytest.MarkDecorator(pytest.Mark(tag, (), {}, _ispytest=True), _ispytest=True)
    if case.skip:
        yield pytest.mark.skip(reason=show_reason(case.skip))
    if case.xfail is not None:
        strict = {} if case.xfail.strict is None else {"strict": case.xfail.strict}
        yield pytest.mark.xfail(reason=show_reason(case.xfail.reason), raises=_EXPECTED, **strict)


def find_wrong_tags(golden: Golden) -> Iterable[Problem]:
    """Yield the tags that, as marks, would excuse a case from being judged."""
    for case in golden.cases:
        for tag in sorted(_MARKS_THAT_ACT & set(case.tags)):
            message = f"the tag {tag!r} is a mark that changes how a test is run; choose another word"
            line = case.source.line if case.source else 0
            yield Problem(path=golden.path, line=line, case=case.id, message=message)
