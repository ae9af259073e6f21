"""`llmops mutate`: could a wrong answer turn a golden set red? Exit 1 too weak, 2 undecided, 3 broken."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from pytest_llmops.cli.typed import read_count, refuse_overwriting
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.errors import SettingsError
from pytest_llmops.features.mutate.copies import read_files
from pytest_llmops.features.mutate.kinds import EDITS, GROUPS, Kind, read_kinds, usual_kinds
from pytest_llmops.features.mutate.measuring import Measured, RedGoldenError, measure
from pytest_llmops.features.mutate.report import mutation_document, mutation_json
from pytest_llmops.features.mutate.stored import (
    Compared,
    compare_strength,
    read_before,
    strength_path,
    update_strength,
)
from pytest_llmops.gates.expected import split_skipped
from pytest_llmops.golden.files import find_golden_files
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.records import Outcome
from pytest_llmops.reports.document import write_markdown, write_terminal
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.revision.git import pin_environment
from pytest_llmops.settings import Settings, find_root, load_settings

_EXIT_CODES = {"passed": 0, "failed": 1, "regressed": 1, "undecided": 2, "error": 3}
_BROKEN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("golden", nargs="*", metavar="GOLDEN", help="files or folders; default: golden/")
    add("--kinds", metavar="KIND,…", help=f"groups ({', '.join(GROUPS)}) or kinds of one; default: output, retrieval, and model where the app calls one")  # fmt: skip  # noqa: E501 - a flag a line
    add("--app", metavar="MODULE:ATTR", help="the app under test; overrides what golden files name")
    add("--run", metavar="RUN.json", help="mutate the outputs of this run, and call no app")
    add("--prompt", action="append", default=[], metavar="FILE", help="change rules of this prompt, in a copy of the project, and run the golden set on it; calls models, so it needs --budget")  # fmt: skip  # noqa: E501 - as above
    add("--data", action="append", default=[], metavar="FILE", help="as --prompt, of a document that the app answers from")  # fmt: skip  # noqa: E501 - as above
    add("--budget", metavar="N", help="the most model calls that cost something; none by default, and what they leave open is undecided")  # fmt: skip  # noqa: E501 - as above
    add("--baseline", metavar="FILE|git:REF", help="an earlier --accept; default: mutation.json beside the baseline, if it is there")  # fmt: skip  # noqa: E501 - as above
    add("--accept", action="store_true", help="write the measured strength to mutation.json beside the baseline")  # fmt: skip  # noqa: E501 - as above
    add("--all", action="store_true", help="with --accept: even if it is lower than the one that is stored")
    add("--record", metavar="MODE", help="cassettes: none, once, new (default) or all")
    add("--proxy", action="store_true", default=None, help="see model calls of other processes, too")
    add("--out", metavar="FILE", help="write the report to this file too")
    add("--format", choices=("text", "json", "markdown"), default="text")
    parser.set_defaults(do=_mutate)


def _mutate(given: argparse.Namespace) -> int:
    pin_environment(dict(os.environ))  # before the app could set another
    try:
        return _run(given)
    except RedGoldenError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command talks to its user
        return _BROKEN
    finally:
        pin_environment(None)


def _run(given: argparse.Namespace) -> int:
    if given.all and not given.accept:
        raise SettingsError("--all belongs to --accept")
    settings = _settings(given)
    kinds = _read_kinds(given)
    budget = 0 if given.budget is None else read_count("--budget", given.budget)
    refuse_overwriting(given.out, given.run, given.baseline, *given.prompt, *given.data)
    run = load_run(given.run) if given.run else None
    files = find_golden_files(given.golden or settings.golden, Path.cwd() if given.golden else settings.root)
    goldens = [split_skipped(load_golden(file, root=settings.root))[0] for file in files]
    before = read_before(given.baseline, settings)
    edits = read_files({"prompts": given.prompt, "documents": given.data}, kinds, settings, budget)
    measured = measure(goldens, settings, kinds, run=run, budget=budget, edits=edits)
    compared = compare_strength(before, measured.strength, settings.root)
    path = strength_path(settings)
    content, losses = update_strength(measured.strength, path, settings.root) if given.accept else (b"", [])
    is_accepted = given.accept and (given.all or not losses)
    compared = replace(compared, is_accepted=is_accepted and given.baseline is None)
    outcome = conclude(measured, compared)
    _show(measured, compared, outcome, given)
    if not given.accept or outcome == "error":
        return _EXIT_CODES[outcome]
    head = f"accepted into {path}{', with less than before:' if losses else ''}"
    if is_accepted:
        write_atomically(path, content)
    else:
        head = f"not accepted into {path}, which has more; to accept the loss: llmops mutate --accept --all"
    print("\n  ".join([head, *losses]), file=sys.stderr)  # noqa: T201 - as above
    return _EXIT_CODES[outcome] if is_accepted else _EXIT_CODES["failed"]


def conclude(measured: Measured, compared: Compared) -> Outcome:
    """Return the worst outcome: nothing tried is an error, and what nobody knows is undecided."""
    strength = measured.strength
    outcomes = {verdict.outcome for verdict in strength.verdicts}
    if not strength.total.tried:
        return "error"
    if compared.losses and not compared.is_accepted:
        return "regressed"
    if "failed" in outcomes:
        return "failed"
    if "undecided" in outcomes or strength.total.undecided or compared.doubts:
        return "undecided"
    return "passed"


def _settings(given: argparse.Namespace) -> Settings:
    flags = {"app": given.app, "record": given.record, "proxy": given.proxy}
    return load_settings(find_root(Path.cwd()), ("command line, flags --…", flags))


def _read_kinds(given: argparse.Namespace) -> tuple[Kind, ...]:
    files = {"prompts": given.prompt, "documents": given.data}
    if given.kinds is None:
        return usual_kinds() + tuple(
            (group, kind) for group in EDITS if files[group] for kind in GROUPS[group]
        )
    typed = read_kinds(given.kinds, "--kinds")
    kinds = tuple(kind for kind in typed if files.get(kind[0]) != [])
    words = {word.strip() for word in given.kinds.split(",")}
    for group in EDITS:
        if not files[group] and (group in words or len(kinds) == 0):
            flag = "--prompt" if group == "prompts" else "--data"
            raise SettingsError(f"--kinds {group} needs a file to change: {flag} FILE")
    return kinds


def _show(measured: Measured, compared: Compared, outcome: Outcome, given: argparse.Namespace) -> None:
    if given.format == "json":
        text = json.dumps(mutation_json(measured, compared, outcome), indent=2)
    else:
        write = write_markdown if given.format == "markdown" else write_terminal
        text = "\n".join(write(mutation_document(measured, compared, outcome)))
    print(text)  # noqa: T201 - as above
    if given.out:
        write_atomically(Path.cwd() / given.out, f"{text}\n".encode())
