"""The report of `llmops calibrate`: agreement of a metric with people, as text, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pytest_llmops.bounds import format_bound, is_minimum, usual_sign
from pytest_llmops.features.calibrate.agreement import Agreement, Cut, Rate, Turning
from pytest_llmops.features.calibrate.bias import LEVEL, Bias
from pytest_llmops.features.calibrate.labels import Labels
from pytest_llmops.features.calibrate.thresholds import ErrorRow, ErrorThreshold
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Bound
from pytest_llmops.reports.document import align, escape, markdown_table
from pytest_llmops.statistics.intervals import Measure

VERSION = 1
_NAMED = 5
_OTHER = {"bad passed": "good refused", "good refused": "bad passed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    The results of one calibration.

    Attributes:
        signatures: Of the scores; several if they were made in several ways.
        label: The field of the labels.
        unlabelled: Rows without a label, which were scored too.
        unscored: (id, error) of rows without a score.
        families: Of the models that judged.
        turning: Of rows that were scored more than once; their score is the mean.
        notes: Further sentences.
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
    """As JSON values; every number is finite, and null where a measure is not defined."""
    agreement = report.agreement
    cut, best, calibration = agreement.cut, agreement.best, agreement.calibration
    return {
        "version": VERSION,
        "metric": report.metric,
        "signatures": list(report.signatures),
        "label": report.label,
        "labels": report.labels.description,
        "kind": report.labels.kind,
        "n": agreement.rows,
        "groups": agreement.groups,
        "unlabelled": report.unlabelled,
        "unscored": [{"id": entry, "error": error} for entry, error in report.unscored],
        "auc": _measure_json(agreement.auc),
        "accuracy": _measure_json(agreement.accuracy) | (_bound_json(cut.bound) if cut else {}),
        "best": _measure_json(best[1]) | _bound_json(best[0]) if best else None,
        "kappa": _measure_json(agreement.kappa),
        "quadratic_kappa": _measure_json(agreement.quadratic_kappa),
        "levels": list(agreement.levels),
        "spearman": _measure_json(agreement.spearman),
        "cuts": [
            {
                **_bound_json(cut.bound),
                "accuracy": _measure_json(cut.accuracy),
                "kappa": _measure_json(cut.kappa),
            }
            for cut in agreement.cuts
        ],
        "ece": {"value": calibration.value, "mapping": calibration.mapping} if calibration else None,
        "error_threshold": asdict(agreement.error_threshold) if agreement.error_threshold else None,
        "errors": [_error_json(row, _passing_sign(cut)) for row in agreement.errors],
        "pass_rate": _rate_json(agreement.rate),
        "repeats": _turning_json(report.turning),
        "bias": _bias_json(report.bias, report.families),
        "notes": [*agreement.notes, *report.notes],
    }


def _measure_json(measure: Measure) -> dict[str, Any]:
    interval = None if measure.low is None else [measure.low, measure.high]
    return {"value": measure.value, "interval": interval, "level": measure.level, "method": measure.method}


def _bound_json(bound: Bound) -> dict[str, Any]:
    return {"comparison": bound.comparison, "threshold": bound.threshold}


def _error_json(row: ErrorRow, sign: str) -> dict[str, Any]:
    """One row of the errors; null at an end where no threshold keeps the error."""
    other = {
        "value": row.other.value,
        "interval": None if row.other.low is None else [row.other.low, row.other.high],
    }
    return {
        "error": row.kind.replace(" ", "_"),
        "at_most": row.at_most,
        "comparison": sign,
        "threshold": row.threshold,
        "interval": [row.low, row.high],
        _OTHER[row.kind].replace(" ", "_"): other,
    }


def _rate_json(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {
        "judged": rate.judged,
        "rows": rate.rows,
        "labelled": _measure_json(rate.labelled),
        "prediction_powered": None if rate.powered is None else _measure_json(rate.powered),
    }


def _turning_json(turning: Turning | None) -> dict[str, Any] | None:
    if turning is None:
        return None
    counts = {"asked": turning.repeats, "rows": turning.rows, "failed": turning.failed}
    shares = {"differing": turning.differing, "crossing": turning.crossing}
    return {**counts, **shares, **_bound_json(turning.bound)}


def _bias_json(bias: Bias | None, families: Sequence[str]) -> dict[str, Any] | None:
    if bias is None:
        return None
    correlation = bias.length_correlation
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
        "length_correlation": {"judge": correlation[0], "people": correlation[1]} if correlation else None,
        "untested": list(bias.untested),
    }


def render_agreement(report: Report) -> list[str]:
    """A row a measure, then the thresholds, the rate and the judge's bias, as lines for a terminal."""
    labels = printable(report.labels.description)
    lines = [f"{printable(report.metric)} against {printable(report.label)}: {labels}"]
    lines += [_describe_counts(report), "", *(f"  {line}" for line in align(_tabulate(report)))]
    if errors := _tabulate_errors(report.agreement):
        lines += ["", *(f"  {line}" for line in align(errors))]
    notes = (f"note: {printable(note)}" for note in (*report.agreement.notes, *report.notes))
    sentences = [*_describe_results(report), *notes]
    return [*lines, *(["", *sentences] if sentences else [])]


