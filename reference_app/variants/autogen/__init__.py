"""The shop's support as an AutoGen team of two agents: a planner, and a support agent who uses the tools."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from reference_app.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference_app.settings import Settings

PACKAGES = ("autogen-agentchat", "autogen-ext")
SERIES = "0.7."


def answer(question: str | Mapping[str, Any], settings: Settings | None = None) -> dict[str, Any]:
    """
    Answer one question as `reference_app.answer` does, but for documents, files and earlier turns.

    Args:
        question: A text; or a mapping of `question` with `customer`, or with `approved`, digests of calls
            (`reference_app.tools.registry.Confirmation`) that a person agreed to.
        settings: By default those of the environment.

    Raises:
        reference_app.errors.AppError: AutoGen is missing, or the team failed or did not end.
    """
    for name in PACKAGES:
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "none"
        if not found.startswith(SERIES):
            raise SettingsError(f"{name} {SERIES}x is needed, and {found} is installed; see extra `autogen`.")
    from reference_app.variants.autogen.team import answer as answer_as_team

    return answer_as_team(question, settings)
