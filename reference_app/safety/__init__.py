"""What tools may reach: listed hosts, files of one folder, and only tools that somebody signed for."""

from __future__ import annotations

from reference_app.errors import AppError


class RefusedError(AppError):
    """A URL, a file or a manifest is not safe to use; the message says why and quotes nothing of it."""
