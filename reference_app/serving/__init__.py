"""The app over HTTP, with a small page."""

from __future__ import annotations

from reference_app.serving.server import ServingError, serve

__all__ = ["ServingError", "serve"]
