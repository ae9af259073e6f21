"""The tables of docs/adapter.md, and the fresh figures on the adapter's card."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.doses.measuring import ADAPTER, ROOT, Response, Split
from benchmarks.doses.power import Power
from benchmarks.doses.scoring import Share
from reference_app.training.evaluation.card import MEANINGS, write_card

PAGE = ROOT / "docs" / "adapter.md"
GOALS = {
    "calls and arguments exact, as worded": 0.90,
    "what was asked for is done, by the app": 0.90,
    "out of scope refused, as worded": 0.92,
    "out of scope refused, by the app": 0.92,
    "professional": 0.95,
}
HOLDS = "plan exact, as worded", "plan right, by the app"
"""The two shares that a dose is judged by."""


def write_page(
    splits: Sequence[Split], responses: Sequence[Response], powers: Sequence[Power], page: Path = PAGE
) -> None:
    """Rewrite the tables between their marks, and nothing else."""
    text = page.read_text(encoding="utf-8")
    for name, rows in (
        ("fresh", list(_fresh(splits))),
        ("doses", list(_doses(responses))),
        ("power", list(_power(powers))),
    ):
        begin, end = f"<!-- {name}: python benchmarks/adapter.py --table -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"{page} has no place for a table: {begin} … {end}")
        text = f"{before}{begin}\n\n" + "\n".join(rows) + f"\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")


def write_fresh_card(splits: Sequence[Split], folder: Path = ADAPTER.parent) -> None:
    """Put the fresh figures into `adapter.json`, and write the card anew."""
    summary = json.loads((folder / "adapter.json").read_text(encoding="utf-8"))
    summary["fresh"] = [
        {
            "split": split.label,
            "measure": name,
            **_plain(share),
            **({"base": _plain(split.base[name])} if name in split.base else {}),
        }
        for split in splits
        for name, share in split.adapter.items()
        if name not in HOLDS
    ]
    (folder / "adapter.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    write_card(folder / "README.md", summary)


def _plain(share: Share) -> dict[str, float | int]:
    low, high = share.interval
    return {"value": round(share.value, 4), "n": share.of, "low": round(low, 4), "high": round(high, 4)}


def _fresh(splits: Iterable[Split]) -> Iterable[str]:
    yield "| split | measure | adapter | 95 % interval | n | goal | base, own prompt |"
    yield "|---|---|---|---|---|---|---|"
    for split in splits:
        for name, share in split.adapter.items():
            if name in HOLDS:
                continue  # the doses' own
            goal = GOALS.get(name)
            label = "" if goal is None else f"{goal:.2f}{'' if share.value >= goal else ', **missed**'}"
            base = split.base.get(name)
            other = "" if base is None else f"{base.value:.2f} (n {base.of})"
            measure = MEANINGS.get(name, name)
            yield f"| {split.label} | {measure} | {_show(share)} | {share.of} | {label} | {other} |"


def _show(share: Share) -> str:
    low, high = share.interval
    return f"{share.value:.3f} | {low:.2f} to {high:.2f}"


def _doses(responses: Iterable[Response]) -> Iterable[str]:
    yield "| dose | plans exact, as worded | right, by the app | worded otherwise | gate | by |"
    yield "|---|---|---|---|---|---|"
    for response in responses:
        shares = [response.plans.get(name) for name in HOLDS]
        values = [
            f"{share.value:.2f} ({response.before[share.name].value:.2f})" if share else "not measured"
            for share in shares
        ]
        of = next((share.of for share in shares if share), 0)
        changed = f"{response.changed} of {of}" if of else ""
        yield f"| {response.dose.label} | {' | '.join(values)} | {changed} | {_verdict(response)} |"


def _verdict(response: Response) -> str:
    verdict = response.verdict
    if verdict is None:
        return "not run | "
    if not verdict.code:
        return f"green | {', '.join(f'{name} undecided' for name in verdict.undecided)}"
    named = [
        f"`{name}` {verdict.observed[name]:.2f}" if name in verdict.observed else name
        for name in verdict.suite
    ]
    return f"**red** | {', '.join(named)}"


def _power(powers: Iterable[Power]) -> Iterable[str]:
    yield "| cases | `max_drop` | red where .05 is lost | lost and won, .05 fewer | as many won as lost |"
    yield "|---|---|---|---|---|"
    for power in powers:
        shares = " | ".join(f"{share:.2f}" for share in (power.falls, power.both, power.neutral))
        yield f"| {power.cases} | {power.max_drop:g} | {shares} |"
