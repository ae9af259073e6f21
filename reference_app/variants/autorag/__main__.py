"""`python -m reference_app.variants.autorag [--rebuild] [QUESTION]` runs the trial, and answers."""

from __future__ import annotations

import sys

from reference_app.variants.autorag.app import open_variant
from reference_app.variants.documents import run_variant


def main(arguments: list[str]) -> int:
    """0 done, 1 the trial or the answer could not be had."""
    return run_variant(open_variant, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