def agreement_markdown(report: Report) -> list[str]:
    """The same as lines of Markdown."""
    labels = escape(report.labels.description)
    lines = [f"**{escape(report.metric)}** against `{escape(report.label)}`: {labels}", ""]
    lines += [escape(_describe_counts(report)), "", *markdown_table(_tabulate(report))]
    if errors := _tabulate_errors(report.agreement):
        lines += ["", *markdown_table(errors)]
    sentences = [*_describe_results(report), *report.agreement.notes, *report.notes]
    return [*lines, *(["", *(f"- {escape(line.strip())}" for line in sentences)] if sentences else [])]


def _passing_sign(cut: Cut | None) -> str:
    """The comparison of a bound: `>=`, or `<=` where lower is better."""
    return usual_sign(higher_is_better=cut is None or is_minimum(cut.bound))


def _describe_counts(report: Report) -> str:
    rows, groups = report.agreement.rows, report.agreement.groups
    text = f"{counted(rows, 'row')} with a label and a score"
    text += f" in {counted(groups, 'group')}" if groups != rows else ""
    text += f", {report.unlabelled} without a label, {len(report.unscored)} not scored"
    if report.unscored:
        named = name_some([printable(entry, 60) for entry, _ in report.unscored], _NAMED)
        text += f" ({named}: {printable(report.unscored[0][1], 200)})"
    return text


def _tabulate(report: Report) -> list[tuple[str, str, str]]:
    agreement = report.agreement
    levels, cut, best, calibration = agreement.levels, agreement.cut, agreement.best, agreement.calibration
    many = len(levels) > _NAMED
    over = f" over {f'{len(levels)} levels' if many else '/'.join(f'{level:g}' for level in levels)}"
    over = over if levels else ""
    at = f" at {format_bound(cut.bound, digits=4)}" if cut else ""
    rows = [
        ("AUC", agreement.auc),
        ("accuracy" + (at or " (same verdict)" * bool(levels)), agreement.accuracy),
        ("Cohen's kappa" + (over or at), agreement.kappa),
        ("quadratic kappa" + (over or at), agreement.quadratic_kappa),
        ("Spearman", agreement.spearman),
    ]
    if over and cut:
        rows.insert(3, ("Cohen's kappa" + at, cut.kappa))
    if best:
        rows.insert(2, (f"accuracy at best threshold, {format_bound(best[0], digits=4)}", best[1]))
    table = [("measure", "value", f"interval ({agreement.auc.level:.0%})")]
    table += [(name, _show_value(measure), _show_interval(measure)) for name, measure in rows]
    if calibration:
        is_chance = calibration.mapping == "none"
        mapping = "score as chance" if is_chance else "after a logistic curve, fitted on other rows"
        table.append(("calibration error (ECE)", f"{calibration.value:.3f}", mapping))
    return table


