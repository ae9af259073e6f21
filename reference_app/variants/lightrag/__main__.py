"""`python -m reference_app.variants.lightrag QUESTION` builds the index where there is none, and answers."""

import asyncio
import sys

from reference_app.variants.lightrag import answer

print(asyncio.run(answer(" ".join(sys.argv[1:]) or "How long do I have to send boots back?"))["text"])  # noqa: T201
