"""`llmops import SOURCE`: traces, LangSmith runs and data sets, or CSV, as candidates for golden cases."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_llmops.detect.mask import mask_value
from pytest_llmops.detect.recognizers.numbers import check_installed
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.errors import GoldenError, LLMOpsError
from pytest_llmops.features.importing.candidates import Candidate, read_candidates
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.printable import counted, printable
from pytest_llmops.settings import find_root
from pytest_llmops.traces.decoding.values import DecodingError

_UNREADABLE = 3
_NEAR = 92  # of 100, by rapidfuzz: a question with other punctuation or one word more
_ID_WORDS = 6
_HEADER = "# Candidates, not cases yet: read each, correct its reference and give it checks.\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="SOURCE", help="a file: OTLP or LangSmith, JSON or JSON lines; or CSV"
    )
    parser.add_argument("--out", metavar="GOLDEN.yaml", required=True, help="the golden file to write")
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    parser.add_argument(
        "--refuse-personal",
        action="store_true",
        help="leave out cases that hold personal data or secrets; default: mask them",
    )
    parser.set_defaults(do=_import)


def _import(given: argparse.Namespace) -> int:
    """Write the golden file; 3 if nothing could be read or written."""
    check_installed("llmops import")
    out = Path(given.out)
    if out.exists() and not given.force:
        return _fail(f"{out}: is there already; pass --force to replace it")
    if out.suffix not in {".yaml", ".yml"}:
        return _fail(f"{out}: must end in .yaml, the format that is written")
    try:
        candidates = _read(Path(given.source))
    except LLMOpsError as error:
        return _fail(str(error))
    notes: Counter[str] = Counter()
    cases = _name(_drop_near(_clean(candidates, notes, refuses=given.refuse_personal), notes))
    if not cases:
        return _fail(f"{given.source}: contains no question that could become a case")
    return _write(out, cases, notes)


def _read(source: Path) -> list[Candidate]:
    """
    Read the candidates of the source.

    Raises:
        DecodingError: It cannot be read, or its format is unknown.
    """
    try:
        text = source.read_text(encoding="utf-8-sig")
        return read_candidates(text, table=source.suffix.lower() == ".csv")
    except OSError as error:
        raise DecodingError(f"{source}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise DecodingError(f"{source}: is not UTF-8 text") from None
    except LLMOpsError as error:
        raise DecodingError(f"{source}: cannot be imported: {error}") from None


def _clean(candidates: Sequence[Candidate], notes: Counter[str], *, refuses: bool) -> Iterator[Candidate]:
    """Mask personal data in candidates, or with `refuses` leave those with such data out."""
    for candidate in candidates:
        masked = replace(
            candidate,
            input=mask_value(candidate.input),
            id=mask_value(candidate.id),
            reference=mask_value(candidate.reference),
            tags=tuple(mask_value(list(candidate.tags))),
        )
        if masked != candidate:
            notes["left out for personal data" if refuses else "masked"] += 1
            if refuses:
                continue
        yield masked


def _drop_near(candidates: Iterator[Candidate], notes: Counter[str]) -> list[Candidate]:
    """Keep the first of all candidates that ask nearly the same."""
    from rapidfuzz import fuzz, process

    kept: list[Candidate] = []
    texts: list[str] = []
    for candidate in candidates:
        text = " ".join(re.findall(r"\w+", str(candidate.input).casefold()))
        if process.extractOne(text, texts, scorer=fuzz.ratio, score_cutoff=_NEAR) is None:
            texts.append(text)
            kept.append(candidate)
        else:
            notes["dropped as near-duplicates"] += 1
    return kept


def _name(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Make the cases of a golden file, each with a unique id."""
    names = Counter(candidate.id for candidate in candidates)  # runs are named after the traced function
    taken: set[str] = set()
    cases = []
    for candidate in candidates:
        own = _slug(candidate.id) if names[candidate.id] == 1 else ""
        tags = [slug for tag in candidate.tags if (slug := _slug(tag))]
        cases.append(
            {
                "id": _take(own or _slug(str(candidate.input)) or "case", taken),
                "input": candidate.input,
                **({"reference": candidate.reference} if candidate.reference else {}),
                **({"tags": tags} if tags else {}),
            }
        )
    return cases


def _take(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(free)
    return free


def _slug(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", text.lower())[:_ID_WORDS])[:60].strip("-")


def _write(out: Path, cases: Sequence[dict[str, Any]], notes: Counter[str]) -> int:
    import yaml

    body = yaml.safe_dump(
        {"version": 1, "cases": list(cases)}, allow_unicode=True, sort_keys=False, width=100
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.stem}.draft.yaml")
    try:
        write_atomically(draft, (_HEADER + body).encode())
        load_golden(draft, root=find_root(Path.cwd()))
        draft.replace(out)
    except GoldenError as error:
        return _fail(f"{out}: not written, since it would be no golden file: {error.problems[0].message}")
    except OSError as error:
        return _fail(f"{out}: cannot be written ({error.strerror})")
    finally:
        draft.unlink(missing_ok=True)
    counts = "".join(f", {count:,} {note}" for note, count in notes.items())
    print(printable(f"{out}: {counted(len(cases), 'candidate case')}{counts}"))  # noqa: T201 - a command talks to its user
    return 0


def _fail(message: str) -> int:
    print(printable(message), file=sys.stderr)  # noqa: T201 - as above
    return _UNREADABLE
