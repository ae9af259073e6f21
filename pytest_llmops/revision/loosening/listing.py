"""Checks and values in the words of a listing."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_llmops.bounds import bound_of, format_bound, format_number
from pytest_llmops.printable import printable
from pytest_llmops.records import Check, SuiteCheck
from pytest_llmops.revision.loosening.fields import Changed

_LONGEST = 60


def show_change(name: str, was: object, now: object) -> dict[str, str]:
    """What was and what is, nothing for a None."""
    return {
        moment: "" if value is None else printable(f"{name} {value}", _LONGEST)
        for moment, value in (("before", was), ("after", now))
    }


def show_field(changed: Changed) -> dict[str, str]:
    """The values of a field where they are a word or a number; other values may be anybody's data."""
    plain = all(isinstance(each, bool | int | float | None) or each == "auto" for each in changed[1:])
    words = changed.name in {"model_errors", "passages"}
    return show_change(changed.name, changed.before, changed.after) if plain or words else {}


def show_options(now: Mapping[str, object], was: Mapping[str, object]) -> str:
    """The names of the options that differ: their values may be anybody's data."""
    names = [name for name in {**was, **now} if name not in was or name not in now or was[name] != now[name]]
    return printable(", ".join(names))


def show_check(check: Check | SuiteCheck) -> str:
    statistic = f" {check.statistic}" if isinstance(check, SuiteCheck) else ""
    bound = f" {format_bound(bounded, digits=None)}" if (bounded := bound_of(check)) else ""
    trusted = f" min_kappa {check.min_kappa:g}" if isinstance(check, Check) and check.min_kappa else ""
    return printable(f"{check.metric}{statistic}{bound}{trusted}")


def show_drop(check: SuiteCheck) -> str:
    return "" if check.max_drop is None else f"max_drop {format_number(check.max_drop)}"
