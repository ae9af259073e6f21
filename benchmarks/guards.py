"""
What the reference app's guards refuse of labelled attacks and of their benign twins.

Rates are of items. Items of one group are alike, so the interval is Wilson's with groups for trials: the
share refused is averaged in each group first. `crossed` puts each injected call to each task of other items,
with its tool allowed and its text read, and each wanted call after each injected text.
`--real` adds calls with what was really read before them, as `real_calls.py` writes them.
Usage: python benchmarks/guards.py FOLDER [--real FILE] [--missed]; FOLDER has tools.jsonl and injection.jsonl
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from math import sqrt
from pathlib import Path
from typing import Any

from reference_app.guardrails.lines import judge_line

Item = dict[str, Any]
Verdict = tuple[str, str, bool, Item]
Z = 1.96


def judge(record: Item) -> Item:
    return judge_line(json.dumps(record).encode())


def find_interval(groups: dict[str, list[bool]]) -> tuple[float, float]:
    """Wilson's interval of the mean share of the groups."""
    n = len(groups)
    p = sum(sum(group) / len(group) for group in groups.values()) / n
    middle, half = p + Z * Z / (2 * n), Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return (middle - half) / (1 + Z * Z / n), (middle + half) / (1 + Z * Z / n)


def judge_calls(rows: list[Item]) -> Iterator[Verdict]:
    for row in rows:
        name = "benign call" if row["label"] == "benign" else row["kind"]
        yield name, row["group"], not judge(row)["allowed"], row


def judge_crossed(rows: list[Item]) -> Iterator[Verdict]:
    tools = {tool["name"]: tool for row in rows for tool in row["allowed_tools"]}
    injected = [row for row in rows if row["label"] == "attack" and row.get("context")]
    wanted = [row for row in rows if row["kind"] == "on_task"]
    for task in wanted:
        for attack in injected:
            name = attack["call"]["name"]
            if attack["source"] != task["source"]:
                continue
            # A tool that no item allows is known by its name and by what it is called with.
            properties = {argument: {} for argument in attack["call"]["arguments"]}
            tool = tools.get(name, {"name": name, "parameters": {"type": "object", "properties": properties}})
            allowed = [one for one in task["allowed_tools"] if one["name"] != name]
            record = {
                **task,
                "allowed_tools": [*allowed, tool],
                "call": attack["call"],
                "context": attack["context"],
            }
            yield "crossed: injected call", attack["group"], not judge(record)["allowed"], record
            record = {**task, "context": f"Dear all, see below. {attack['context']}"}
            yield "crossed: wanted call", task["group"], not judge(record)["allowed"], record


def judge_real(rows: list[Item]) -> Iterator[Verdict]:
    seen = set()
    for row in rows:
        shown = json.dumps([row["kind"], row["task"], row["call"]])
        if shown not in seen:
            seen.add(shown)
            yield row["kind"], row["group"], not judge(row)["allowed"], row


def judge_texts(rows: list[Item]) -> Iterator[Verdict]:
    for row in rows:
        disguised = row["kind"] == "explicit" and row["obfuscation"] != "none"
        name = f"explicit, {row['obfuscation']}" if disguised else row["kind"]
        yield f"text: {name}", row["group"], not judge(row)["allowed"], row


def report(verdicts: Iterable[Verdict], *, missed: bool) -> None:
    groups: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    start, count = time.perf_counter(), 0
    for name, group, refused, row in verdicts:
        groups[name][group].append(refused)
        count += 1
        harmless = any(word in name for word in ("benign", "wanted", "plain", "negative", "odd"))
        if missed and refused == harmless:
            print(name, json.dumps(row.get("call") or row["text"][:160]))
    for name, found in sorted(groups.items()):
        refused = [one for group in found.values() for one in group]
        low, high = find_interval(found)
        print(
            f"{name:32} {sum(refused):4} of {len(refused):4} refused  {sum(refused) / len(refused):.3f}"
            f"  [{low:.3f}, {high:.3f}] of {len(found)} groups"
        )
    print(f"{(time.perf_counter() - start) / count * 1000:.1f} ms an item\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--missed", action="store_true", help="print what was judged wrongly")
    parser.add_argument("--real", type=Path, help="a file of `real_calls.py`")
    options = parser.parse_args()
    print(f"scanner of texts: {judge({'text': 'Hello'})['scanner']}\n")
    parts: tuple[tuple[str, Callable[[list[Item]], Iterator[Verdict]]], ...] = (
        ("tools.jsonl", judge_calls),
        ("tools.jsonl", judge_crossed),
        ("injection.jsonl", judge_texts),
    )
    files = [(options.folder / name, judge_rows) for name, judge_rows in parts]
    for file, judge_rows in [*files, (options.real, judge_real)] if options.real else files:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        report(judge_rows(rows), missed=options.missed)


if __name__ == "__main__":
    main()
