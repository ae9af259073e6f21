"""`python -m reference_app.variants.autorag [--rebuild] [QUESTION]` runs the trial, and answers."""

from __future__ import annotations

import sys

from reference_app.errors import AppError
from reference_app.variants.autorag.app import open_variant


def main(arguments: list[str]) -> int:
    """0 done, 1 the trial or the answer could not be had."""
    words = [each for each in arguments if each != "--rebuild"]
    try:
        variant = open_variant(rebuild="--rebuild" in arguments)
        print(variant.answer(" ".join(words))["text"] if words else variant.trial.folder)  # noqa: T201
    except AppError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
