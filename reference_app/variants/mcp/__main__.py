"""`python -m reference_app.variants.mcp [--http PORT]`: the tools over stdio, or over HTTP at /mcp."""

from __future__ import annotations

import argparse
import sys

from reference_app.errors import AppError
from reference_app.printable import printable


def main() -> int:
    """0 the client is gone, 1 the server cannot start, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m reference_app.variants.mcp", description=__doc__)
    parser.add_argument("--http", metavar="PORT", type=int, help="of 127.0.0.1; 0 takes a free one")
    given = parser.parse_args()
    try:
        from reference_app.variants.mcp.server import serve

        serve(given.http)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        return _fail('The MCP server needs: pip install "pytest-llmops[app,mcp]"')
    except AppError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def _fail(message: str) -> int:
    sys.stderr.write(printable(message, keep="\n") + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
