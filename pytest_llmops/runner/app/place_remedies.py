"""
What to set where an app failed since it needs another thread or event loop than the one it was called in.

The errors are the standard library's own, by type and text; the texts are the same since Python 3.11.
"""

from __future__ import annotations

from collections.abc import Iterable
from traceback import walk_tb

from pytest_llmops.errors import describe_error
from pytest_llmops.runner.app.places import awaited

_OF_A_THREAD = (
    ("ProgrammingError", "SQLite objects created in a thread can only be used in that same thread"),
    ("ValueError", "signal only works in main thread"),
)
_OF_NO_LOOP = (
    ("RuntimeError", "There is no current event loop"),
    ("RuntimeError", "This event loop is already running"),
)
_OF_ANOTHER_LOOP = (
    ("RuntimeError", "attached to a different loop"),
    ("RuntimeError", "is bound to a different event loop"),
    ("RuntimeError", "Event loop is closed"),
    (
        "RuntimeError",
        "Timeout context manager should be used inside a task",
    ),  # aiohttp's word for a foreign loop
)

_MAIN_THREAD = "`runs_on: main_thread` in the golden file calls the app in the main thread"
_TEST_LOOP = (
    "`runs_on: test_loop` in the golden file calls the app in the main thread, on the loop of the tests"
)
_ONE_LOOP = (
    "the app runs a new loop for each call, and what belongs to one works in no other: name its coroutine "
    "function as the app, since those of all cases share a loop"
)


def find_remedy(errors: Iterable[BaseException]) -> str:
    """
    Return what to set for an app that was called on a thread; empty where its error is another one.

    Args:
        errors: What it raised, and then the exceptions that this came from.
    """
    errors = list(errors)
    on_loop = any(frame.f_code is awaited.__code__ for frame, _ in walk_tb(errors[0].__traceback__))
    for error in errors:
        if _is_one_of(_OF_A_THREAD, error):
            return _TEST_LOOP if on_loop else _MAIN_THREAD
        if _is_one_of(_OF_NO_LOOP, error):
            return "" if on_loop else _MAIN_THREAD
        if _is_one_of(_OF_ANOTHER_LOOP, error):
            return _TEST_LOOP if on_loop else _ONE_LOOP
    return ""


def _is_one_of(known: Iterable[tuple[str, str]], error: BaseException) -> bool:
    name, text = type(error).__name__, describe_error(error)
    return any(name == kind and words in text for kind, words in known)
