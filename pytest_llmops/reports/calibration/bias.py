"""What was found of a judge's bias, as `llmops calibrate` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_llmops.calibration.bias.findings import LEVEL, Bias, Finding
from pytest_llmops.printable import printable


def bias_json(bias: Bias | None, families: Sequence[str]) -> dict[str, Any] | None:
    """As JSON values; None where nothing was looked for."""
    if bias is None:
        return None
    return {
        "families": list(families),
        "level": LEVEL,
        "accused": [finding.name for finding in bias.findings if finding.accused],
        "findings": [
            {
                "name": finding.name,
                "accused": finding.accused,
                "effect": finding.effect,
                "p_value": finding.p_value,
                "p_adjusted": finding.p_adjusted,
                "pairs": finding.pairs,
                "told": finding.description,
            }
            for finding in bias.findings
        ],
        "order_flips": bias.order_flips,
        "repeat_flips": bias.repeat_flips,
        "length_correlation": None
        if bias.length_correlation is None
        else {"judge": bias.length_correlation[0], "people": bias.length_correlation[1]},
        "untested": list(bias.untested),
    }


def render_bias(bias: Bias, families: Sequence[str]) -> list[str]:
    """A line a kind of bias, whether it was shown, and what could not be tested."""
    whose = f" (judge of the family {printable(', '.join(families), 60)})" if families else ""
    lines = [f"bias{whose}, accused at p ≤ {LEVEL:g} after Holm's correction:"]
    lines += [f"  {_finding(finding)}" for finding in bias.findings]
    if bias.length_correlation is not None:
        judged, people = bias.length_correlation
        lines.append(f"  rank correlation with length: judge {judged:.2f}, people {people:.2f}")
    if bias.order_flips is not None:
        lines.append(f"  {bias.order_flips:.1%} of pairs turn with the order")
    if bias.repeat_flips is not None:
        lines.append(f"  {bias.repeat_flips:.1%} of answers turn when asked again")
    return [*lines, *(f"  not tested: {printable(each)}" for each in bias.untested)]


def _finding(finding: Finding) -> str:
    name = finding.name.replace("_", "-")
    shown = "BIASED" if finding.accused else "not shown"
    return f"{name}: {shown} (p = {finding.p_adjusted:.3g}); {finding.description}"