def _tabulate_errors(agreement: Agreement) -> list[tuple[str, ...]]:
    """A row an error, under a head; nothing where there are none."""
    if not agreement.errors:
        return []
    sign = _passing_sign(agreement.cut)
    table: list[tuple[str, ...]] = [
        ("error kept on these rows", "threshold", "interval (95%)", "then", "interval (95%)")
    ]
    for row in agreement.errors:
        spread = "every resample is alike"
        if row.other.low is not None:
            spread = f"{row.other.low:.3f} … {row.other.high:.3f}"
        table.append((
            f"{row.at_most:g} of {row.kind}",
            _show_threshold(row.threshold, f"{sign} "),
            f"{_show_threshold(row.low)} … {_show_threshold(row.high)}",
            f"{row.other.value:.3f} of {_OTHER[row.kind]}",
            spread,
        ))  # fmt: skip
    return table


def _show_threshold(value: float | None, sign: str = "") -> str:
    return "none" if value is None else f"{sign}{value:.4g}"


def _describe_results(report: Report) -> list[str]:
    agreement = report.agreement
    lines = []
    if agreement.error_threshold:
        lines.append(_describe_threshold(agreement.error_threshold, _passing_sign(agreement.cut)))
    if agreement.rate:
        lines.append(_describe_rate(agreement.rate, pairs=report.labels.kind == "pair"))
    if report.turning:
        lines.append(report.turning.sentence)
    if report.bias:
        lines += _describe_bias(report.bias, report.families)
    return lines


def _describe_threshold(kept: ErrorThreshold, sign: str) -> str:
    stated = f"{kept.max_error:.3g}"
    if kept.threshold is None:
        return (
            f"no threshold keeps the share of bad rows that pass at {stated}: at the strictest, "
            f"{round(kept.false_pass * kept.bad)} of {kept.bad} pass and the bound is {kept.upper:.3g}; "
            f"it takes about {3 / kept.max_error:.0f} bad rows at least to show it"
        )
    return (
        f"threshold for at most {stated} of bad rows passing: {sign} {kept.threshold:.4g}; "
        f"{round(kept.false_pass * kept.bad)} of {kept.bad} bad rows pass (bound {kept.upper:.3g}) "
        f"and {kept.passing:.3g} of the good ones"
    )


def _describe_rate(rate: Rate, *, pairs: bool) -> str:
    def show(measure: Measure) -> str:
        interval = _show_interval(measure)
        return _show_value(measure) + (f" ({interval})" if interval else "")

    name = "wins of the first" if pairs else "pass rate"
    text = f"{name}: {rate.judged:.3f} by the scores of {counted(rate.rows, 'row')}"
    text += f"; {show(rate.labelled)} by labels alone"
    return text + (f"; {show(rate.powered)} by both (prediction-powered)" if rate.powered else "")


def _describe_bias(bias: Bias, families: Sequence[str]) -> list[str]:
    """A line a kind of bias, then the tests that could not be made."""
    whose = f" (judge of the family {printable(', '.join(families), 60)})" if families else ""
    lines = [f"bias{whose}, accused at p ≤ {LEVEL:g} after Holm's correction:"]
    for finding in bias.findings:
        verdict = "BIASED" if finding.accused else "not shown"
        name = finding.name.replace("_", "-")
        lines.append(f"  {name}: {verdict} (p = {finding.p_adjusted:.3g}); {finding.description}")
    if bias.length_correlation is not None:
        judged, people = bias.length_correlation
        lines.append(f"  rank correlation with length: judge {judged:.2f}, people {people:.2f}")
    if bias.order_flips is not None:
        lines.append(f"  {bias.order_flips:.1%} of pairs turn with the order")
    if bias.repeat_flips is not None:
        lines.append(f"  {bias.repeat_flips:.1%} of answers turn when asked again")
    return [*lines, *(f"  not tested: {printable(sentence)}" for sentence in bias.untested)]


def _show_value(measure: Measure) -> str:
    return "-" if measure.value is None else f"{measure.value:.3f}"


def _show_interval(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return "" if measure.value is None else "none: every resample is alike"
    text = f"{measure.low:.3f} … {measure.high:.3f}"
    return text if measure.method in {"BCa", "asymptotic"} else f"{text} ({measure.method})"
