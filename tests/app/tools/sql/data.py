"""Hostile and benign SQL, read from the files beside."""

from __future__ import annotations

from pathlib import Path

import yaml

HERE = Path(__file__).parent


def load(name):
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


GROUPS = load("hostile.yaml")
HOSTILE = [sql for texts in GROUPS.values() for sql in texts]
