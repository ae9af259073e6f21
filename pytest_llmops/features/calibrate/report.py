"""How far a metric agrees with people, as `llmops calibrate` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmops.bounds import format_bound, is_minimum, usual_sign
from pytest_llmops.features.calibrate.agreement import Agreement, Cut, Rate
from pytest_llmops.features.calibrate.bias import LEVEL, Bias, Finding
from pytest_llmops.features.calibrate.labels import Labels
from pytest_llmops.features.calibrate.readings import Turning
from pytest_llmops.features.calibrate.thresholds import ErrorRow, ErrorThreshold
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Bound
from pytest_llmops.reports.document import align, escape, markdown_table
from pytest_llmops.statistics.calibration_error import CalibrationError
from pytest_llmops.statistics.intervals import Measure


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


_OTHER = {"bad passed": "good refused", "good refused": "bad passed"}
_DECIMALS = 4


def errors_json(errors: Sequence[ErrorRow], sign: str) -> list[dict[str, Any]]:
    """As JSON values; null at an end where no threshold keeps the error."""
    return [
        {
            "error": each.kind.replace(" ", "_"),
            "at_most": each.at_most,
            "comparison": sign,
            "threshold": each.threshold,
            "interval": [each.low, each.high],
            _OTHER[each.kind].replace(" ", "_"): {
                "value": each.other.value,
                "interval": None if each.other.low is None else [each.other.low, each.other.high],
            },
        }
        for each in errors
    ]


def errors_table(errors: Sequence[ErrorRow], sign: str) -> list[tuple[str, ...]]:
    """A row an error, under a head; nothing where there are none."""
    if not errors:
        return []
    head = ("error kept on these rows", "threshold", "interval (95%)", "then", "interval (95%)")
    return [head, *(_row(each, sign) for each in errors)]


def _row(each: ErrorRow, sign: str) -> tuple[str, ...]:
    spread = "every resample is alike"
    if each.other.low is not None:
        spread = f"{each.other.low:.3f} … {each.other.high:.3f}"
    return (
        f"{each.at_most:g} of {each.kind}",
        _number(each.threshold, f"{sign} "),
        f"{_number(each.low)} … {_number(each.high)}",
        f"{each.other.value:.3f} of {_OTHER[each.kind]}",
        spread,
    )


def _number(value: float | None, sign: str = "") -> str:
    return "none" if value is None else f"{sign}{value:.{_DECIMALS}g}"


VERSION = 1
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    What one calibration found.

    Attributes:
        signatures: Of the scores; more than one says that they were made in more ways than one.
        label: The field that held the labels.
        unlabelled: Rows without a label, which were scored all the same.
        unscored: (id, why) of rows that got no score.
        families: Of the models that judged.
        turning: Of rows that were scored more than once; their score is the mean.
        notes: What else has to be said.
    """

    metric: str
    signatures: tuple[str, ...]
    label: str
    labels: Labels
    agreement: Agreement
    bias: Bias | None = None
    unlabelled: int = 0
    unscored: tuple[tuple[str, str], ...] = ()
    families: tuple[str, ...] = ()
    turning: Turning | None = None
    notes: tuple[str, ...] = ()


def agreement_json(report: Report) -> dict[str, Any]:
    """As JSON values; every number is finite, and what is not defined is null."""
    found = report.agreement
    cut, best = found.cut, found.best
    return {
        "version": VERSION,
        "metric": report.metric,
        "signatures": list(report.signatures),
        "label": report.label,
        "labels": report.labels.description,
        "kind": report.labels.kind,
        "n": found.rows,
        "groups": found.groups,
        "unlabelled": report.unlabelled,
        "unscored": [{"id": entry, "error": error} for entry, error in report.unscored],
        "auc": _measure(found.auc),
        "accuracy": _measure(found.accuracy) | _bound(None if cut is None else cut.bound),
        "best": None if best is None else _measure(best[1]) | _bound(best[0]),
        "kappa": _measure(found.kappa),
        "quadratic_kappa": _measure(found.quadratic_kappa),
        "levels": list(found.levels),
        "spearman": _measure(found.spearman),
        "cuts": [
            {**_bound(each.bound), "accuracy": _measure(each.accuracy), "kappa": _measure(each.kappa)}
            for each in found.cuts
        ],
        "ece": None
        if found.calibration is None
        else {"value": found.calibration.value, "mapping": found.calibration.mapping},
        "error_threshold": _error_threshold_json(found.error_threshold),
        "errors": errors_json(found.errors, _sign(found.cut)),
        "pass_rate": _rate_json(found.rate),
        "repeats": _turning_json(report.turning),
        "bias": bias_json(report.bias, report.families),
        "notes": [*found.notes, *report.notes],
    }


def render_agreement(report: Report) -> list[str]:
    """A row a measure, then the thresholds, the rate and what was found of bias."""
    labels = printable(report.labels.description)
    lines = [f"{printable(report.metric)} against {printable(report.label)}: {labels}"]
    lines += [_counts(report), "", *(f"  {line}" for line in align(_table(report)))]
    if errors := errors_table(report.agreement.errors, _sign(report.agreement.cut)):
        lines += ["", *(f"  {line}" for line in align(errors))]
    notes = [
        *_notes(report),
        *(f"note: {printable(each)}" for each in (*report.agreement.notes, *report.notes)),
    ]
    return [*lines, *(["", *notes] if notes else [])]


def agreement_markdown(report: Report) -> list[str]:
    """The same with a table that Markdown shows."""
    labels = escape(report.labels.description)
    lines = [f"**{escape(report.metric)}** against `{escape(report.label)}`: {labels}", ""]
    lines += [escape(_counts(report)), "", *markdown_table(_table(report))]
    if errors := errors_table(report.agreement.errors, _sign(report.agreement.cut)):
        lines += ["", *markdown_table(errors)]
    notes = [*_notes(report), *report.agreement.notes, *report.notes]
    return [*lines, *(["", *(f"- {escape(line.strip())}" for line in notes)] if notes else [])]


