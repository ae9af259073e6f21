"""`python -m reference_app.variants.raganything QUESTION` builds the index where there is none, and answers."""

import asyncio
import sys

from reference_app.variants.raganything import answer

print(asyncio.run(answer(" ".join(sys.argv[1:]) or "Which UK size is EU 44?"))["text"])  # noqa: T201
