"""`python -m reference_app.variants.raganything [--rebuild] [QUESTION]` builds the index, and answers."""

from __future__ import annotations

import sys

from reference_app.variants.lightrag.__main__ import run
from reference_app.variants.raganything.app import open_variant

if __name__ == "__main__":
    sys.exit(run(open_variant, sys.argv[1:]))
