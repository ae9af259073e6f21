"""Findings in SARIF 2.1.0 (OASIS), for code scanning."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import quote

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_FINGERPRINT = "pytest-llmops/v1"
_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    A result in a file.

    Attributes:
        path: Relative to where the tool runs, or absolute; empty for none.
        region: By the names of SARIF, `startLine` from 1 and so on; empty where it is not known.
        pointer: The place within a structured file, or the case; it identifies the alert in later runs.
    """

    rule: str
    text: str
    path: str = ""
    region: Mapping[str, int] = field(default_factory=dict)
    pointer: str = ""
    level: Literal["error", "warning", "note"] = "error"


def write_sarif(tool: str, rules: Iterable[str], alerts: Iterable[Alert]) -> str:
    """Return the log of a tool: each alert has a fingerprint that a moved line does not change."""
    seen: Counter[tuple[str, str, str]] = Counter()
    results = []
    for alert in alerts:
        place = (alert.rule, alert.path, alert.pointer)
        written = "\n".join((*place, str(seen[place])))
        seen[place] += 1
        results.append(
            {
                "ruleId": alert.rule,
                "level": alert.level,
                "message": {"text": alert.text},
                "locations": [_locate(alert)],
                "partialFingerprints": {_FINGERPRINT: sha256(written.encode()).hexdigest()[:_DIGITS]},
            }
        )
    driver = {"name": tool, "rules": [{"id": rule} for rule in rules]}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _locate(alert: Alert) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if alert.path:
        path = PurePath(alert.path)
        uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
        location["physicalLocation"] = {"artifactLocation": {"uri": uri}}
        if alert.region:
            location["physicalLocation"]["region"] = dict(alert.region)
    if alert.pointer:
        location["logicalLocations"] = [{"fullyQualifiedName": alert.pointer}]
    return location
