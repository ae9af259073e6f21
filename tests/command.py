"""The command `llmops`, found as the shell finds it: by the name that the package installs."""

from __future__ import annotations

from importlib.metadata import entry_points

(_installed,) = entry_points(group="console_scripts", name="llmops")
main = _installed.load()
