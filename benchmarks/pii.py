"""
How much of what is private a scan finds, on labelled texts, and its speed beside Presidio's own loop.

A span is found where at least half of its characters lie in a finding, whatever its kind; a text leaks that
has a span not found. A finding is right where it overlaps a span. Chunks of a text are scanned as the text.
Usage: python benchmarks/pii.py PII.jsonl.gz [--missed]
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_llmops.detect.finding import Finding
from pytest_llmops.detect.scanner import forget, scan_texts

Item = dict[str, Any]


def is_found(span: Item, findings: Sequence[Finding]) -> bool:
    covered = {at for each in findings for at in range(each.start, each.end)}
    return 2 * len(covered & set(range(span["start"], span["end"]))) >= span["end"] - span["start"]


def report(name: str, items: Sequence[Item], findings: Sequence[Sequence[Finding]]) -> None:
    spans = found = leaking = flagged = right = total = 0
    for item, of_item in zip(items, findings, strict=True):
        held = [is_found(span, of_item) for span in item["spans"]]
        spans, found, leaking = spans + len(held), found + sum(held), leaking + (not all(held))
        flagged += bool(of_item)
        total += len(of_item)
        right += sum(
            any(each.start < span["end"] and span["start"] < each.end for span in item["spans"])
            for each in of_item
        )
    if not spans:
        print(f"| {name} | {len(items)} | | | | {flagged} flagged |")
        return
    precision, recall = right / max(1, total), found / spans
    weighted = 5 * precision * recall / max(1e-9, 4 * precision + recall)
    leaks = leaking / len(items)
    print(
        f"| {name} | {len(items)} | {precision:.2f} | {recall:.2f} | {weighted:.2f} | {leaks:.0%} leaking |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("texts", type=Path)
    parser.add_argument("--missed", action="store_true", help="print the texts in which something is missed")
    parser.add_argument("--names", action="store_true", help="with the model of the extra pii-names")
    given = parser.parse_args()
    with gzip.open(given.texts, "rt", encoding="utf-8") as file:
        items: list[Item] = [json.loads(line) for line in file]
    scan_texts([item["text"] for item in items], names=given.names)  # imports, models
    forget()
    started = time.process_time()
    findings = scan_texts([f"{item['text']}\n" for item in items], names=given.names)
    spent = time.process_time() - started
    by_family: dict[str, list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        by_family[item["family"]].append(at)
        if item["obfuscation"] != "none":
            by_family[f"- {item['obfuscation']}"].append(at)
    print("| texts | n | precision | recall | F2 | |\n|---|---|---|---|---|---|")
    for name, places in sorted(by_family.items(), key=lambda each: each[0].replace("-", "obfuscated")):
        report(name, [items[at] for at in places], [findings[at] for at in places])
    missed: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for item, of_item in zip(items, findings, strict=True):
        for span in item["spans"]:
            every[span["type"]] += 1
            if not is_found(span, of_item):
                missed[span["type"]] += 1
                if given.missed:
                    print("missed", span["type"], item["obfuscation"], repr(item["text"]), span["value"])
        for each in of_item:
            if given.missed and not any(
                each.start < s["end"] and s["start"] < each.end for s in item["spans"]
            ):
                print("wrong", each.kind, repr(item["text"][each.start : each.end]), repr(item["text"]))
    kinds = sorted(every)
    print("\nrecall: " + ", ".join(f"{kind} {1 - missed[kind] / every[kind]:.2f}" for kind in kinds))
    print(f"{len(items) / spent:,.0f} texts a CPU-second")


if __name__ == "__main__":
    main()
