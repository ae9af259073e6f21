"""A measurement for people and programs: rates, checks, survivors, and the checks that they lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from os.path import commonprefix
from typing import Any

from pytest_llmops.detect.mask import mask_shown
from pytest_llmops.features.mutate.kinds import LIES_KEY, MUTED
from pytest_llmops.features.mutate.languages import LANGUAGES
from pytest_llmops.features.mutate.measuring import Measured
from pytest_llmops.features.mutate.private import changes_private
from pytest_llmops.features.mutate.stored import Compared
from pytest_llmops.features.mutate.strength import CheckStrength, Rate, Strength
from pytest_llmops.features.mutate.trials import Trial
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import Outcome, Verdict
from pytest_llmops.reports.document import Document, Notes, Table

VERSION = 1
_masked = lru_cache(maxsize=4096)(mask_shown)  # a mutant's answer is often that of another kind
_TEXT = 90
_BEFORE, _AROUND = 24, 64
_LISTED = 40


def mutation_document(measured: Measured, compared: Compared, outcome: Outcome) -> Document:
    """Tables of kinds, checks and survivors, and the verdicts."""
    strength = measured.strength
    blocks: list[Table | Notes] = [_rates(strength)]
    notes = _list_not_tried(strength)
    notes.append("killed: a check of the case fails; interval: 95 %, over cases, drawn with their group")
    if any(rate.errors for rate in strength.kinds):
        notes.append("by an error: of those killed, the ones in which the app broke, or gave nothing to read")
    blocks.append(Notes(items=notes))
    if strength.checks:
        blocks += [_checks(strength), Notes(items=_dead(strength.checks))]
    if strength.survivors:
        blocks += _survivors(measured)
    if undecided := [trial for trial in strength.trials if not trial.is_decided]:
        reasons = dict.fromkeys(f"{trial.kind}: {_masked(trial.reason)}" for trial in undecided)
        blocks.append(Notes(title="undecided, so the score is a range", items=list(reasons), most=5))
    word = "accepted" if compared.is_accepted else "regressed"
    verdicts = [*map(_describe, strength.verdicts), *(f"{word}: {loss}" for loss in compared.losses)]
    verdicts += [*measured.notes, *compared.notes]
    for path, bounds in strength.proposed.items():
        listed = ", ".join(f'{name}: "{bound}"' for name, bound in bounds.items())
        verdicts.append(f"bounds that hold today: {printable(path)}: suite: {{mutation: {{{listed}}}}}")
    blocks.append(Notes(items=verdicts))
    return Document(blocks=blocks, outcome=f"{_word(strength, outcome)}: {describe_total(strength)}")


def section(measured: Measured, compared: Compared) -> list[str]:
    """The lines of a summary: the score by group, and the verdicts."""
    strength = measured.strength
    lines = [f"mutation: {rate.group} {_share(rate)}" for rate in strength.groups]
    lines += [f"mutation: {line}" for line in _list_not_tried(strength)]
    lines += [f"mutation: {_describe(verdict)}" for verdict in strength.verdicts]
    if survivors := strength.survivors:
        files = " ".join(dict.fromkeys(golden.path for golden in strength.goldens))
        lines.append(
            f"mutation: {counted(len(survivors), 'mutant')} survived; llmops mutate {files} lists them"
        )
    lines += [f"mutation: {note}" for note in (*measured.notes, *compared.notes)]
    return [printable(_masked(line), 1_200) for line in lines]


def mutation_json(measured: Measured, compared: Compared, outcome: Outcome) -> dict[str, Any]:
    strength = measured.strength
    return {
        "version": VERSION,
        "outcome": outcome,
        "score": _rate_json(strength.total),
        "lies": _rate_json(strength.lies),
        "groups": [_rate_json(rate) for rate in strength.groups],
        "kinds": [_rate_json(rate) for rate in strength.kinds],
        "not_tried": dict(strength.not_tried),
        "checks": [{**asdict(row), "dead": row.is_dead} for row in strength.checks],
        "survivors": [
            {
                "case": trial.case,
                "group": trial.group,
                "kind": trial.kind,
                "change": _change(trial),
                "text": _text(trial, 2_000),
                "remedy": measured.remedies.get(at),
            }
            for at, trial in enumerate(strength.survivors)
        ],
        "verdicts": [
            {
                "check": verdict.check,
                "item": verdict.case,
                "outcome": verdict.outcome,
                "observed": verdict.observed,
                "interval": verdict.interval,
                "cases": verdict.cases,
                "reason": _masked(verdict.reason),
            }
            for verdict in strength.verdicts
        ],
        "weakened": [
            {
                "group": row.group,
                "kind": row.kind,
                "dropped": list(row.dropped),
                "reason": f"regressed: {row.describe()}",
            }
            for row in compared.weakened
        ],
        "gone": compared.gone or None,
        "proposed": strength.proposed,
        "calls": measured.calls,
        "note": "; ".join([*measured.notes, *compared.notes]) or None,
    }


def _list_not_tried(strength: Strength) -> list[str]:
    """Name what has no mutant, by reason; and answers whose words cannot be turned."""
    names: dict[str, list[str]] = {}
    for name, reason in strength.not_tried.items():
        names.setdefault(reason, []).append(name)
    lines = [f"{', '.join(of_reason)} not tried: {reason}" for reason, of_reason in names.items()]
    if strength.unread:
        lines.append(
            f"{counted(len(strength.unread), 'answer')} in a language in which only numbers, dates and the "
            f"answer as a whole are changed; words are in {', '.join(LANGUAGES)}"
        )
    return lines


def _rates(strength: Strength) -> Table:
    rows = []
    for rate in strength.groups:
        rows.append(_row(rate.group, rate))
        if rate.group == strength.lies.group and strength.lies.tried:
            rows.append(_row(f"  {LIES_KEY}: the fluent ones", strength.lies))
        rows += [_row(f"  {kind.kind}", kind) for kind in strength.kinds if kind.group == rate.group]
    rows.append(_row("all", strength.total))
    head = ("mutants", "killed", "interval", "tried", "survived", "by an error", "undecided")
    return Table(head=head, rows=rows)


def _row(name: str, rate: Rate) -> tuple[str, ...]:
    low, high = rate.low, rate.high
    interval = "" if low is None or high is None else f"{100 * low:.1f} … {100 * high:.1f}"
    counts = (rate.tried, rate.survived, rate.errors, rate.undecided)
    return name, _percent(rate), interval, *map(str, counts)


def _percent(rate: Rate) -> str:
    if rate.value is not None:
        return f"{100 * rate.value:.1f} %"
    return f"{100 * rate.at_least:.1f} … {100 * rate.at_most:.1f} %" if rate.tried else "-"


def _share(rate: Rate) -> str:
    text = f"{rate.killed} of {counted(rate.tried, 'mutant')} killed ({_percent(rate)})"
    return text + (f", {rate.undecided} undecided" if rate.undecided else "")


def _checks(strength: Strength) -> Table:
    several = len(strength.goldens) > 1
    rows = [
        (
            f"{row.golden}: {row.check}" if several else row.check,
            f"{100 * row.killed / row.tried:.1f} %",
            f"{100 * row.low:.1f} … {100 * row.high:.1f}",
            str(row.tried),
            str(row.alone),
        )
        for row in strength.checks
    ]
    return Table(head=("check", "killed", "interval", "tried", "killed alone"), rows=rows)


def _dead(checks: Sequence[CheckStrength]) -> list[str]:
    lines = []
    for row in checks:
        if not row.is_dead:
            continue
        found = f"kills {row.killed} of {row.tried}, all of which checks that are not dead kill too"
        if not row.killed:
            found = f"kills none of {counted(row.tried, 'mutant')}"
        about = "; no mutant here leaks or attacks: see llmops attack" if row.finds_leaks else ""
        lines.append(f"dead check: {row.golden}: {row.check} {found}{about}")
    return lines


def _survivors(measured: Measured) -> list[Table | Notes]:
    survivors = measured.strength.survivors
    several = len(measured.strength.goldens) > 1
    rows = []
    for at in _order(survivors, measured.remedies)[:_LISTED]:
        trial = survivors[at]
        remedy = measured.remedies.get(at) or ("none: nothing differs" if trial.is_same else "none found")
        case = trial.case if several else trial.case.rpartition("::")[2]
        rows.append((case, trial.kind, _shown(trial), remedy))
    shown = f", {_LISTED} of them shown (all with --format json)" if len(survivors) > _LISTED else ""
    title = f"{counted(len(survivors), 'survivor')}{shown}"
    same = sum(trial.is_same for trial in survivors)
    without = len(survivors) - len(measured.remedies) - same
    notes = [
        "each proposed check was tried: the answer passes it and the mutant fails it; add it to the case"
    ]
    if same:
        notes.append(
            f"{same} of the model give the very same answer as before: the app needed nothing of that reply, "
            "or asked again, and no check of answers can tell"
        )
    if without:
        notes.append(
            f"{without} without a proposal: no check that was tried tells the mutant from the answer; "
            "a judge may (llmops mutate proposes none that costs calls)"
        )
    return [
        Table(title=title, head=("case", "kind", "mutant", "a check that would kill it"), rows=rows),
        Notes(items=notes),
    ]


def _order(survivors: Sequence[Trial], remedies: Mapping[int, str]) -> list[int]:
    """Return positions, those with a remedy first; the first of each kind before the second of any."""
    seen: Counter[str] = Counter()
    turns = []
    for trial in survivors:
        turns.append(seen[trial.kind])
        seen[trial.kind] += 1
    return sorted(range(len(survivors)), key=lambda at: (at not in remedies, turns[at]))


def _shown(trial: Trial) -> str:
    """What was changed, and the mutant around that place."""
    change = _change(trial)
    answered, output = trial.mutation.answered, trial.mutation.output
    has_text = trial.group in {"output", "model"} and not changes_private(trial)
    if not has_text or answered is None or output is None:
        return printable(change, _TEXT)
    good, bad = _masked(answered.output.text), _masked(output.text)
    same = len(commonprefix([good, bad]))  # noqa: RUF071 - of two texts, not of paths
    start = max(0, min(same, len(bad) - 1) - _BEFORE)
    around = ("…" if start else "") + bad[start : start + _AROUND]
    return f"[{_cut(change)}] {_cut(around + ('…' if len(bad) > start + _AROUND else ''), 2 * _AROUND)}"


def _change(trial: Trial) -> str:
    """What was changed; of personal data only that it was."""
    return trial.kind if changes_private(trial) else _masked(trial.mutation.change)


def _cut(text: str, most: int = 36) -> str:
    shown = printable(text, 4 * most)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _text(trial: Trial, most: int) -> str:
    output = trial.mutation.output
    return printable(_masked(output.text), most) if output and not changes_private(trial) else ""


def _describe(verdict: Verdict) -> str:
    numbers = ""
    if verdict.observed is not None:
        numbers = f" it is {verdict.observed:.3g}"
        if verdict.interval:
            low, high = verdict.interval
            numbers += f" [{low:.3g}, {high:.3g}]"
        numbers += ","
    place = (verdict.case or "").partition("::")[0]
    return f"{verdict.outcome}: {place}: {verdict.check}:{numbers} {_masked(verdict.reason)}"


def _word(strength: Strength, outcome: Outcome) -> str:
    """The outcome; without a bound nothing passed, it was measured."""
    return "measured" if outcome == "passed" and not strength.verdicts else outcome


def describe_total(strength: Strength) -> str:
    """Return `mutation score 67.7 %, 424 of 626 mutants killed; muted: 73 of 74 cases stay green`."""
    total = strength.total
    if not total.tried:
        return "nothing was tried"
    if total.undecided == total.tried:
        return f"nothing could be decided of {counted(total.tried, 'mutant')}"
    undecided = f", {total.undecided} undecided" if total.undecided else ""
    killed = f"{total.killed} of {counted(total.tried, 'mutant')} killed"
    text = f"mutation score {_percent(total)}, {killed}{undecided}"
    if strength.lies.tried:
        text += f"; {LIES_KEY}: {strength.lies.killed} of {strength.lies.tried}"
    empty = next((rate for rate in strength.kinds if rate.kind == "empty"), None)
    if empty:
        text += f"; {MUTED}: {empty.survived} of {counted(empty.tried, 'case')} stay green"
    return text


def _rate_json(rate: Rate) -> Mapping[str, Any]:
    return {
        "group": rate.group or None,
        "kind": rate.kind or None,
        "score": rate.value,
        "at_least": rate.at_least if rate.tried else None,
        "at_most": rate.at_most if rate.tried else None,
        "low": rate.low,
        "high": rate.high,
        "tried": rate.tried,
        "killed": rate.killed,
        "by_error": rate.errors,
        "survived": rate.survived,
        "undecided": rate.undecided,
    }
