"""What a report shows, read out of its file as a browser would."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any


def read_data(page: Path) -> dict[str, Any]:
    """Return the data of an HTML report."""
    packed = re.search(
        r'<script type="text/plain" id="data">([^<]*)</script>', page.read_text(encoding="utf-8")
    )
    assert packed is not None
    data: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return data
