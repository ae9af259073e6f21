"""Red-team runs: attacks on an app, the metrics that judge them, and their report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="attack",
            module="pytest_llmops.features.attack.command",
            help="red-team run: how often do attacks on the app succeed?",
            page="docs/attacks.md",
        ),
    ]


@hookimpl
def llmops_metrics() -> Mapping[str, str]:
    return {
        "attack": f"{__name__}.metrics:Attack",
        "attack_success": f"{__name__}.metrics:AttackSuccess",
        "blocked": f"{__name__}.metrics:Blocked",
        "utility": f"{__name__}.metrics:Utility",
    }
