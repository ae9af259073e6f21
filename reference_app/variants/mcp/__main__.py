"""`python -m reference_app.variants.mcp [--http PORT]`: the tools over stdio, or over HTTP at /mcp."""

import argparse
import sys

from reference_app.errors import AppError

parser = argparse.ArgumentParser(prog="python -m reference_app.variants.mcp", description=__doc__)
parser.add_argument("--http", metavar="PORT", type=int, help="of 127.0.0.1; 0 takes a free one")
given = parser.parse_args()
try:
    from reference_app.variants.mcp.server import serve

    serve(given.http)
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
        raise
    sys.exit('The MCP server needs: pip install "pytest-llmops[app,mcp]"')
except AppError as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    sys.exit(130)
