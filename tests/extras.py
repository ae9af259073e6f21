"""Marks for tests of what an extra of the package brings; a run of `nox` installs none of these extras."""

from __future__ import annotations

from importlib.util import find_spec

import pytest


def _needs(extra: str, module: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(module) is None, reason=f"needs the extra {extra}")


needs_chat = _needs("chat", "xllamacpp")
needs_http = _needs("http", "jsonpath_ng")
needs_injection = _needs("injection", "onnxruntime")
needs_local = _needs("local", "tokenizers")
needs_pii = _needs("pii", "presidio_analyzer")
needs_proxy = _needs("proxy", "trustme")
