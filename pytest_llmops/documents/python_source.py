"""Python files, parsed by one thread at a time."""

from __future__ import annotations

import ast
import threading

_ATTEMPTS = 5
_one_at_a_time = threading.Lock()


def parse_python(source: bytes) -> ast.Module:
    """
    Parse a file.

    CPython 3.11 counts the depth of a tree for all threads together, so that of two which parse at once each
    may raise SystemError (python/cpython#106905). A thread that is not ours may be the other one.

    Raises:
        SyntaxError, ValueError, RecursionError: As `ast.parse`.
    """
    with _one_at_a_time:
        for _ in range(_ATTEMPTS - 1):
            try:
                return ast.parse(source)
            except SystemError:
                continue
        return ast.parse(source)
