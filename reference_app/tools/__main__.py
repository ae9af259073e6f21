"""
`python -m reference_app.tools KEYFILE`: sign the tools as they are now.

The key is the one in the file, or a new one that is written there; the public key goes into `signing.KEYS`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reference_app.settings import read_settings
from reference_app.tools.gate import open_gate
from reference_app.tools.signing import sign_tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.tools.registry import Tool


def _sign(tools: Sequence[Tool]) -> frozenset[str]:
    sys.stdout.write(sign_tools(tools, Path(sys.argv[1])).hex() + "\n")
    return frozenset()


if __name__ == "__main__":
    open_gate(read_settings({}), lambda *_, **__: "", check=_sign).close()  # no tool is used here
