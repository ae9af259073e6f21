"""`python -m reference_app "How do I return boots?"`."""

from __future__ import annotations

import sys

from reference_app.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
