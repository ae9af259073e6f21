"""
Spans of cases and their scores, sent masked at the end of the run where the setting `export` asks for it.

A failure to send is an error, since somebody waits for the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmops.hookspecs import hookimpl

if TYPE_CHECKING:
    from pytest_llmops.protocols import RunListener
    from pytest_llmops.settings import Settings


@hookimpl(tryfirst=True)  # before a receiver changes the environment
def llmops_open_listener(settings: Settings) -> RunListener | None:
    if not settings.export:
        return None
    from pytest_llmops.features.export.exporter import Exporter

    return Exporter.open(settings.export)