def _sign(cut: Cut | None) -> str:
    """Of a bound that a row passes at: `>=`, or `<=` where lower is better."""
    return usual_sign(higher_is_better=cut is None or is_minimum(cut.bound))


def _counts(report: Report) -> str:
    found = report.agreement
    text = f"{counted(found.rows, 'row')} with a label and a score"
    text += f" in {counted(found.groups, 'group')}" if found.groups != found.rows else ""
    text += f", {report.unlabelled} without a label, {len(report.unscored)} not scored"
    if report.unscored:
        named = name_some([printable(entry, 60) for entry, _ in report.unscored], _NAMED)
        text += f" ({named}: {printable(report.unscored[0][1], 200)})"
    return text


def _table(report: Report) -> list[tuple[str, str, str]]:
    found = report.agreement
    over = "" if not found.levels else f" over {_levels(found.levels)}"
    at = "" if found.cut is None else f" at {_shown(found.cut.bound)}"
    rows = [
        ("AUC", found.auc),
        ("accuracy" + (at or " (same verdict)" * bool(found.levels)), found.accuracy),
        *([("accuracy at best threshold, " + _shown(found.best[0]), found.best[1])] if found.best else []),
        ("Cohen's kappa" + (over or at), found.kappa),
        *([("Cohen's kappa" + at, found.cut.kappa)] if over and found.cut else []),
        ("quadratic kappa" + (over or at), found.quadratic_kappa),
        ("Spearman", found.spearman),
    ]
    table = [("measure", "value", f"interval ({found.auc.level:.0%})")]
    table += [(name, _report_number(measure), _interval(measure)) for name, measure in rows]
    if found.calibration is not None:
        table.append(
            ("calibration error (ECE)", f"{found.calibration.value:.3f}", _mapping(found.calibration))
        )
    return table


def _notes(report: Report) -> list[str]:
    found = report.agreement
    lines = []
    if found.error_threshold is not None:
        lines.append(_describe_threshold(found.error_threshold, found.cut))
    if found.rate is not None:
        lines += _describe_rate(found.rate, pairs=report.labels.kind == "pair")
    if report.turning is not None:
        lines.append(report.turning.sentence)
    if report.bias is not None:
        lines += render_bias(report.bias, report.families)
    return lines


def _describe_threshold(found: ErrorThreshold, cut: Cut | None) -> str:
    stated = f"{found.max_error:.3g}"
    if found.threshold is None:
        return (
            f"no threshold keeps the share of bad rows that pass at {stated}: at the strictest, "
            f"{round(found.false_pass * found.bad)} of {found.bad} pass and the bound is {found.upper:.3g}; "
            f"it takes about {3 / found.max_error:.0f} bad rows at least to show it"
        )
    return (
        f"threshold for at most {stated} of bad rows passing: {_sign(cut)} {found.threshold:.4g}; "
        f"{round(found.false_pass * found.bad)} of {found.bad} bad rows pass (bound {found.upper:.3g}) "
        f"and {found.passing:.3g} of the good ones"
    )


def _describe_rate(rate: Rate, *, pairs: bool) -> list[str]:
    what = "wins of the first" if pairs else "pass rate"
    parts = [f"{what}: {rate.judged:.3f} by the scores of {counted(rate.rows, 'row')}"]
    parts.append(f"{_report_number(rate.labelled)}{_after(rate.labelled)} by labels alone")
    if rate.powered is not None:
        parts.append(f"{_report_number(rate.powered)}{_after(rate.powered)} by both (prediction-powered)")
    return ["; ".join(parts)]


def _turning_json(found: Turning | None) -> dict[str, Any] | None:
    if found is None:
        return None
    counts = {"asked": found.repeats, "rows": found.rows, "failed": found.failed}
    return {**counts, "differing": found.differing, "crossing": found.crossing, **_bound(found.bound)}


def _error_threshold_json(found: ErrorThreshold | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "max_error": found.max_error,
        "threshold": found.threshold,
        "false_pass": found.false_pass,
        "upper": found.upper,
        "passing": found.passing,
        "bad": found.bad,
    }


def _rate_json(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {
        "judged": rate.judged,
        "rows": rate.rows,
        "labelled": _measure(rate.labelled),
        "prediction_powered": None if rate.powered is None else _measure(rate.powered),
    }


def _measure(measure: Measure) -> dict[str, Any]:
    interval = None if measure.low is None else [measure.low, measure.high]
    return {"value": measure.value, "interval": interval, "level": measure.level, "method": measure.method}


def _bound(bound: Bound | None) -> dict[str, Any]:
    return {} if bound is None else {"comparison": bound.comparison, "threshold": bound.threshold}


def _shown(bound: Bound) -> str:
    return format_bound(bound, digits=4)


def _levels(levels: Sequence[float]) -> str:
    return f"{len(levels)} levels" if len(levels) > _NAMED else "/".join(f"{level:g}" for level in levels)


def _report_number(measure: Measure) -> str:
    return "-" if measure.value is None else f"{measure.value:.3f}"


def _interval(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return "" if measure.value is None else "none: every resample is alike"
    text = f"{measure.low:.3f} … {measure.high:.3f}"
    return text if measure.method in {"BCa", "asymptotic"} else f"{text} ({measure.method})"


def _after(measure: Measure) -> str:
    text = _interval(measure)
    return f" ({text})" if text else ""


def _mapping(found: CalibrationError) -> str:
    return "score as chance" if found.mapping == "none" else "after a logistic curve, fitted on other rows"
