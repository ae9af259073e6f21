"""
What `facts` and `faithfulness` find of planted falsehoods, and what they report of right answers.

`falsehoods/first.yaml` and `second.yaml`: the rules were made on these; `last.yaml` was written when they
were fixed. An answer is compared with the sections of the documents that the question is about, results of
tools, and the reference or not. With `--labels`, also the labelled sets (see agreement/labels.py), on which
the rules were tried too. With `--planted`, falsehoods of eight kinds in answers of public sets, of the half
of the documents that no rule was developed on (`--dev`: of the other half), and values in other forms and
languages. Intervals are Wilson's.

Usage: python benchmarks/facts.py [--misses] [--labels] [--planted [--dev]]
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.agreement.labels import sample
from benchmarks.falsehoods.finding import SHARES, find
from benchmarks.falsehoods.planting import Half, list_answers, plant
from benchmarks.questions.scoring import Record
from pytest_llmops.bounds import parse_bound
from pytest_llmops.records import Failure, Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.statistics.intervals import wilson_interval

SUPPORTED = 0.8  # of MTRAG's labels, a mean of people's marks
CHECKS = (
    ("facts", ">= 1"),
    ("faithfulness", ">= 0.5"),
    ("faithfulness", ">= 0.7"),
    ("faithfulness", ">= 0.9"),
)


def main() -> None:
    misses = "--misses" in sys.argv
    if "--planted" in sys.argv:
        console = Console(width=110)
        console.print(make_planted("dev" if "--dev" in sys.argv else "held", misses=misses))
        console.print(make_forms(misses=misses))
        return
    table = Table("share", "compared with", "check", "falsehoods found", "right answers reported")
    for share in ("first", "second", "last"):
        path = SHARES / f"{share}.yaml"
        items = yaml.safe_load(path.read_text(encoding="utf-8"))
        for reference in (True, False):
            for name, written in CHECKS:
                bound = parse_bound(written)
                assert bound is not None  # noqa: S101 - written above
                found = find(name, bound, items, reference=reference)
                sources = "sources and reference" if reference else "sources"
                table.add_row(share, sources, f"{name} {written}", show(found["wrong"]), show(found["right"]))
                if misses and name == "facts":
                    print(f"\n{share}, {sources}")
                    print_misses(items, found)
                if name == "facts":
                    print(share, sources, by_kind(items, found["wrong"]))
    console = Console(width=110)
    console.print(table)
    if "--labels" in sys.argv:
        console.print(make_labelled())


def make_planted(half: Half, *, misses: bool) -> Table:
    """What `facts` finds of falsehoods by kind, and reports of the answers as they were."""
    metric = create_metric("facts", {})
    table = Table("answers", "reported by facts", "not applicable", title=f"planted, half {half}")
    groups: defaultdict[str, list[tuple[str, Sample]]] = defaultdict(list)
    planted = plant(half)
    for item in planted:
        groups[f"{item.kind} changed"].append((item.text, item.answer.as_sample(item.text)))
        groups["all falsehoods"].append((item.text, item.answer.as_sample(item.text)))
    originals = {item.answer.text: item.answer for item in planted}.values()
    groups["their originals"] = [(answer.text, answer.as_sample()) for answer in originals]
    answers = list_answers(half)
    groups["all answers of the sets"] = [(answer.text, answer.as_sample()) for answer in answers]
    groups["long ones among them"] = [
        (answer.text, answer.as_sample()) for answer in answers if answer.is_long
    ]
    for name, rows in groups.items():
        scored = metric.score([sample for _, sample in rows])
        red = [isinstance(score, Score) and score.value < 1 for score in scored]
        if misses and name != "all falsehoods":
            is_false = name.endswith("changed")
            for (text, _), score, is_red in zip(rows, scored, red, strict=True):
                if is_red != is_false:
                    print(name, "|", score.reason if isinstance(score, Score) else score.error, "|", text)
        idle = sum(isinstance(score, Failure) for score in scored)
        table.add_row(name, show([(is_red, "") for is_red in red]), str(idle))
    return table


def make_forms(*, misses: bool) -> Table:
    """What `facts` finds of other values in technical forms, and of wrong answers in ten languages."""
    metric = create_metric("facts", {})
    table = Table("wrong values", "reported", "not applicable", "1, with a warning", "1, without one")
    forms = yaml.safe_load((SHARES / "forms.yaml").read_text(encoding="utf-8"))
    rows = {
        "technical forms": [
            (f"Set it to {wrong} there.", f"Set it to {right} there.") for right, wrong in forms
        ]
    }
    sentences = yaml.safe_load((SHARES / "languages.yaml").read_text(encoding="utf-8"))
    for code, own in sentences.items():
        plain = [re.sub(r"[{}]", "", sentence) for sentence in own]
        pairs = [(one, other) for one in plain for other in plain if one != other]
        changed = [
            (re.sub(r"\{(\d+)\}", lambda match, by=by: str(int(match[1]) + by), sentence), plain[at])
            for at, sentence in enumerate(own)
            for by in (1, 10)
        ]
        rows[code] = [*pairs, *changed]
    rows["ten languages"] = [row for code in sentences for row in rows[code]]
    for name, texts in rows.items():
        scored = metric.score([sample(wrong, [source]) for wrong, source in texts])
        good = [score for score in scored if isinstance(score, Score) and score.value == 1]
        warned = sum("not in English" in score.reason for score in good)
        idle = sum(isinstance(score, Failure) for score in scored)
        reds = [isinstance(score, Score) and score.value < 1 for score in scored]
        table.add_row(
            name, show([(red, "") for red in reds]), str(idle), str(warned), str(len(good) - warned)
        )
        for (wrong, source), score in zip(texts, scored, strict=True):
            if misses and score in good and name != "ten languages":
                print(name, "|", wrong, "|", source)
    return table


def make_labelled() -> Table:
    """What `facts` reports of outputs that people labelled, and of sentences with one fact changed."""
    from benchmarks.agreement.alterations import altered_sentences
    from benchmarks.agreement.labels import faithfulness_sets

    table = Table("set", "outputs", "reported by facts")
    groups: defaultdict[tuple[str, str], list[Sample]] = defaultdict(list)
    for name, rows in faithfulness_sets().items():
        if name in {"BEGIN", "SciFact", "MTRAG"}:
            for row in rows:
                alone = replace(row.sample, reference=None)
                groups[name, "supported" if row.label >= SUPPORTED else "not supported"].append(alone)
    for row in altered_sentences():
        groups["XQuAD, one fact changed", row.kind].append(row.sample)
    metric = create_metric("facts", {})
    for (name, kind), samples in groups.items():
        scored = [each for each in metric.score(samples) if isinstance(each, Score)]
        table.add_row(name, kind, show([(each.value < 1, "") for each in scored]))
    return table


def print_misses(items: list[Record], found: Mapping[str, list[tuple[bool, str]]]) -> None:
    for item, (missed, _) in zip(items, found["wrong"], strict=True):
        if not missed:
            print(f"not found: {item['id']} {item['kind']}: {item['wrong']}")
    for item, (missed, reason) in zip(items, found["right"], strict=True):
        if missed:
            print(f"reported:  {item['id']}: {item['right']} ({reason})")


def by_kind(items: list[Record], found: list[tuple[bool, str]]) -> str:
    counts: defaultdict[str, list[bool]] = defaultdict(list)
    for item, (missed, _) in zip(items, found, strict=True):
        counts[item["kind"]].append(missed)
    return ", ".join(f"{kind} {sum(each)}/{len(each)}" for kind, each in sorted(counts.items()))


def show(found: list[tuple[bool, str]]) -> str:
    count, of = sum(missed for missed, _ in found), len(found)
    low, high = wilson_interval(count / of, of)
    return f"{count}/{of} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
