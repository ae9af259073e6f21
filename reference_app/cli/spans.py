"""Steps of an answer as a waterfall, and what each of them was described by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.tracing import Step

MAX_VALUE_CHARACTERS = 160
MAX_NAME_CHARACTERS = 44
BAR_CHARACTERS = 24
_INPUT, _OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"


def draw(steps: Sequence[Step]) -> str:
    """A line a step: its name below that of its parent, when it ran, for how long, its tokens and prompt."""
    if not steps:
        return "No step was made."
    return "\n".join([*_draw_waterfall(steps), "", *_draw_attributes(steps)])


def _draw_waterfall(steps: Sequence[Step]) -> list[str]:
    names = [_cut("  " * step.depth + step.name, MAX_NAME_CHARACTERS) for step in steps]
    width = max(map(len, names))
    lines = []
    for position, (step, name) in enumerate(zip(steps, names, strict=True)):
        root = _root_of(steps, position)
        bar = _draw_bar(step, root)
        duration_ms = (step.end_s - step.start_s) * 1000
        lines.append(f"{name:<{width}} {bar} {duration_ms:7.0f} ms{_note(steps, position)}".rstrip())
    return lines


def _root_of(steps: Sequence[Step], position: int) -> Step:
    return next((one for one in reversed(steps[: position + 1]) if not one.depth), steps[0])


def _draw_bar(step: Step, root: Step) -> str:
    total_s = max(root.end_s - root.start_s, 1e-9)
    start = min(BAR_CHARACTERS - 1, int((step.start_s - root.start_s) / total_s * BAR_CHARACTERS))
    end = min(BAR_CHARACTERS, round((step.end_s - root.start_s) / total_s * BAR_CHARACTERS))
    length = max(1, end - start)
    return (" " * start + "█" * length).ljust(BAR_CHARACTERS)


def _note(steps: Sequence[Step], position: int) -> str:
    """Tokens and prompt; of a question the sum of its calls."""
    step = steps[position]
    below = [step]
    if not step.depth:
        after = steps[position + 1 :]
        below = list(after[: next((at for at, one in enumerate(after) if not one.depth), len(after))])
    parts = []
    counted = [one.attributes for one in below if _OUTPUT in one.attributes]
    if counted:
        sums = [sum(each[name] for each in counted) for name in (_INPUT, _OUTPUT)]
        parts.append(f"{sums[0]} → {sums[1]} tokens")
    if "reference_app.prompt.name" in step.attributes:
        name, version = (step.attributes[f"reference_app.prompt.{part}"] for part in ("name", "version"))
        parts.append(f"{name} {version}")
    if "error.type" in step.attributes:
        parts.append(f"failed: {step.attributes['error.type']}")
    return "".join(f"  {part}" for part in parts)


def _draw_attributes(steps: Sequence[Step]) -> list[str]:
    lines = []
    for step in steps:
        lines.append("  " * step.depth + step.name)
        lines += [
            f"{'  ' * step.depth}  · {name} = {_cut(_write(value), MAX_VALUE_CHARACTERS)}"
            for name, value in sorted(step.attributes.items(), key=lambda item: item[0])
        ]
    return lines


def _write(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _cut(text: str, length: int) -> str:
    return f"{text[:length]}…" if len(text) > length else text
