"""`python -m reference_app.variants.lightrag [--rebuild] [QUESTION]` builds the index, and answers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from reference_app.errors import AppError
from reference_app.variants.lightrag.app import open_variant

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_app.variants.lightrag.app import LightRAGApp


def main(arguments: list[str]) -> int:
    """0 done, 1 the index or the answer could not be had."""
    return run(open_variant, arguments)


def run(open_app: Callable[..., LightRAGApp], arguments: list[str]) -> int:
    """The same for another variant with such an index."""
    words = [each for each in arguments if each != "--rebuild"]
    try:
        variant = open_app(rebuild="--rebuild" in arguments)
        print(variant.answer(" ".join(words))["text"] if words else variant.index.folder)  # noqa: T201
    except AppError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
